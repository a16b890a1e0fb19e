package path

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Path names fields of an object. Its zero value names none.
type Path struct{ steps []step }

// step is a key of a map, or all that a map or a list has.
type step struct {
	key string
	all bool
}

// maxSteps bounds the depth of a path.
const maxSteps = 32

var stepPattern = regexp.MustCompile(`^(?:\.?([A-Za-z0-9_-]+)|\['([^'\]]+)'\]|(\[\*\]))`)

// Parse reads a path. The error says where it is wrong.
func Parse(text string) (Path, error) {
	var p Path
	for rest := text; rest != ""; {
		match := stepPattern.FindStringSubmatch(rest)
		first := len(p.steps) == 0
		switch {
		case match == nil, first && rest[0] == '.', !first && match[1] != "" && rest[0] != '.':
			return Path{}, fmt.Errorf("the path %q is wrong at %q: write fields as spec.name, ['a.name.with/dots'] or [*]", text, rest)
		case first && match[3] != "":
			return Path{}, fmt.Errorf("the path %q must begin with a field", text)
		case len(p.steps) == maxSteps:
			return Path{}, fmt.Errorf("the path %q has more than %d steps", text, maxSteps)
		}
		p.steps = append(p.steps, step{key: match[1] + match[2], all: match[3] != ""})
		rest = rest[len(match[0]):]
	}
	if len(p.steps) == 0 {
		return Path{}, fmt.Errorf("a path is needed")
	}
	return p, nil
}

// Root returns the field of the object that the path is in, such as spec.
func (p Path) Root() string {
	if len(p.steps) == 0 {
		return ""
	}
	return p.steps[0].key
}

// All reports whether the path has a [*].
func (p Path) All() bool { return slices.ContainsFunc(p.steps, func(s step) bool { return s.all }) }

// Get returns the values at the path, in their order. They are shared with object.
func (p Path) Get(object map[string]any) []any {
	if len(p.steps) == 0 {
		return nil
	}
	return get(object, p.steps)
}

func get(value any, steps []step) []any {
	if len(steps) == 0 {
		return []any{value}
	}
	var found []any
	switch container := value.(type) {
	case map[string]any:
		if !steps[0].all {
			if below, ok := container[steps[0].key]; ok {
				return get(below, steps[1:])
			}
			return nil
		}
		for _, key := range slices.Sorted(maps.Keys(container)) {
			found = append(found, get(container[key], steps[1:])...)
		}
	case []any:
		if steps[0].all {
			for _, item := range container {
				found = append(found, get(item, steps[1:])...)
			}
		}
	}
	return found
}

// Strings returns the values at the path that are strings and not empty, each once.
func (p Path) Strings(object map[string]any) []string {
	var found []string
	for _, value := range p.Get(object) {
		if text, ok := value.(string); ok && text != "" && !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	return found
}

// Delete removes what is at the path. Items of lists stay, except those that the path itself ends with.
func (p Path) Delete(object map[string]any) {
	last := len(p.steps) - 1
	if last < 0 {
		return
	}
	if last > 0 && p.steps[last].all {
		// All items: the list or map becomes empty.
		p.parents(object, last-1, func(container map[string]any, key string) {
			switch container[key].(type) {
			case []any:
				container[key] = []any{}
			case map[string]any:
				container[key] = map[string]any{}
			}
		})
		return
	}
	p.parents(object, last, func(container map[string]any, key string) { delete(container, key) })
}

// parents calls f with each map that has what the first n+1 steps lead to, and the key.
func (p Path) parents(object map[string]any, n int, f func(container map[string]any, key string)) {
	for _, container := range get(object, p.steps[:n]) {
		m, ok := container.(map[string]any)
		if !ok {
			continue
		}
		if p.steps[n].all {
			for _, key := range slices.Sorted(maps.Keys(m)) {
				f(m, key)
			}
		} else if _, ok := m[p.steps[n].key]; ok {
			f(m, p.steps[n].key)
		}
	}
}

// Set sets what is at the path to a copy of value, which is of JSON. It makes the maps on the way; with [*], it makes nothing below what is not
// there. The error says what is in the way.
func (p Path) Set(object map[string]any, value any) error {
	if len(p.steps) == 0 {
		return nil
	}
	return set(object, p.steps, value)
}

func set(container any, steps []step, value any) error {
	s, rest := steps[0], steps[1:]
	switch c := container.(type) {
	case map[string]any:
		keys := []string{s.key}
		if s.all {
			keys = slices.Sorted(maps.Keys(c))
		}
		for _, key := range keys {
			below, ok := c[key]
			switch {
			case len(rest) == 0:
				c[key] = clone(value)
				continue
			case (!ok || below == nil) && rest[0].all:
				continue
			case !ok || below == nil:
				below = map[string]any{}
				c[key] = below
			}
			if err := set(below, rest, value); err != nil {
				return err
			}
		}
		return nil
	case []any:
		if !s.all {
			return fmt.Errorf("there is a list where %q is set", s.key)
		}
		for i := range c {
			if len(rest) == 0 {
				c[i] = clone(value)
			} else if err := set(c[i], rest, value); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("there is a %T where a field is set", container)
}

// Change replaces each string at the path by what f returns of it.
func (p Path) Change(object map[string]any, f func(string) string) {
	if len(p.steps) > 0 {
		change(object, p.steps, f)
	}
}

func change(container any, steps []step, f func(string) string) {
	s, rest := steps[0], steps[1:]
	next := func(value any, put func(string)) {
		if len(rest) > 0 {
			change(value, rest, f)
		} else if text, ok := value.(string); ok {
			put(f(text))
		}
	}
	switch c := container.(type) {
	case map[string]any:
		for key := range c {
			if s.all || key == s.key {
				next(c[key], func(text string) { c[key] = text })
			}
		}
	case []any:
		for i := range c {
			if s.all {
				next(c[i], func(text string) { c[i] = text })
			}
		}
	}
}

// clone copies a value of JSON, so that several places do not share it.
func clone(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key := range v {
			out[key] = clone(v[key])
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = clone(v[i])
		}
		return out
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if n, err := v.Float64(); err == nil {
			return n
		}
	case int:
		return int64(v)
	}
	return value
}
