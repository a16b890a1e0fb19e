package kubeconfig

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/annex-dev/annex/cmd/configfile"
)

// errForeign means that an entry of the same name was not made by this command.
var errForeign = errors.New("not made by annex kubeconfig and is therefore not changed; set another --name")

// merge returns the kubeconfig in file with the entries of added. It replaces entries that this command made. Other entries, their
// order and comments do not change. The error wraps errForeign if one of those has the name of an added entry.
func merge(file, added []byte, setCurrent bool) ([]byte, error) {
	document, err := configfile.Parse(file)
	if err != nil {
		return nil, err
	}
	if document == nil {
		return added, nil
	}
	other, err := configfile.Parse(added)
	if err != nil {
		return nil, err
	}
	into, from := document.Content[0], other.Content[0]
	for _, list := range configfile.Lists {
		entries := configfile.Value(from, list)
		if entries == nil {
			continue
		}
		to, err := configfile.List(into, list)
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
		configfile.Set(into, "current-context", configfile.Value(from, "current-context").Value)
	}
	return configfile.Render(document)
}

// put adds entry to a list, or replaces an entry that this command made.
func put(list, entry *yaml.Node) error {
	name := configfile.Value(entry, "name").Value
	i := configfile.Index(list, name)
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
		if extensions := configfile.Value(body, "extensions"); extensions != nil {
			return slices.ContainsFunc(extensions.Content, func(e *yaml.Node) bool {
				name := configfile.Value(e, "name")
				return name != nil && name.Value == extension
			})
		}
	}
	return false
}
