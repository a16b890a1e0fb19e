package parity

import (
	"fmt"
	"regexp"
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
