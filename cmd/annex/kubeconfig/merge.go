package kubeconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/tools/clientcmd"
)

// errForeign means that an entry of the same name was not made by this command.
var errForeign = errors.New("not made by annex kubeconfig and is therefore not changed; set another --name")

// lists are the parts of a kubeconfig that contain entries.
var lists = []string{"clusters", "users", "contexts"}

// merge returns the kubeconfig in file with the entries of added. It replaces entries that this command made. Other entries, their
// order and comments do not change. The error wraps errForeign if one of those has the name of an added entry.
func merge(file, added []byte, setCurrent bool) ([]byte, error) {
	document, err := parse(file)
	if err != nil {
		return nil, err
	}
	if document == nil {
		return added, nil
	}
	other, err := parse(added)
	if err != nil {
		return nil, err
	}
	into, from := document.Content[0], other.Content[0]
	for _, list := range lists {
		entries := value(from, list)
		if entries == nil {
			continue
		}
		to, err := sequence(into, list)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries.Content {
			if err := put(to, entry); err != nil {
				return nil, fmt.Errorf("%s: %w", list, err)
			}
		}
	}
	if setCurrent {
		set(into, "current-context", value(from, "current-context").Value)
	}
	out, err := render(document, compact(into))
	if err != nil {
		return nil, err
	}
	if _, err := clientcmd.Load(out); err != nil {
		return nil, fmt.Errorf("the result would not be a valid kubeconfig: %w", err)
	}
	return out, nil
}

// parse returns a document that contains a mapping; nil if data is empty.
func parse(data []byte) (*yaml.Node, error) {
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

// render writes the document in the style of the file: with two spaces before the dashes of lists, or without if dense is true.
func render(document *yaml.Node, dense bool) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if dense {
		encoder.CompactSeqIndent()
	}
	if err := errors.Join(encoder.Encode(document), encoder.Close()); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	return out.Bytes(), nil
}

// compact reports whether lists have no spaces before their dashes, as kubectl writes them.
func compact(mapping *yaml.Node) bool {
	for _, list := range lists {
		if entries := value(mapping, list); entries != nil && len(entries.Content) > 0 && entries.Content[0].Column > 0 {
			// The column is the position after the dash.
			return entries.Content[0].Column == mapping.Column+2
		}
	}
	return true
}

// value returns the value of key in a mapping; nil if there is none.
func value(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// sequence returns the list at key, and creates it if necessary.
func sequence(mapping *yaml.Node, key string) (*yaml.Node, error) {
	found := value(mapping, key)
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

// put adds entry to a list, or replaces an entry that this command made.
func put(list, entry *yaml.Node) error {
	name := value(entry, "name").Value
	i := slices.IndexFunc(list.Content, func(other *yaml.Node) bool {
		found := value(other, "name")
		return found != nil && found.Value == name
	})
	if i < 0 {
		list.Content = append(list.Content, entry)
		return nil
	}
	before, after := any(nil), any(nil)
	if err := errors.Join(list.Content[i].Decode(&before), entry.Decode(&after)); err != nil {
		return fmt.Errorf("comparing %q: %w", name, err)
	}
	switch {
	case reflect.DeepEqual(before, after):
	case !isOurs(list.Content[i]):
		return fmt.Errorf("%q is %w", name, errForeign)
	default:
		list.Content[i] = entry
	}
	return nil
}

// isOurs reports whether an entry has our mark.
func isOurs(entry *yaml.Node) bool {
	for i := 1; i < len(entry.Content); i += 2 {
		body := entry.Content[i]
		if body.Kind != yaml.MappingNode {
			continue
		}
		if extensions := value(body, "extensions"); extensions != nil {
			return slices.ContainsFunc(extensions.Content, func(e *yaml.Node) bool {
				name := value(e, "name")
				return name != nil && name.Value == extension
			})
		}
	}
	return false
}

// set puts a scalar into a mapping.
func set(mapping *yaml.Node, key, text string) {
	if found := value(mapping, key); found != nil {
		found.Kind, found.Tag, found.Value = yaml.ScalarNode, "!!str", text
		return
	}
	mapping.Content = append(mapping.Content, scalar(key), scalar(text))
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}
