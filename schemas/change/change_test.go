package change

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
)

// parse returns what YAML says.
func parse[T any](t *testing.T, text string) *T {
	t.Helper()
	out := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), out); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return out
}

// lines returns changes as text; breaking ones begin with an exclamation mark.
func lines(changes []Change) []string {
	var all []string
	for _, c := range changes {
		line := c.String()
		if c.Breaking {
			line = "! " + line
		}
		all = append(all, line)
	}
	return all
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		from, to string
		want     []string
	}{
		"nothing":                      {"{type: object, properties: {a: {type: string}}}", "{type: object, description: x, properties: {a: {type: string, title: y}}}", nil},
		"a new field":                  {"{type: object}", "{type: object, properties: {a: {type: string}}}", []string{"a: is new"}},
		"a field is removed":           {"{type: object, properties: {a: {type: string}}}", "{type: object}", []string{"! a: is removed: its value is dropped"}},
		"removed and kept":             {"{type: object, properties: {a: {type: string}}}", "{type: object, x-kubernetes-preserve-unknown-fields: true}", []string{".: unknown fields are kept", "a: is kept, and no longer checked"}},
		"a field that was kept":        {"{type: object, x-kubernetes-preserve-unknown-fields: true}", "{type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: string}}}", []string{"! a: has a schema: values that were kept as they are may be refused"}},
		"no longer kept":               {"{type: object, x-kubernetes-preserve-unknown-fields: true}", "{type: object}", []string{"! .: unknown fields are no longer kept"}},
		"another type":                 {"{type: object, properties: {a: {type: integer, minimum: 1}}}", "{type: object, properties: {a: {type: string}}}", []string{"! a: the type changes from integer to string"}},
		"integer or string":            {"{type: object, properties: {a: {type: integer}}}", "{type: object, properties: {a: {x-kubernetes-int-or-string: true}}}", []string{"! a: the type changes from integer to integer or string"}},
		"required":                     {"{type: object, properties: {a: {type: string}}}", "{type: object, required: [a], properties: {a: {type: string}}}", []string{"! a: is required, and has no default"}},
		"required with a default":      {"{type: object, properties: {a: {type: string, default: x}}}", "{type: object, required: [a], properties: {a: {type: string, default: x}}}", []string{"a: is always there, with its default"}},
		"no longer required":           {"{type: object, required: [a], properties: {a: {type: string}}}", "{type: object, properties: {a: {type: string}}}", []string{"a: is optional: clients may find objects without it"}},
		"deep":                         {"{type: object, properties: {a: {type: object, properties: {b: {type: array, items: {type: object, properties: {c: {type: string}}}}}}}}", "{type: object, properties: {a: {type: object, properties: {b: {type: array, items: {type: object, properties: {c: {type: string, maxLength: 3}}}}}}}}", []string{"! a.b[].c: its length must be at most 3"}},
		"values of a map":              {"{type: object, properties: {a: {type: object, additionalProperties: {type: string}}}}", "{type: object, properties: {a: {type: object, additionalProperties: {type: string, enum: [x]}}}}", []string{`! a{}: must be one of "x"`}},
		"no map":                       {"{type: object, properties: {a: {type: object, additionalProperties: {type: string}}}}", "{type: object, properties: {a: {type: object}}}", []string{"! a: is no map any more: its values are dropped"}},
		"a map":                        {"{type: object, properties: {a: {type: object}}}", "{type: object, properties: {a: {type: object, additionalProperties: true}}}", []string{"a: is a map"}},
		"a field becomes a value":      {"{type: object, properties: {a: {type: object, properties: {b: {type: string}}}}}", "{type: object, properties: {a: {type: object, additionalProperties: {type: string}}}}", []string{"! a.b: is no field of its own any more, but a value of a map", "a: is a map"}},
		"enum shrinks and grows":       {"{type: string, enum: [a, b]}", "{type: string, enum: [b, c]}", []string{`! .: may no longer be "a"`, `.: may be "c", too`}},
		"enum in another order":        {"{type: string, enum: [a, b]}", "{type: string, enum: [b, a]}", nil},
		"no enum":                      {"{type: string, enum: [a]}", "{type: string}", []string{`.: may be any value, no longer only "a"`}},
		"null":                         {"{type: string, nullable: true}", "{type: string}", []string{"! .: may no longer be null"}},
		"not null":                     {"{type: string}", "{type: string, nullable: true}", []string{".: may be null"}},
		"minimum":                      {"{type: integer, minimum: 1}", "{type: integer, minimum: 2}", []string{"! .: its value must be at least 2"}},
		"lower minimum":                {"{type: integer, minimum: 1}", "{type: integer, minimum: 0}", []string{".: its value may be 0, the least was 1"}},
		"new maximum":                  {"{type: integer}", "{type: integer, maximum: 5}", []string{"! .: its value must be at most 5"}},
		"no maximum":                   {"{type: integer, maximum: 5}", "{type: integer}", []string{".: its value may be more than 5"}},
		"exclusive":                    {"{type: integer, minimum: 1}", "{type: integer, minimum: 1, exclusiveMinimum: true}", []string{"! .: no longer allowed: the minimum itself"}},
		"exclusive, and without bound": {"{type: integer}", "{type: integer, exclusiveMinimum: true}", nil},
		"items":                        {"{type: array, items: {type: string}, maxItems: 3}", "{type: array, items: {type: string}, minItems: 1, maxItems: 4}", []string{"! .: the number of items must be at least 1", ".: the number of items may be 4, the most was 3"}},
		"fields":                       {"{type: object, minProperties: 2}", "{type: object}", []string{".: the number of fields may be less than 2"}},
		"pattern":                      {"{type: string, pattern: a}", "{type: string, pattern: b}", []string{"! .: the pattern changes from a to b"}},
		"no format":                    {"{type: string, format: date}", "{type: string}", []string{".: format date is removed"}},
		"multipleOf":                   {"{type: number}", "{type: number, multipleOf: 0.5}", []string{"! .: has the multipleOf 0.5"}},
		"default":                      {"{type: string}", "{type: string, default: a}", []string{`.: has the default "a"`}},
		"another default":              {"{type: object, default: {a: 1, b: 2}}", "{type: object, default: {b: 2, a: 3}}", []string{`! .: the default changes from {"a":1,"b":2} to {"a":3,"b":2}`}},
		"the same default":             {"{type: object, default: {a: 1, b: 2}}", "{type: object, default: {b: 2, a: 1}}", nil},
		"no default":                   {"{type: string, default: a}", "{type: string}", []string{`! .: has no default any more; it was "a"`}},
		"a rule":                       {"{type: object}", "{type: object, x-kubernetes-validations: [{rule: self.a}]}", []string{"! .: has a new rule: self.a"}},
		"another message":              {"{type: object, x-kubernetes-validations: [{rule: self.a}]}", "{type: object, x-kubernetes-validations: [{rule: self.a, message: m}]}", nil},
		"no rule":                      {"{type: object, x-kubernetes-validations: [{rule: self.a}]}", "{type: object}", []string{".: a rule is removed: self.a"}},
		"a rule on create":             {"{type: object, x-kubernetes-validations: [{rule: oldSelf}]}", "{type: object, x-kubernetes-validations: [{rule: oldSelf, optionalOldSelf: true}]}", []string{"! .: a rule holds on create, too: oldSelf"}},
		"anyOf":                        {"{type: object, anyOf: [{required: [a]}]}", "{type: object, anyOf: [{required: [b]}]}", []string{"! .: anyOf changes"}},
		"no anyOf":                     {"{type: object, anyOf: [{required: [a]}]}", "{type: object}", []string{".: anyOf is removed"}},
		"not":                          {"{type: object}", "{type: object, not: {required: [a]}}", []string{"! .: not changes"}},
		"a set":                        {"{type: array, items: {type: string}}", "{type: array, x-kubernetes-list-type: set, items: {type: string}}", []string{"! .: the list type changes from atomic to set: items must differ, and apply merges them"}},
		"atomic":                       {"{type: array, x-kubernetes-list-type: set, items: {type: string}}", "{type: array, x-kubernetes-list-type: atomic, items: {type: string}}", []string{".: apply replaces the list as a whole"}},
		"other keys":                   {"{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [a]}", "{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [a, b]}", []string{"! .: the keys of items change from a to a, b"}},
		"an atomic object":             {"{type: object}", "{type: object, x-kubernetes-map-type: atomic}", []string{".: apply treats the object as atomic, no longer as granular"}},
		"a whole object":               {"{type: object, x-kubernetes-preserve-unknown-fields: true}", "{type: object, x-kubernetes-preserve-unknown-fields: true, x-kubernetes-embedded-resource: true}", []string{"! .: must be a whole object with apiVersion and kind"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &log{}
			l.compare(parse[apiextensionsv1.JSONSchemaProps](t, tt.from), parse[apiextensionsv1.JSONSchemaProps](t, tt.to), "")
			got := lines(l.changes)
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

const widgets = `
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}
    selectableFields: [{jsonPath: .spec.a}]
`

func TestBetween(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		to   string
		want []string
	}{
		"the same": {widgets, nil},
		"another API": {`
spec:
  group: example.org
  scope: Cluster
  names: {plural: gadgets, kind: Gadget}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}, selectableFields: [{jsonPath: .spec.a}]}
`, []string{
			"! the group changes from example.com to example.org", "! the plural name changes from widgets to gadgets", "! the kind changes from Widget to Gadget",
			"! the kind of lists changes from WidgetList to GadgetList", "! the scope changes from Namespaced to Cluster",
		}},
		"a version more": {`
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [w]}
  versions:
  - {name: v2, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
  - {name: v1, served: true, storage: false, deprecated: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}, selectableFields: [{jsonPath: .spec.b}],
     subresources: {status: {}, scale: {specReplicasPath: .spec.n, statusReplicasPath: .status.n}}}
`, []string{
			"! v1 spec.a: can no longer be used in field selectors", "! v1 status: becomes a subresource: a write of the object no longer changes it",
			"objects that are written are stored as v2, no longer as v1", "v1 the version is deprecated", "v1 the subresource scale is new",
			"v1 spec.b: can be used in field selectors", "v2 the version is new",
		}},
		"a version less": {`
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget}
  versions:
  - {name: v1, served: false, storage: true, schema: {openAPIV3Schema: {type: object}}}
`, []string{"! v1 the version is no longer served"}},
		"no version": {`
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget}
  versions:
  - {name: v3, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
`, []string{"! v1 the version is removed", "objects that are written are stored as v3, no longer as v1", "v3 the version is new"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := Between(parse[apiextensionsv1.CustomResourceDefinition](t, widgets), parse[apiextensionsv1.CustomResourceDefinition](t, tt.to))
			if diff := cmp.Diff(tt.want, lines(changes)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if n := len(Breaking(changes)); slices.IndexFunc(changes, func(c Change) bool { return !c.Breaking }) >= 0 && changes[n].Breaking {
				t.Errorf("%d are breaking, and they do not come first: %v", n, changes)
			}
		})
	}
}

func TestNoWayBack(t *testing.T) {
	of := func(scope apiextensionsv1.ResourceScope, kind, stored string, versions ...string) *apisv1alpha1.APIResourceSchema {
		s := &apisv1alpha1.APIResourceSchema{}
		s.Name, s.Spec.Scope, s.Spec.Names.Kind = stored, scope, kind
		for _, v := range versions {
			s.Spec.Versions = append(s.Spec.Versions, apisv1alpha1.APIResourceVersion{Name: v, Storage: v == stored})
		}
		return s
	}
	from := of(apiextensionsv1.NamespaceScoped, "Widget", "v1", "v1")
	for name, tc := range map[string]struct {
		to   *apisv1alpha1.APIResourceSchema
		want string
	}{
		"a version more":      {of(apiextensionsv1.NamespaceScoped, "Widget", "v1", "v1", "v2"), ""},
		"stored in it":        {of(apiextensionsv1.NamespaceScoped, "Widget", "v2", "v1", "v2"), `stores objects in version "v2"`},
		"without the version": {of(apiextensionsv1.NamespaceScoped, "Widget", "v2", "v2"), `stores objects in version "v2"`},
		"another scope":       {of(apiextensionsv1.ClusterScoped, "Widget", "v1", "v1"), "scope Cluster"},
		"another kind":        {of(apiextensionsv1.NamespaceScoped, "Gadget", "v1", "v1"), "kind Gadget"},
	} {
		if got := NoWayBack(from, tc.to); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	both := of(apiextensionsv1.NamespaceScoped, "Widget", "v1", "v1", "v2")
	if got := NoWayBack(both, of(apiextensionsv1.NamespaceScoped, "Widget", "v2", "v2")); !strings.Contains(got, `does not have version "v1"`) {
		t.Errorf("without the version that was stored: %q", got)
	}
}
