package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// row is a value in the table.
type row struct {
	path        string // etcd.tls.caKey
	fallback    string // the default, as JSON
	description string
}

// parse returns the values in the order of the file, or every fault of their comments.
func parse(content []byte) ([]row, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("must be one object")
	}
	return walk("", document.Content[0], false)
}

// walk returns the rows below an object; described says that a value above it has a comment.
func walk(path string, object *yaml.Node, described bool) ([]row, error) {
	var rows []row
	var errs []error
	for i := 0; i+1 < len(object.Content); i += 2 {
		key, value := object.Content[i], object.Content[i+1]
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		text := description(key.HeadComment)
		if text != "" {
			fallback, err := asJSON(value)
			if err != nil {
				errs = append(errs, fmt.Errorf("line %d: %s: %w", key.Line, at, err))
			}
			rows = append(rows, row{path: at, fallback: fallback, description: text})
		}
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 {
			below, err := walk(at, value, described || text != "")
			rows, errs = append(rows, below...), append(errs, err)
		} else if text == "" && !described {
			errs = append(errs, fmt.Errorf("line %d: %s has no description: a comment above it that begins with two dashes", key.Line, at))
		}
	}
	return rows, errors.Join(errs...)
}

// description returns what stands behind the dashes in a comment; "" when there are none.
func description(comment string) string {
	var words []string
	found := false
	for _, line := range strings.Split(comment, "\n") {
		line = strings.TrimSpace(strings.TrimLeft(line, "#"))
		if rest, ok := strings.CutPrefix(line, "-- "); ok {
			found, line = true, rest
		}
		if found {
			words = append(words, line)
		}
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

func asJSON(value *yaml.Node) (string, error) {
	var decoded any
	if err := value.Decode(&decoded); err != nil {
		return "", err
	}
	encoded, err := json.Marshal(decoded)
	return string(encoded), err
}
