package crd

import (
	"encoding/json"
	"fmt"
	"iter"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Cost says how much work and memory the schemas of a definition cost, all versions together.
type Cost struct {
	// Bytes is the length of the schemas as JSON.
	Bytes int
	// Nodes is the number of schemas: each property, item and alternative is one.
	Nodes int
	// Patterns is the sum of the sizes of all patterns; see PatternSize.
	Patterns int
	// Rules is the number of CEL rules. A compiled one takes some 70 KiB.
	Rules int
	// Defaults is what it takes to validate all defaults: for each, its values times the schemas at and below it, and the square of its
	// values, because each error is compared with all others. A thousand take about a millisecond.
	Defaults int
}

// Limits are what a definition may cost. The CustomResourceDefinitions of well-known projects cost less than a quarter of each; see
// test/crds.
var Limits = Cost{Bytes: 3 << 20, Nodes: 30_000, Patterns: 20_000, Rules: 1_000, Defaults: 1_000_000}

// CheckLimits returns in what definition exceeds Limits, and what it costs. Paths are those of upstream's validation. Check it before
// anything else in a definition is compiled or copied.
func CheckLimits(definition *apiextensions.CustomResourceDefinition) (Cost, field.ErrorList) {
	var m meter
	spec := field.NewPath("spec")
	for i := range definition.Spec.Versions {
		m.validation(definition.Spec.Versions[i].Schema, 1, spec.Child("versions").Index(i).Child("schema"))
	}
	m.validation(definition.Spec.Validation, max(1, len(definition.Spec.Versions)), spec.Child("validation"))
	path := spec.Child("versions")
	for _, c := range []struct {
		what      string
		got, most int
	}{
		{"bytes", m.Bytes, Limits.Bytes},
		{"nodes", m.Nodes, Limits.Nodes},
		{"instructions in patterns", m.Patterns, Limits.Patterns},
		{"rules", m.Rules, Limits.Rules},
		{"steps to validate defaults", m.Defaults, Limits.Defaults},
	} {
		if c.got > c.most {
			m.errs = append(m.errs, field.Invalid(path, c.got, fmt.Sprintf("the schemas of all versions may have at most %d %s together, and have %d", c.most, c.what, c.got)))
		}
	}
	return m.Cost, m.errs
}

// Nodes returns how many nodes the schemas of definition have. It allocates nothing.
func Nodes(definition *apiextensions.CustomResourceDefinition) int {
	n := validationNodes(definition.Spec.Validation)
	for i := range definition.Spec.Versions {
		n += validationNodes(definition.Spec.Versions[i].Schema)
	}
	return n
}

func validationNodes(v *apiextensions.CustomResourceValidation) int {
	if v == nil {
		return 0
	}
	return nodes(v.OpenAPIV3Schema)
}

// nodes counts what inner yields, and what is in that.
func nodes(s *apiextensions.JSONSchemaProps) int {
	if s == nil {
		return 0
	}
	n := 1 + nodes(s.Not)
	var child apiextensions.JSONSchemaProps // out here, or each one would be allocated
	for _, named := range [...]map[string]apiextensions.JSONSchemaProps{s.Properties, s.PatternProperties, s.Definitions} {
		for _, child = range named {
			n += nodes(&child)
		}
	}
	for _, list := range [...][]apiextensions.JSONSchemaProps{s.AllOf, s.AnyOf, s.OneOf} {
		for i := range list {
			n += nodes(&list[i])
		}
	}
	for _, orBool := range [...]*apiextensions.JSONSchemaPropsOrBool{s.AdditionalProperties, s.AdditionalItems} {
		if orBool != nil {
			n += nodes(orBool.Schema)
		}
	}
	if s.Items != nil {
		n += nodes(s.Items.Schema)
		for i := range s.Items.JSONSchemas {
			n += nodes(&s.Items.JSONSchemas[i])
		}
	}
	for _, dependency := range s.Dependencies {
		n += nodes(dependency.Schema)
	}
	return n
}

// meter adds up what schemas cost.
type meter struct {
	Cost
	errs field.ErrorList
}

// validation adds a schema that as many versions have.
func (m *meter) validation(v *apiextensions.CustomResourceValidation, versions int, path *field.Path) {
	if v == nil || v.OpenAPIV3Schema == nil {
		return
	}
	path = path.Child("openAPIV3Schema")
	one := meter{errs: m.errs}
	one.props(v.OpenAPIV3Schema, path)
	out := &apiextensionsv1.JSONSchemaProps{}
	err := apiextensionsv1.Convert_apiextensions_JSONSchemaProps_To_v1_JSONSchemaProps(v.OpenAPIV3Schema, out, nil)
	var data []byte
	if err == nil {
		data, err = json.Marshal(out)
	}
	if err != nil {
		one.errs = append(one.errs, field.InternalError(path, err))
	}
	m.Bytes += versions * len(data)
	m.Nodes += versions * one.Nodes
	m.Patterns += versions * one.Patterns
	m.Rules += versions * one.Rules
	m.Defaults += versions * one.Defaults
	m.errs = one.errs
}

func (m *meter) props(s *apiextensions.JSONSchemaProps, path *field.Path) {
	before := m.Nodes
	m.Nodes++
	m.Rules += len(s.XValidations)
	if s.Pattern != "" {
		// What is no pattern is for upstream's validation to say.
		size, err := PatternSize(s.Pattern)
		if err == nil && len(s.Pattern) > longestPattern {
			m.errs = append(m.errs, field.TooLong(path.Child("pattern"), "", longestPattern))
		}
		m.Patterns += size
		Compiling(size)
	}
	for at, child := range inner(s, path) {
		m.props(child, at)
	}
	if s.Default != nil {
		n := Values(*s.Default)
		m.Defaults += n * (m.Nodes - before + n)
	}
}

// Values returns how many values are in value, a decoded JSON value, with value itself.
func Values(value any) int {
	n := 1
	switch value := value.(type) {
	case map[string]any:
		for _, v := range value {
			n += Values(v)
		}
	case []any:
		for _, v := range value {
			n += Values(v)
		}
	}
	return n
}

// inner yields the schemas directly in s, with their paths.
func inner(s *apiextensions.JSONSchemaProps, path *field.Path) iter.Seq2[*field.Path, *apiextensions.JSONSchemaProps] {
	return func(yield func(*field.Path, *apiextensions.JSONSchemaProps) bool) {
		one := func(name string, child *apiextensions.JSONSchemaProps) bool {
			return child == nil || yield(path.Child(name), child)
		}
		list := func(name string, children []apiextensions.JSONSchemaProps) bool {
			for i := range children {
				if !yield(path.Child(name).Index(i), &children[i]) {
					return false
				}
			}
			return true
		}
		named := func(name string, children map[string]apiextensions.JSONSchemaProps) bool {
			for key, child := range children {
				if !yield(path.Child(name).Key(key), &child) {
					return false
				}
			}
			return true
		}
		orBool := func(name string, child *apiextensions.JSONSchemaPropsOrBool) bool {
			return child == nil || one(name, child.Schema)
		}
		_ = named("properties", s.Properties) && named("patternProperties", s.PatternProperties) && named("definitions", s.Definitions) &&
			list("allOf", s.AllOf) && list("anyOf", s.AnyOf) && list("oneOf", s.OneOf) && one("not", s.Not) &&
			orBool("additionalProperties", s.AdditionalProperties) && orBool("additionalItems", s.AdditionalItems) &&
			(s.Items == nil || one("items", s.Items.Schema) && list("items", s.Items.JSONSchemas)) &&
			dependencies(s, path.Child("dependencies"), yield)
	}
}

func dependencies(s *apiextensions.JSONSchemaProps, path *field.Path, yield func(*field.Path, *apiextensions.JSONSchemaProps) bool) bool {
	for key, child := range s.Dependencies {
		if child.Schema != nil && !yield(path.Key(key), child.Schema) {
			return false
		}
	}
	return true
}
