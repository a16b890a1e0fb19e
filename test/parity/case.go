package parity

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

//go:embed corpus differences.yaml
var files embed.FS

// Case is a list of requests that are sent to both servers one after the other.
type Case struct {
	// Name is unique: the name of the file, a slash, and what the case is about.
	Name  string `json:"name"`
	Steps []Step `json:"steps"`
	// Each makes one case of each value of a variable, and of each combination if there are several variables. The values are a list,
	// or a map from the name that a value gets in the name of the case.
	Each map[string]any `json:"each,omitempty"`

	// variables are the values of Each in this case.
	variables map[string]any
}

// Step is one request and what is compared of its answer.
type Step struct {
	// Do is the verb and the path, for example "POST /api/v1/namespaces/$ns/configmaps". The verbs MERGE, STRATEGIC, JSON and APPLY are
	// patches of these kinds. WATCH is a GET whose answer is a list of events.
	Do string `json:"do"`
	// Body is an object, which is encoded as the header Content-Type says, or a string that is sent as it is.
	Body any `json:"body,omitempty"`
	// Headers are sent in addition to, or in place of, those that follow from the verb.
	Headers map[string]string `json:"headers,omitempty"`
	// Save sets variables of the later steps from fields of the answer's body, or from its headers (`header.Etag.0`).
	Save map[string]string `json:"save,omitempty"`
	// Until repeats a request until fields of the answer (`code`, `body.status.phase`) have these values; null stands for absent.
	Until map[string]any `json:"until,omitempty"`
	// Events is the number of events after which a WATCH ends; zero stands for when the server ends it.
	Events int `json:"events,omitempty"`
	// Pick keeps of a list in the body only what is of interest.
	Pick []Pick `json:"pick,omitempty"`
	// Only are the parts of the answer that are compared; empty for all. Ignore are those that are not.
	Only   []string `json:"only,omitempty"`
	Ignore []string `json:"ignore,omitempty"`
	// Unordered sorts the causes of an error, for errors whose order follows from a Go map.
	Unordered bool `json:"unordered,omitempty"`
}

// onlyHead reports whether the step looks at the code and the headers of its answer only. Some bodies have megabytes.
func (s Step) onlyHead() bool {
	inBody := func(path string) bool {
		return path != "code" && path != "header" && !strings.HasPrefix(path, "header.")
	}
	return len(s.Only) > 0 && !slices.ContainsFunc(s.Only, inBody) && !slices.ContainsFunc(slices.Collect(maps.Values(s.Save)), inBody) &&
		!slices.ContainsFunc(slices.Collect(maps.Keys(s.Until)), inBody)
}

// Pick keeps the elements of a list whose field By has one of the Values, or all of them if there are no Values, and sorts them by it.
type Pick struct {
	// List is the path of the list below the body; a part that ends in [] stands for every element of a list.
	List   string   `json:"list"`
	By     string   `json:"by"`
	Values []string `json:"values,omitempty"`
}

// LoadCases returns the cases of corpus/*.yaml, expanded.
func LoadCases() ([]Case, error) { return load[Case]("corpus", expand) }

// LoadFixtures returns the cases that prepare a server for all others.
func LoadFixtures() ([]Case, error) { return load[Case]("corpus/fixtures", expand) }

// load reads a list from every YAML file of a folder and expands each of its elements.
func load[T any](folder string, expand func(file string, t T) ([]T, error)) ([]T, error) {
	names, err := fs.Glob(files, folder+"/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", folder, err)
	}
	var all []T
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		var parsed []T
		if err := yaml.UnmarshalStrict(data, &parsed); err != nil {
			return nil, fmt.Errorf("parsing %s: %w", name, err)
		}
		for _, t := range parsed {
			expanded, err := expand(strings.TrimSuffix(path.Base(name), ".yaml"), t)
			if err != nil {
				return nil, fmt.Errorf("expanding %s: %w", name, err)
			}
			all = append(all, expanded...)
		}
	}
	return all, nil
}

// expand returns the cases that c stands for.
func expand(file string, c Case) ([]Case, error) {
	if c.Name == "" || len(c.Steps) == 0 {
		return nil, fmt.Errorf("case %q has no name or no steps", c.Name)
	}
	c.Name = file + "/" + c.Name
	cases := []Case{c}
	for _, variable := range slices.Sorted(maps.Keys(c.Each)) {
		values, err := choices(c.Each[variable])
		if err != nil {
			return nil, fmt.Errorf("variable %s of %q: %w", variable, c.Name, err)
		}
		var more []Case
		for _, one := range cases {
			for _, v := range values {
				next := one
				next.Name += " [" + v.name + "]"
				next.variables = map[string]any{variable: v.value}
				maps.Copy(next.variables, one.variables)
				more = append(more, next)
			}
		}
		cases = more
	}
	return cases, nil
}

// needsNamespace reports whether a step mentions $ns.
func (c Case) needsNamespace() bool {
	return strings.Contains(printed(c.variables), "$ns") || slices.ContainsFunc(c.Steps, func(step Step) bool {
		return strings.Contains(step.Do, "$ns") || strings.Contains(printed(step.Body), "$ns")
	})
}

type choice struct {
	name  string
	value any
}

func choices(values any) ([]choice, error) {
	switch values := values.(type) {
	case []any:
		var all []choice
		for _, value := range values {
			all = append(all, choice{name: printed(value), value: repeated(value)})
		}
		return all, nil
	case map[string]any:
		var all []choice
		for _, name := range slices.Sorted(maps.Keys(values)) {
			all = append(all, choice{name: name, value: repeated(values[name])})
		}
		return all, nil
	}
	return nil, fmt.Errorf("%v is neither a list nor a map", values)
}

// printed returns a value as it appears in the name of a case.
func printed(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}

// repeated returns the string that {repeat: x, times: n} stands for, and any other value as it is.
func repeated(value any) any {
	m, ok := value.(map[string]any)
	if !ok || len(m) != 2 {
		return value
	}
	text, isText := m["repeat"].(string)
	times, isNumber := m["times"].(float64)
	if !isText || !isNumber {
		return value
	}
	return strings.Repeat(text, int(times))
}
