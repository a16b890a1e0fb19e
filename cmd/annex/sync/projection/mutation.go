package projection

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/annex-dev/annex/cmd/annex/sync/config"
	"github.com/annex-dev/annex/cmd/annex/sync/path"
)

// ErrForbidden is wrapped by what a user must change in an object.
var ErrForbidden = errors.New("not synchronized")

// rule is a compiled rule.
type rule struct {
	path        path.Path
	text        string
	forbid      bool
	remove      bool
	value       any // to set
	pattern     *regexp.Regexp
	replacement string
}

func compile(all []config.Rule) ([]rule, error) {
	var out []rule
	for _, r := range all {
		var c rule
		var err error
		switch {
		case r.Set != nil:
			c.text = r.Set.Path
			err = json.Unmarshal(r.Set.Value.Raw, &c.value)
			c.value = integers(c.value)
		case r.Delete != nil:
			c.text, c.remove = r.Delete.Path, true
		case r.Forbid != nil:
			c.text, c.forbid = r.Forbid.Path, true
		case r.Replace != nil:
			c.text, c.replacement = r.Replace.Path, r.Replace.Replacement
			c.pattern, err = regexp.Compile(r.Replace.Pattern)
		}
		if err == nil {
			c.path, err = path.Parse(c.text)
		}
		if err != nil {
			return nil, fmt.Errorf("preparing a rule for %s: %w", c.text, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// integers turns whole numbers into integers, which objects have.
func integers(value any) any {
	switch v := value.(type) {
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	case map[string]any:
		for key := range v {
			v[key] = integers(v[key])
		}
	case []any:
		for i := range v {
			v[i] = integers(v[i])
		}
	}
	return value
}

// apply applies rules to object. variables are replaced in strings that are set.
func apply(all []rule, object map[string]any, variables map[string]string) error {
	for _, r := range all {
		switch {
		case r.forbid:
			if len(r.path.Get(object)) > 0 {
				return fmt.Errorf("%w: the field %s must not be set here", ErrForbidden, r.text)
			}
		case r.remove:
			r.path.Delete(object)
		case r.pattern != nil:
			r.path.Change(object, func(s string) string { return r.pattern.ReplaceAllString(s, r.replacement) })
		default:
			if err := r.path.Set(object, expand(r.value, variables)); err != nil {
				return fmt.Errorf("%w: the field %s cannot be set: %w", ErrForbidden, r.text, err)
			}
		}
	}
	return nil
}

// expand returns value with the variables in its strings replaced.
func expand(value any, variables map[string]string) any {
	switch v := value.(type) {
	case string:
		return Expand(v, variables)
	case map[string]any:
		out := make(map[string]any, len(v))
		for key := range v {
			out[key] = expand(v[key], variables)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = expand(v[i], variables)
		}
		return out
	}
	return value
}

// Expand replaces variables such as $(name) in text. What is put in is not expanded again.
func Expand(text string, variables map[string]string) string {
	var pairs []string
	for name, value := range variables {
		pairs = append(pairs, "$("+name+")", value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
