package conversion

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Path is the path of a field from the root of an object: the names of the fields on the way. It is never empty.
type Path []string

// maxDepth is how many fields a path may name. Objects may not be nested much deeper either.
const maxDepth = 50

// ParsePath reads a path such as .spec.name, or .spec['example.com/name'] for a field whose name has other characters. The first dot may be
// missing. The error says what is wrong.
func ParsePath(text string) (Path, error) {
	var path Path
	rest := text
	if rest == "" {
		return nil, errors.New("must be the path of a field, such as .spec.name")
	}
	if rest[0] != '.' && rest[0] != '[' {
		rest = "." + rest
	}
	for rest != "" {
		var name string
		switch {
		case strings.HasPrefix(rest, "['"):
			end := strings.Index(rest, "']")
			if end < 0 {
				return nil, errors.New("['...'] is not closed")
			}
			name, rest = rest[2:end], rest[end+2:]
		case rest[0] == '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			name, rest = rest[1:end+1], rest[end+1:]
		default:
			return nil, errors.New("a path names fields only: for items of a list, name the list and use a transformation")
		}
		if name == "" || strings.ContainsAny(name, "]'\"*?@$() \t\n") {
			return nil, fmt.Errorf("%q is not the name of a field", name)
		}
		path = append(path, name)
	}
	if len(path) > maxDepth {
		return nil, fmt.Errorf("at most %d fields on the way are allowed", maxDepth)
	}
	return path, nil
}

// String returns, for example, .spec.name.
func (p Path) String() string {
	var b strings.Builder
	for _, name := range p {
		if strings.ContainsAny(name, ".[") {
			b.WriteString("['" + name + "']")
			continue
		}
		b.WriteString("." + name)
	}
	return b.String()
}

// field returns the path as errors about fields have it: spec.name.
func (p Path) field() string { return strings.TrimPrefix(p.String(), ".") }

// begins reports whether p is other, or the path of something around it.
func (p Path) begins(other Path) bool {
	return len(p) <= len(other) && slices.Equal(p, other[:len(p)])
}

// get returns the value at p; false if obj has none.
func (p Path) get(obj map[string]any) (any, bool) {
	var value any = obj
	for _, name := range p {
		in, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = in[name]; !ok {
			return nil, false
		}
	}
	return value, true
}

// set puts value at p. What is on the way and not an object is replaced by one.
func (p Path) set(obj map[string]any, value any) {
	for _, name := range p[:len(p)-1] {
		in, ok := obj[name].(map[string]any)
		if !ok {
			in = map[string]any{}
			obj[name] = in
		}
		obj = in
	}
	obj[p[len(p)-1]] = value
}
