package crd

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestCheckLimits(t *testing.T) {
	object := func(text string) *apiextensions.CustomResourceValidation {
		return &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{Type: "object", Properties: map[string]apiextensions.JSONSchemaProps{
			"a": {Type: "string", Pattern: text},
		}}}
	}
	many := func(n int) *apiextensions.CustomResourceValidation {
		v := &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{Type: "object"}}
		for range n {
			v.OpenAPIV3Schema.AllOf = append(v.OpenAPIV3Schema.AllOf, apiextensions.JSONSchemaProps{Not: &apiextensions.JSONSchemaProps{}})
		}
		return v
	}
	ruled := object("a")
	ruled.OpenAPIV3Schema.XValidations = make(apiextensions.ValidationRules, Limits.Rules+1)
	defaulted := func(n, properties int) *apiextensions.CustomResourceValidation {
		var list apiextensions.JSON = slices.Repeat([]any{map[string]any{}}, n-1) // and the list itself
		items := &apiextensions.JSONSchemaProps{Type: "object", Properties: map[string]apiextensions.JSONSchemaProps{}}
		for i := range properties - 2 { // and those of the list and its items
			items.Properties[strconv.Itoa(i)] = apiextensions.JSONSchemaProps{Type: "string"}
		}
		return &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{Type: "object", Properties: map[string]apiextensions.JSONSchemaProps{
			"a": {Type: "array", Default: &list, Items: &apiextensions.JSONSchemaPropsOrArray{Schema: items}},
		}}}
	}
	described := object("a")
	described.OpenAPIV3Schema.Description = strings.Repeat("x", Limits.Bytes/2)
	for name, tc := range map[string]struct {
		shared   *apiextensions.CustomResourceValidation
		versions []*apiextensions.CustomResourceValidation
		want     string
	}{
		"nothing":               {nil, []*apiextensions.CustomResourceValidation{nil}, ""},
		"little":                {nil, []*apiextensions.CustomResourceValidation{object("^[a-z]+$"), object("a")}, ""},
		"a long pattern":        {nil, []*apiextensions.CustomResourceValidation{object("a"), object(strings.Repeat("a", longestPattern+1))}, "spec.versions[1].schema.openAPIV3Schema.properties[a].pattern: Too long: may not be more than 4096 bytes"},
		"a big pattern":         {object(strings.Repeat("a.{0,900}b", 12)), []*apiextensions.CustomResourceValidation{nil}, "spec.versions: Invalid value: "},
		"together":              {object(strings.Repeat("a.{0,900}b", 6)), []*apiextensions.CustomResourceValidation{nil, nil}, "the schemas of all versions may have at most 20000 instructions in patterns together, and have 21"},
		"one of these is not":   {object(strings.Repeat("a.{0,900}b", 6)), []*apiextensions.CustomResourceValidation{nil}, ""},
		"many nodes":            {nil, []*apiextensions.CustomResourceValidation{many(Limits.Nodes / 2)}, "the schemas of all versions may have at most 30000 nodes together, and have 30001"},
		"as many as may be":     {nil, []*apiextensions.CustomResourceValidation{many(Limits.Nodes/2 - 1)}, ""},
		"many rules":            {nil, []*apiextensions.CustomResourceValidation{ruled}, "the schemas of all versions may have at most 1000 rules together, and have 1001"},
		"many bytes":            {described, []*apiextensions.CustomResourceValidation{nil, nil}, "bytes together"},
		"as many bytes as fit":  {described, []*apiextensions.CustomResourceValidation{nil}, ""},
		"large defaults":        {nil, []*apiextensions.CustomResourceValidation{defaulted(2_000, 10)}, "the schemas of all versions may have at most 1000000 steps to validate defaults together, and have 4020000"},
		"many to look for":      {nil, []*apiextensions.CustomResourceValidation{defaulted(200, 6_000)}, "steps to validate defaults together, and have 1240000"},
		"defaults that fit":     {nil, []*apiextensions.CustomResourceValidation{defaulted(200, 4_000)}, ""},
		"what is no pattern is": {object("("), []*apiextensions.CustomResourceValidation{nil}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			definition := &apiextensions.CustomResourceDefinition{}
			definition.Spec.Validation = tc.shared
			for _, v := range tc.versions {
				definition.Spec.Versions = append(definition.Spec.Versions, apiextensions.CustomResourceDefinitionVersion{Schema: v})
			}
			cost, errs := CheckLimits(definition)
			switch {
			case tc.want == "" && len(errs) > 0:
				t.Errorf("refused: %v", errs)
			case tc.want != "" && (len(errs) != 1 || !strings.Contains(errs[0].Error(), tc.want)):
				t.Errorf("%v (%+v), want %q", errs, cost, tc.want)
			}
		})
	}
}

// All the places where a schema may hold another one count.
func TestCheckLimits_CountsEveryNode(t *testing.T) {
	text := `{"properties":{"a":{}},"patternProperties":{"a":{}},"definitions":{"a":{}},"dependencies":{"a":{"required":["b"]},"b":["c"]},"allOf":[{}],"anyOf":[{}],"oneOf":[{}],
		"not":{},"additionalProperties":{},"additionalItems":{},"items":{"items":[{},{}]}}`
	props, err := ParseSchema(runtime.RawExtension{Raw: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	in := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, in, nil); err != nil {
		t.Fatal(err)
	}
	definition := &apiextensions.CustomResourceDefinition{}
	definition.Spec.Validation = &apiextensions.CustomResourceValidation{OpenAPIV3Schema: in}
	if cost, errs := CheckLimits(definition); cost.Nodes != 14 || len(errs) > 0 {
		t.Errorf("%d nodes (%v), want 14", cost.Nodes, errs)
	}
	if n := Nodes(definition); n != 14 {
		t.Errorf("%d nodes, want 14", n)
	}
	// It is asked again and again, of schemas with tens of thousands.
	if n := testing.AllocsPerRun(10, func() { Nodes(definition) }); n > 0 {
		t.Errorf("counting allocates %v times", n)
	}
}
