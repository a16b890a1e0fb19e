package bootstrap

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/annex-dev/annex/generated/openapi"
)

const definitions = "#/definitions/"

// models converts OpenAPI models, which refer to one another, to structural schemas, which have no references.
type models struct {
	all  map[string]common.OpenAPIDefinition
	open []string // models that are being written, from the outside in
}

func newModels() *models {
	return &models{all: openapi.GetOpenAPIDefinitions(func(name string) spec.Ref { return spec.MustCreateRef(definitions + name) })}
}

// structural returns the schema of the model called name as JSON, the same bytes every time.
func (m *models) structural(name string) ([]byte, error) {
	tree, err := m.model(name)
	if err != nil {
		return nil, err
	}
	return json.Marshal(tree)
}

func (m *models) model(name string) (map[string]any, error) {
	for _, outer := range m.open {
		if outer == name {
			return nil, fmt.Errorf("model %s contains itself", name)
		}
	}
	definition, ok := m.all[name]
	if !ok {
		return nil, fmt.Errorf("there is no model %s", name)
	}
	raw, err := json.Marshal(definition.Schema)
	if err != nil {
		return nil, fmt.Errorf("reading model %s: %w", name, err)
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("reading model %s: %w", name, err)
	}
	m.open = append(m.open, name)
	defer func() { m.open = m.open[:len(m.open)-1] }()
	return m.resolve(tree)
}

// resolve returns a schema in which every reference is replaced by its target.
func (m *models) resolve(node map[string]any) (map[string]any, error) {
	resolved := map[string]any{}
	if ref, ok := node["$ref"].(string); ok {
		if ref == definitions+(metav1.ObjectMeta{}).OpenAPIModelName() {
			// The API server handles metadata. A schema may not describe it, not even with a description.
			return map[string]any{"type": "object"}, nil
		}
		target, err := m.model(strings.TrimPrefix(ref, definitions))
		if err != nil {
			return nil, err
		}
		resolved = target
	}
	for key, value := range node {
		if key == "$ref" || !keep(key) || (key == "default" && isZero(value)) {
			continue
		}
		var err error
		switch key {
		case "properties":
			resolved[key], err = m.properties(value)
		case "items", "additionalProperties":
			// additionalProperties may be a bool, which needs no conversion.
			if child, ok := value.(map[string]any); ok {
				value, err = m.resolve(child)
			}
			resolved[key] = value
		case "allOf", "anyOf", "oneOf", "not":
			err = errors.New(key + " is not expected in a Go type")
		default:
			resolved[key] = value
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return resolved, nil
}

func (m *models) properties(value any) (map[string]any, error) {
	fields, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a %T is not a set of properties", value)
	}
	resolved := map[string]any{}
	for name, field := range fields {
		child, ok := field.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: a %T is not a schema", name, field)
		}
		schema, err := m.resolve(child)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		resolved[name] = schema
	}
	return resolved, nil
}

// isZero reports whether the generator derived a default only from the Go type. Such a default says only that the field exists, but a
// structural schema would add the field to objects.
func isZero(value any) bool {
	if m, ok := value.(map[string]any); ok {
		return len(m) == 0
	}
	return value == nil || reflect.ValueOf(value).IsZero()
}
