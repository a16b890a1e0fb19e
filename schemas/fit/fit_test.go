package fit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/schemas/crd"
)

// parse returns what YAML says.
func parse[T any](t testing.TB, text string) *T {
	t.Helper()
	out := new(T)
	if err := yaml.Unmarshal([]byte(text), out); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return out
}

// define returns a definition with the given versions; the first one is stored.
func define(t testing.TB, versions ...string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"}, Spec: apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
	}}
	for i, schema := range versions {
		version := apiextensionsv1.CustomResourceDefinitionVersion{Name: fmt.Sprintf("v%d", i+1), Served: true, Storage: i == 0}
		if schema != "" {
			version.Schema = &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: parse[apiextensionsv1.JSONSchemaProps](t, schema)}
		}
		definition.Spec.Versions = append(definition.Spec.Versions, version)
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinition(definition)
	return definition
}

func widget(t testing.TB, version, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if err := utiljson.Unmarshal(data, &obj.Object); err != nil { // with integers
		t.Fatal(err)
	}
	obj.SetAPIVersion("example.com/" + version)
	obj.SetKind("Widget")
	obj.SetName("w")
	obj.SetNamespace("default")
	return obj
}

// check returns faults as text.
func check(t testing.TB, definition *apiextensionsv1.CustomResourceDefinition, obj *unstructured.Unstructured) []string {
	t.Helper()
	c, err := New(definition)
	if err != nil {
		t.Fatal(err)
	}
	before := obj.DeepCopy()
	faults, more, err := c.Check(t.Context(), obj)
	if err != nil || more > 0 {
		t.Fatalf("%d more, %v", more, err)
	}
	if diff := cmp.Diff(before, obj); diff != "" {
		t.Errorf("the object was changed: %s", diff)
	}
	var lines []string
	for _, f := range faults {
		lines = append(lines, f.Version+" "+f.Field+": "+f.Message)
	}
	return lines
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		schema, obj string
		want        []string
	}{
		"fits":                    {`{type: object, properties: {a: {type: string}}}`, `{a: x}`, nil},
		"no schema":               {``, `{a: x}`, nil},
		"a field is removed":      {`{type: object}`, `{a: x}`, nil}, // pruned: a client that reads it does not see it
		"another type":            {`{type: object, properties: {a: {type: integer}}}`, `{a: x}`, []string{"v1 a: must be of type integer"}},
		"required":                {`{type: object, required: [a], properties: {a: {type: string}}}`, `{}`, []string{"v1 a: is required"}},
		"required with a default": {`{type: object, required: [a], properties: {a: {type: string, default: x}}}`, `{}`, nil},
		"a default that is too large": {
			`{type: object, properties: {a: {type: array, items: {type: object, properties: {b: {type: string, default: ` + strings.Repeat("x", 100_000) + `}}}}}}`,
			`{a: [` + strings.Repeat("{},", 40) + `{}]}`,
			[]string{"v1 : the defaults of the schema may add at most 3145728 bytes to an object; they add more, the last ones to \".a[31].b\""},
		},
		"enum":         {`{type: object, properties: {a: {type: string, enum: [b, c]}}}`, `{a: x}`, []string{`v1 a: is none of the allowed values: "b", "c"`}},
		"pattern":      {`{type: object, properties: {a: {type: string, pattern: "^y$"}}}`, `{a: x}`, []string{"v1 a: should match '^y$'"}},
		"length":       {`{type: object, properties: {a: {type: string, maxLength: 1}}}`, `{a: xx}`, []string{"v1 a: may not be more than 1 byte"}},
		"format":       {`{type: object, properties: {a: {type: string, format: date}}}`, `{a: xx}`, []string{"v1 a: must be of type date"}},
		"in a list":    {`{type: object, properties: {a: {type: array, items: {type: object, properties: {b: {type: integer, minimum: 3}}}}}}`, `{a: [{b: 3}, {b: 2}]}`, []string{"v1 a[1].b: should be greater than or equal to 3"}},
		"a set":        {`{type: object, properties: {a: {type: array, x-kubernetes-list-type: set, items: {type: string}}}}`, `{a: [x, x]}`, []string{"v1 a[1]: is in the list twice"}},
		"a rule":       {`{type: object, properties: {a: {type: integer}}, x-kubernetes-validations: [{rule: "self.a > 3", message: "too few"}]}`, `{a: 3}`, []string{"v1 : too few"}},
		"no message":   {`{type: object, properties: {a: {type: integer}}, x-kubernetes-validations: [{rule: "self.a > 3"}]}`, `{a: 3}`, []string{"v1 : failed rule: self.a > 3"}},
		"a transition": {`{type: object, properties: {a: {type: integer}}, x-kubernetes-validations: [{rule: "self.a > oldSelf.a"}]}`, `{a: 3}`, nil},
		"rules are for what has the right types": {
			`{type: object, properties: {a: {type: integer}, b: {type: integer}}, x-kubernetes-validations: [{rule: "self.a > 3"}]}`, `{a: 3, b: x}`,
			[]string{"v1 b: must be of type integer"},
		},
		"a whole object": {
			`{type: object, properties: {a: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}}}`, `{a: {kind: X, metadata: {name: "///"}}}`,
			[]string{"v1 a.apiVersion: is required", "v1 a.metadata.name: is not valid in an object"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, check(t, define(t, tt.schema), widget(t, "v1", tt.obj))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheck_WhatTheSchemaIsNotFor(t *testing.T) {
	t.Parallel()
	definition := define(t, `{type: object}`)
	other, gone, clusterScoped := widget(t, "v1", `{}`), widget(t, "v0", `{}`), widget(t, "v1", `{}`)
	other.SetKind("Gadget")
	clusterScoped.SetNamespace("")
	for want, obj := range map[string]*unstructured.Unstructured{
		"v1 kind: must be Widget of group example.com":                          other,
		"v0 apiVersion: is stored in version v0, which does not exist any more": gone,
		"v1 metadata.namespace: is not of the scope of the resource":            clusterScoped,
	} {
		if diff := cmp.Diff([]string{want}, check(t, definition, obj)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestCheck_Scale(t *testing.T) {
	t.Parallel()
	definition := define(t, `{type: object, x-kubernetes-preserve-unknown-fields: true}`)
	selector := ".status.selector"
	definition.Spec.Versions[0].Subresources = &apiextensionsv1.CustomResourceSubresources{Scale: &apiextensionsv1.CustomResourceSubresourceScale{
		SpecReplicasPath: ".spec.count", StatusReplicasPath: ".status.count", LabelSelectorPath: &selector,
	}}
	if got := check(t, definition, widget(t, "v1", `{spec: {count: 3}, status: {count: 2, selector: "a=b"}}`)); got != nil {
		t.Errorf("got %q", got)
	}
	want := []string{
		"v1 spec.count: must be a number of replicas, from 0 to 2147483647", "v1 status.count: must be a number of replicas, from 0 to 2147483647",
		"v1 status.selector: must be a label selector in a string",
	}
	if diff := cmp.Diff(want, check(t, definition, widget(t, "v1", `{spec: {count: -1}, status: {count: "2", selector: 7}}`))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheck_EachServedVersion(t *testing.T) {
	t.Parallel()
	one, two := `{type: object, properties: {a: {type: string}}}`, `{type: object, properties: {a: {type: string, maxLength: 2}}}`
	definition := define(t, one, two)
	obj := widget(t, "v1", `{a: xxx}`)
	if diff := cmp.Diff([]string{"v2 a: may not be more than 2 bytes"}, check(t, definition, obj)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	definition.Spec.Versions[1].Served = false
	if got := check(t, definition, obj); got != nil {
		t.Errorf("by a version that is not served: %q", got)
	}
	// What is said twice is said once, by the version that is stored.
	if diff := cmp.Diff([]string{"v1 a: may not be more than 2 bytes"}, check(t, define(t, two, two), obj)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A webhook is not called.
	definition.Spec.Versions[1].Served = true
	definition.Spec.Conversion.Strategy = apiextensionsv1.WebhookConverter
	if got := check(t, definition, obj); got != nil {
		t.Errorf("without conversion: %q", got)
	}
}

func TestCheck_ConvertsByRules(t *testing.T) {
	t.Parallel()
	definition := define(t, `{type: object, properties: {age: {type: integer}}}`, `{type: object, properties: {years: {type: string, maxLength: 2}}}`)
	if err := crd.SetConversion(definition, &apisv1alpha1.APIConversion{Spec: *parse[apisv1alpha1.APIConversionSpec](t, `
conversions:
- {from: v1, to: v2, rules: [{field: .age, destination: .years, transformation: "string(100 / self)"}]}
- {from: v2, to: v1, rules: [{field: .years, destination: .age, transformation: "int(self)"}]}`)}); err != nil {
		t.Fatal(err)
	}
	for obj, want := range map[string][]string{
		`{age: 10}`: nil,
		`{age: 1}`:  {"v2 years: may not be more than 2 bytes"},
		`{age: 0}`:  {"v2 age: the rules of the APIConversion cannot convert it"},
	} {
		if diff := cmp.Diff(want, check(t, definition, widget(t, "v1", obj))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", obj, diff)
		}
	}
	if diff := cmp.Diff([]string{"v1 years: the rules of the APIConversion cannot convert it"}, check(t, definition, widget(t, "v2", `{years: x}`))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Those who read faults may not be those who may read objects.
func TestCheck_QuotesNoValues(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	definition := define(t, `
type: object
properties:
  date: {type: string, format: date}
  number: {type: integer}
  enum: {type: string, enum: [a]}
  pattern: {type: string, pattern: "^a$"}
  length: {type: string, maxLength: 1}
  not: {type: string, not: {enum: [hunter2]}}
  any: {type: string, anyOf: [{maxLength: 2}, {pattern: "^a$"}]}
  set: {type: array, x-kubernetes-list-type: set, items: {type: string}}
  map: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k], items: {type: object, required: [k], properties: {k: {type: string}}}}
  object: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}
`)
	definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["not"].Not.Enum[0].Raw = []byte(`"hunter2"`)
	byRules := define(t, `
type: object
properties:
  said: {type: string, x-kubernetes-validations: [{rule: "self == 'a'", messageExpression: "'it is ' + self"}]}
  failed: {type: string, x-kubernetes-validations: [{rule: "int(self) > 3"}]}
  timed: {type: string, x-kubernetes-validations: [{rule: "duration(self) > duration('1s')"}]}
  key: {type: object, additionalProperties: {type: string}, x-kubernetes-validations: [{rule: "self[self['of']] == 'a'"}]}
`)
	for _, tt := range []struct {
		definition *apiextensionsv1.CustomResourceDefinition
		obj        string
		want       int
	}{
		{definition, `{date: hunter2, number: hunter2, enum: hunter2, pattern: hunter2, length: hunter2, not: hunter2, any: hunter2, set: [hunter2, hunter2], map: [{k: hunter2}, {k: hunter2}],
			object: {apiVersion: hunter2/hunter2/hunter2, kind: "hunter2 hunter2", metadata: {name: "/hunter2", namespace: 7, labels: {hunter2: "hunter2 hunter2"}}}}`, 12},
		{byRules, `{said: hunter2, failed: hunter2, timed: hunter2, key: {of: hunter2}}`, 4},
	} {
		got := check(t, tt.definition, widget(t, "v1", tt.obj))
		if len(got) < tt.want {
			t.Errorf("%d faults, want %d: %q", len(got), tt.want, got)
		}
		for _, line := range got {
			if strings.Contains(line, secret) {
				t.Errorf("a value is told: %s", line)
			}
		}
	}
}

func TestCheck_IsBounded(t *testing.T) {
	t.Parallel()
	c, err := New(define(t, `{type: object, properties: {a: {type: object, additionalProperties: {type: integer}}, b: {type: array, items: {type: string, pattern: "(?:a.{0,950}b)|c"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "%s%d: x, ", strings.Repeat("k", 1_000), i)
	}
	faults, more, err := c.Check(t.Context(), widget(t, "v1", `{a: {`+many.String()+`}}`))
	if err != nil || len(faults) != MaxFaults || more != 100-MaxFaults {
		t.Errorf("%d faults and %d more, %v: %.300v", len(faults), more, err, faults)
	}
	for _, f := range faults {
		if len(f.Field) > maxField || len(f.Message) > maxMessage {
			t.Errorf("%d bytes of field, %d of message", len(f.Field), len(f.Message))
		}
	}
	// Validating this would take minutes.
	faults, _, err = c.Check(t.Context(), widget(t, "v1", `{b: [`+strings.Repeat("a", 400_000)+`]}`))
	if err != nil || len(faults) != 1 || faults[0].Field != "b[0]" || !strings.Contains(faults[0].Message, "takes too long to validate") {
		t.Errorf("%v, %v", faults, err)
	}
}
