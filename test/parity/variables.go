package parity

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// variable is how the corpus names one: $ns, ${ns}. $$ is a dollar.
var variable = regexp.MustCompile(`\$(\$|[a-zA-Z]\w*|\{[a-zA-Z]\w*\})`)

// substitute returns value with its variables replaced, in the keys of maps too. A string that is one variable becomes the value of it,
// of whatever type.
func substitute(value any, variables map[string]any) (any, error) {
	switch value := value.(type) {
	case string:
		if m := variable.FindString(value); m == value && m != "" && m != "$$" {
			return lookUp(m, variables)
		}
		return substituteText(value, variables)
	case []any:
		out := make([]any, len(value))
		for i, element := range value {
			var err error
			if out[i], err = substitute(element, variables); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(value))
		for key, element := range value {
			name, err := substituteText(key, variables)
			if err != nil {
				return nil, err
			}
			if out[name], err = substitute(element, variables); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return value, nil
}

// resolve returns known with the values of variables, which may mention each other.
func resolve(variables, known map[string]any) (map[string]any, error) {
	resolved, open := map[string]any{}, maps.Clone(variables)
	maps.Copy(resolved, known)
	for len(open) > 0 {
		before, errs := len(open), error(nil)
		for _, name := range slices.Sorted(maps.Keys(open)) {
			value, err := substitute(open[name], resolved)
			if err != nil {
				errs = errors.Join(errs, fmt.Errorf("variable %s: %w", name, err))
				continue
			}
			resolved[name] = value
			delete(open, name)
		}
		if len(open) == before {
			return nil, errs
		}
	}
	return resolved, nil
}

func substituteText(text string, variables map[string]any) (string, error) {
	var failed error
	out := variable.ReplaceAllStringFunc(text, func(m string) string {
		if m == "$$" {
			return "$"
		}
		value, err := lookUp(m, variables)
		if err != nil {
			failed = err
		}
		return printed(value)
	})
	return out, failed
}

func lookUp(reference string, variables map[string]any) (any, error) {
	name := strings.Trim(reference, "${}")
	value, ok := variables[name]
	if !ok {
		return nil, fmt.Errorf("no variable is called %q", name)
	}
	return value, nil
}
