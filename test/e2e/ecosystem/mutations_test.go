package ecosystem

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// mutation is an object with one thing wrong, as its schema has it.
type mutation struct {
	// name says what is wrong, for example "spec.names[0]: too short".
	name   string
	object map[string]any
}

// longest is how long a limit may be for a mutation to exceed it.
const longest = 1000

// mutations returns what can be wrong with an object below its top level, in the order of the paths. Some schemas allow some of it
// nevertheless, so this is for comparisons.
func mutations(schema *apiextensionsv1.JSONSchemaProps, object map[string]any) []mutation {
	m := mutator{whole: object}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		if _, there := object[name]; there && name != "apiVersion" && name != "kind" && name != "metadata" {
			property := schema.Properties[name]
			m.walk(&property, []any{name})
		}
	}
	for _, name := range schema.Required {
		if name != "metadata" {
			m.remove([]any{name}, "missing")
		}
	}
	return m.found
}

type mutator struct {
	whole map[string]any
	found []mutation
}

// walk adds what can be wrong with the value at path, and below it.
func (m *mutator) walk(schema *apiextensionsv1.JSONSchemaProps, path []any) {
	value := at(m.whole, path)
	m.set(path, "another type", otherType(schema, value))
	m.set(path, "null", nil)
	switch value := value.(type) {
	case map[string]any:
		m.object(schema, path, value)
	case []any:
		m.list(schema, path, value)
	case string:
		m.text(schema, path)
	case float64:
		if schema.Minimum != nil {
			m.set(path, "too small", *schema.Minimum-1)
		}
		if schema.Maximum != nil {
			m.set(path, "too large", *schema.Maximum+1)
		}
		if schema.Type == "integer" {
			m.set(path, "a fraction", value+0.5)
			m.set(path, "out of range", 1e19)
		}
	}
}

func (m *mutator) object(schema *apiextensionsv1.JSONSchemaProps, path []any, value map[string]any) {
	for _, name := range schema.Required {
		m.remove(append(slices.Clone(path), name), "missing")
	}
	if schema.MinProperties != nil && *schema.MinProperties > 0 {
		m.set(path, "empty", map[string]any{})
	}
	if schema.AdditionalProperties == nil {
		m.set(append(slices.Clone(path), "surprise"), "unknown", true)
	}
	for _, name := range slices.Sorted(maps.Keys(value)) {
		below := append(slices.Clone(path), name)
		if property, ok := schema.Properties[name]; ok {
			m.walk(&property, below)
		} else if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
			m.walk(schema.AdditionalProperties.Schema, below)
		}
	}
}

func (m *mutator) list(schema *apiextensionsv1.JSONSchemaProps, path []any, value []any) {
	if schema.MinItems != nil && *schema.MinItems > 0 {
		m.set(path, "empty", []any{})
	}
	if len(value) == 0 {
		return
	}
	m.set(path, "twice the same", append([]any{value[0]}, value...))
	if schema.MaxItems != nil && *schema.MaxItems < longest {
		m.set(path, "too many", slices.Repeat(value[:1], int(*schema.MaxItems)+1))
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		m.walk(schema.Items.Schema, append(slices.Clone(path), 0))
	}
}

func (m *mutator) text(schema *apiextensionsv1.JSONSchemaProps, path []any) {
	if len(schema.Enum) > 0 {
		m.set(path, "none of the values", "surprise")
	}
	if schema.Pattern != "" {
		m.set(path, "another pattern", "\t? !")
	}
	if schema.Format != "" {
		m.set(path, "another format", "no "+schema.Format)
	}
	if schema.MinLength != nil && *schema.MinLength > 0 {
		m.set(path, "too short", strings.Repeat("x", int(*schema.MinLength)-1))
	}
	if schema.MaxLength != nil && *schema.MaxLength < longest {
		m.set(path, "too long", strings.Repeat("x", int(*schema.MaxLength)+1))
	}
}

// otherType returns a value of a type that the schema does not have.
func otherType(schema *apiextensionsv1.JSONSchemaProps, value any) any {
	switch {
	case schema.XIntOrString:
		return true
	case schema.Type == "string":
		return float64(5)
	case value == nil || schema.Type == "":
		return []any{[]any{}}
	}
	return "text"
}

// set adds the object with another value at path.
func (m *mutator) set(path []any, what string, value any) {
	object := clone(m.whole)
	switch parent := at(object, path[:len(path)-1]).(type) {
	case map[string]any:
		parent[path[len(path)-1].(string)] = value
	case []any:
		parent[path[len(path)-1].(int)] = value
	}
	m.found = append(m.found, mutation{name: join(path) + ": " + what, object: object})
}

// remove adds the object without what is at path.
func (m *mutator) remove(path []any, what string) {
	object := clone(m.whole)
	parent, ok := at(object, path[:len(path)-1]).(map[string]any)
	name := path[len(path)-1].(string)
	if _, there := parent[name]; !ok || !there {
		return
	}
	delete(parent, name)
	m.found = append(m.found, mutation{name: join(path) + ": " + what, object: object})
}

// at returns what is at path.
func at(value any, path []any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			parent, _ := value.(map[string]any)
			value = parent[step]
		case int:
			value = value.([]any)[step]
		}
	}
	return value
}

// clone copies what came from JSON.
func clone(object map[string]any) (out map[string]any) {
	data, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		panic(fmt.Sprintf("copying JSON: %v", err))
	}
	return out
}

func join(path []any) string {
	var b strings.Builder
	for _, step := range path {
		if name, ok := step.(string); ok {
			b.WriteString("." + name)
		} else {
			fmt.Fprintf(&b, "[%v]", step)
		}
	}
	return strings.TrimPrefix(b.String(), ".")
}

func TestMutations(t *testing.T) {
	schema := &apiextensionsv1.JSONSchemaProps{}
	if err := yaml.Unmarshal([]byte(`
type: object
required: [spec]
properties:
  spec:
    type: object
    required: [names, absent]
    properties:
      names: {type: array, minItems: 1, items: {type: string, pattern: a}}
      size: {type: integer, minimum: 2}
      more: {type: object, additionalProperties: {type: string, enum: [b]}}
`), schema); err != nil {
		t.Fatal(err)
	}
	object := map[string]any{"kind": "A", "spec": map[string]any{"names": []any{"a"}, "size": 3.0, "more": map[string]any{"x": "b"}}}
	var names []string
	for _, m := range mutations(schema, object) {
		names = append(names, m.name)
		if cmp.Equal(m.object, object) {
			t.Errorf("%s changes nothing", m.name)
		}
	}
	want := []string{
		"spec: another type", "spec: null", "spec.names: missing", "spec.surprise: unknown",
		"spec.more: another type", "spec.more: null", "spec.more.x: another type", "spec.more.x: null", "spec.more.x: none of the values",
		"spec.names: another type", "spec.names: null", "spec.names: empty", "spec.names: twice the same",
		"spec.names[0]: another type", "spec.names[0]: null", "spec.names[0]: another pattern",
		"spec.size: another type", "spec.size: null", "spec.size: too small", "spec.size: a fraction", "spec.size: out of range",
		"spec: missing",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("mutations (-want +got):\n%s", diff)
	}
}
