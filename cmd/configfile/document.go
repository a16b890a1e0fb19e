package configfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/tools/clientcmd"
)

// Lists are the parts of a kubeconfig that contain entries.
var Lists = []string{"clusters", "users", "contexts"}

// Parse returns a document that contains a mapping; nil if data is empty.
func Parse(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil //nolint:nilnil // nothing is there
	case err != nil:
		return nil, fmt.Errorf("the file is not valid YAML: %w", err)
	case document.Content[0].Tag == "!!null":
		return nil, nil //nolint:nilnil // comments at most
	case document.Content[0].Kind != yaml.MappingNode:
		return nil, errors.New("the file is not a kubeconfig")
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file contains several YAML documents, but kubectl reads only the first one")
	}
	return &document, nil
}

// Render writes the document in the style of the file: with or without two spaces before the dashes of lists.
func Render(document *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if compact(document.Content[0]) {
		encoder.CompactSeqIndent()
	}
	if err := errors.Join(encoder.Encode(document), encoder.Close()); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	if _, err := clientcmd.Load(out.Bytes()); err != nil {
		return nil, fmt.Errorf("the result would not be a valid kubeconfig: %w", err)
	}
	return out.Bytes(), nil
}

// compact reports whether lists have no spaces before their dashes, as kubectl writes them.
func compact(mapping *yaml.Node) bool {
	for _, list := range Lists {
		if entries := Value(mapping, list); entries != nil && len(entries.Content) > 0 && entries.Content[0].Column > 0 {
			// The column is the position after the dash.
			return entries.Content[0].Column == mapping.Column+2
		}
	}
	return true
}

// Value returns the value of key in a mapping; nil if there is none.
func Value(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// List returns the list at key, and creates it if necessary.
func List(mapping *yaml.Node, key string) (*yaml.Node, error) {
	found := Value(mapping, key)
	switch {
	case found == nil:
		found = &yaml.Node{}
		mapping.Content = append(mapping.Content, scalar(key), found)
		fallthrough
	case found.Tag == "!!null":
		found.Kind, found.Tag, found.Value = yaml.SequenceNode, "!!seq", ""
	case found.Kind != yaml.SequenceNode:
		return nil, fmt.Errorf("%s in the file is not a list", key)
	}
	if len(found.Content) == 0 && mapping.Style&yaml.FlowStyle == 0 {
		found.Style &^= yaml.FlowStyle
	}
	return found, nil
}

// Index returns the position of the entry called name in a list; -1 if there is none.
func Index(list *yaml.Node, name string) int {
	return slices.IndexFunc(list.Content, func(entry *yaml.Node) bool {
		found := Value(entry, "name")
		return found != nil && found.Value == name
	})
}

// Set puts a scalar into a mapping.
func Set(mapping *yaml.Node, key, text string) {
	if found := Value(mapping, key); found != nil {
		found.Kind, found.Tag, found.Value = yaml.ScalarNode, "!!str", text
		return
	}
	mapping.Content = append(mapping.Content, scalar(key), scalar(text))
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}
