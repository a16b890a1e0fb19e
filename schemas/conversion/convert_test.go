package conversion

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
)

const people = `
spec:
  group: example.com
  scope: Namespaced
  names: {plural: people, singular: person, kind: Person, listKind: PersonList}
  versions:
  - name: v1
    served: true
    storage: false
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              first: {type: string}
              last: {type: string}
              age: {type: integer}
              born: {type: string, format: date}
              tags: {type: array, items: {type: string}}
              "dotted.name/x": {type: string}
              free: {x-kubernetes-preserve-unknown-fields: true}
          status: {type: object, properties: {phase: {type: string}}}
  - name: v2
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              name: {type: object, properties: {first: {type: string}, last: {type: string}, middle: {type: string}}}
              age: {type: string}
              born: {type: string, format: date}
              labels: {type: object, additionalProperties: {type: string}}
              port: {x-kubernetes-int-or-string: true}
              free: {x-kubernetes-preserve-unknown-fields: true}
          status: {type: object, properties: {phase: {type: string}}}
  - name: v3
    served: true
    storage: false
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {full: {type: string}}}
`

const peopleRules = `
conversions:
- from: v1
  to: v2
  rules:
  - {field: .spec.first, destination: .spec.name.first}
  - {field: spec.last, destination: spec.name.last, transformation: "self.upperAscii()"}
  - {field: .spec.age, destination: .spec.age, transformation: "string(self)"}
  - {field: .spec.born, destination: .spec.born, transformation: "self"}
  - {field: .spec.tags, destination: .spec.labels, transformation: "self.transformMapEntry(i, t, {t: 'yes'})"}
  - {field: .spec.free, destination: .spec.free}
  - {field: .status, destination: .status}
  preserve: [".spec['dotted.name/x']"]
- from: v2
  to: v1
  rules:
  - {field: .spec.name.first, destination: .spec.first}
  - {field: .spec.name.last, destination: .spec.last, transformation: "self.lowerAscii()"}
  - {field: .spec.age, destination: .spec.age, transformation: "int(self)"}
  - {field: .spec.born, destination: .spec.born}
  - {field: .spec.labels, destination: .spec.tags, transformation: "self.map(k, k)"}
  - {field: .spec.free, destination: .spec.free}
  - {field: .status, destination: .status}
  preserve: [.spec.name.middle, .spec.port]
- from: v2
  to: v3
  rules:
  - {field: .spec.name, destination: .spec.full, transformation: "has(self.first) && has(self.last) ? optional.of(self.first + ' ' + self.last) : optional.none()"}
  preserve: [.spec, .status]
- from: v3
  to: v2
  rules:
  - {field: .spec.full, destination: .spec.name, transformation: "{'first': self.split(' ')[0], 'last': self.split(' ')[1]}"}
`

func peopleDefinition(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict([]byte(people), crd); err != nil {
		t.Fatal(err)
	}
	return crd
}

func specOf(t *testing.T, text string) *apisv1alpha1.APIConversionSpec {
	t.Helper()
	spec := &apisv1alpha1.APIConversionSpec{}
	if err := yaml.UnmarshalStrict([]byte(text), spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

func rulesOf(t *testing.T, rules string) *Rules {
	t.Helper()
	compiled, errs := Compile(specOf(t, rules), peopleDefinition(t))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return compiled
}

func anObject(t *testing.T, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u, err := runtime.Decode(unstructuredJSON, data)
	if err != nil {
		t.Fatal(err)
	}
	return content(u)
}

func convert(t *testing.T, r *Rules, obj map[string]any, to string) map[string]any {
	t.Helper()
	before := runtime.DeepCopyJSON(obj)
	out, err := r.Convert(t.Context(), obj, to, NewBudget(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, obj); diff != "" {
		t.Errorf("the object was changed: %s", diff)
	}
	return out
}

func TestConvert(t *testing.T) {
	r := rulesOf(t, peopleRules)
	first := anObject(t, `
apiVersion: example.com/v1
kind: Person
metadata: {name: ada, namespace: default, labels: {a: b}, annotations: {c: d}, generation: 3}
spec: {first: Ada, last: Lovelace, age: 36, born: "1815-12-10", tags: [math], "dotted.name/x": kept, free: {deep: [1, 2.5, {a: null}]}}
status: {phase: Known}
`)
	second := convert(t, r, first, "v2")
	want := anObject(t, `
apiVersion: example.com/v2
kind: Person
metadata: {name: ada, namespace: default, labels: {a: b}, generation: 3, annotations: {c: d, preserve.conversion.apis.kcp.io/v1: '{".spec[''dotted.name/x'']":"kept"}'}}
spec: {name: {first: Ada, last: LOVELACE}, age: "36", born: "1815-12-10", labels: {math: "yes"}, free: {deep: [1, 2.5, {a: null}]}}
status: {phase: Known}
`)
	if diff := cmp.Diff(want, second); diff != "" {
		t.Error(diff)
	}
	back := convert(t, r, second, "v1")
	first["spec"].(map[string]any)["last"] = "lovelace"
	if diff := cmp.Diff(first, back); diff != "" {
		t.Errorf("round trip: %s", diff)
	}
	// What a client of the older version changes wins over what was preserved around it.
	second["spec"].(map[string]any)["name"].(map[string]any)["middle"] = "King"
	second["spec"].(map[string]any)["port"] = int64(80)
	old := convert(t, r, second, "v1")
	old["spec"].(map[string]any)["first"] = "Augusta"
	again := convert(t, r, old, "v2")
	if diff := cmp.Diff(map[string]any{"first": "Augusta", "middle": "King", "last": "LOVELACE"}, again["spec"].(map[string]any)["name"]); diff != "" {
		t.Error(diff)
	}
	if again["spec"].(map[string]any)["port"] != int64(80) {
		t.Errorf("a number came back as %T", again["spec"].(map[string]any)["port"])
	}
	if _, ok := annotations(again)["preserve.conversion.apis.kcp.io/v2"]; ok {
		t.Error("the annotation stays after it has done its work")
	}
	// Between versions that are not stored there are two steps, and a whole spec is preserved.
	third := convert(t, r, first, "v3")
	if third["spec"].(map[string]any)["full"] != "Ada LOVELACE" {
		t.Errorf("got %v", third)
	}
	if diff := cmp.Diff(first, convert(t, r, third, "v1")); diff != "" {
		t.Errorf("round trip over two steps: %s", diff)
	}
	// A field that is not there, and an expression that returns nothing.
	if bare := convert(t, r, anObject(t, "{apiVersion: example.com/v2, kind: Person, metadata: {name: a}, spec: {name: {first: x}}}"), "v3"); bare["spec"] != nil {
		t.Errorf("got %v", bare)
	}
}

func TestConvert_Errors(t *testing.T) {
	r := rulesOf(t, peopleRules)
	for name, c := range map[string]struct{ obj, to, field, want string }{
		"a transformation fails": {"{apiVersion: example.com/v2, kind: Person, metadata: {name: a}, spec: {age: old}}", "v1", "spec.age", "cannot be converted from v2 to v1: type conversion error"},
		"out of range":           {"{apiVersion: example.com/v3, kind: Person, metadata: {name: a}, spec: {full: Ada}}", "v2", "spec.full", "index out of bounds"},
		"another type":           {"{apiVersion: example.com/v2, kind: Person, metadata: {name: a}, spec: {age: 7}}", "v1", "spec.age", "expected string"},
		"another group":          {"{apiVersion: example.org/v2, kind: Person, metadata: {name: a}}", "v1", "", `"example.org/v2" is not a version of example.com`},
		"no such version":        {"{apiVersion: example.com/v9, kind: Person, metadata: {name: a}}", "v1", "", "no conversion from v9 to v1"},
	} {
		_, err := r.Convert(t.Context(), anObject(t, c.obj), c.to, NewBudget(1, 0))
		var fault *field.Error
		if errors.As(err, &fault) != (c.field != "") || c.field != "" && fault.Field != c.field || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s: %s", name, err, c.field, c.want)
		}
	}
}

// Users write annotations. What is no preserved field does nothing, and a check says so.
func TestConvert_ForgedAnnotations(t *testing.T) {
	r := rulesOf(t, peopleRules)
	for name, c := range map[string]struct {
		value string
		want  string
		spec  map[string]any
	}{
		"good":                {`{".spec.name.middle":"K"}`, "", map[string]any{"name": map[string]any{"middle": "K"}}},
		"written another way": {`{"spec.name.middle":"K"}`, "", map[string]any{"name": map[string]any{"middle": "K"}}},
		"no JSON":             {`{`, "must be a JSON object", nil},
		"a list":              {`[]`, "must be a JSON object", nil},
		"no path":             {`{"..":1}`, "is not the name of a field", nil},
		"another field":       {`{".spec.age":"9"}`, "", nil},
		"metadata":            {`{".metadata.finalizers":["a"]}`, "", nil},
		"another type":        {`{".spec.name.middle":{"a":"b"}}`, "must be of type string", nil},
		"null":                {`{".spec.port":null}`, "must be of type integer or string", nil},
	} {
		obj := anObject(t, "{apiVersion: example.com/v1, kind: Person, metadata: {name: a}}")
		obj["metadata"].(map[string]any)["annotations"] = map[string]any{apisv1alpha1.PreserveAnnotationPrefix + "v2": c.value}
		out := convert(t, r, obj, "v2")
		spec, _ := out["spec"].(map[string]any)
		if diff := cmp.Diff(c.spec, spec); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if got := r.CheckPreserved(obj).ToAggregate(); (got == nil) != (c.want == "") || got != nil && !strings.Contains(got.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
		if got := r.Restored(obj, "v2"); (len(got) > 0) != (c.spec != nil) {
			t.Errorf("%s: restored %v", name, got)
		}
	}
}

// What one object may cost, and many.
func TestConvert_IsBounded(t *testing.T) {
	conversions := func(transformation string) *Rules {
		return rulesOf(t, fmt.Sprintf(`
conversions:
- {from: v1, to: v2, rules: [{field: .spec, destination: .spec.free, transformation: %q}]}
- {from: v2, to: v1, rules: []}
- {from: v3, to: v2, rules: []}
- {from: v2, to: v3, rules: []}
`, transformation))
	}
	long := anObject(t, "{apiVersion: example.com/v1, kind: Person, metadata: {name: a}, spec: {tags: []}}")
	tags := make([]any, 2000)
	for i := range tags {
		tags[i] = strings.Repeat("x", 100)
	}
	long["spec"].(map[string]any)["tags"] = tags
	for name, c := range map[string]struct{ transformation, want string }{
		"steps":         {"self.tags.map(a, self.tags.map(b, a == b))", "may cost at most 1000000"},
		"bytes":         {"self.tags.map(a, self.tags.map(b, self.tags))", "may cost at most 1000000"},
		"copies":        {"self.tags.map(a, self.tags)", "at most 3145728 bytes"},
		"concatenation": {"[self.tags.join('')].map(a, [a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a])", "at most 3145728 bytes"},
	} {
		began := time.Now()
		_, err := conversions(c.transformation).Convert(t.Context(), long, "v2", NewBudget(1, 0))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := conversions("self.tags.map(a, a)").Convert(ctx, long, "v2", NewBudget(1, 0)); err == nil || !strings.Contains(err.Error(), "took too long") {
		t.Errorf("without time: %v", err)
	}
	// Each of many objects is small enough, all are not.
	costly, budget := conversions("self.tags.map(a, a.size())"), NewBudget(500, 500*Size(long))
	budget.cost /= 50 // less of the same
	var err error
	n := 0
	for ; n < 10_000 && err == nil; n++ {
		_, err = costly.Convert(t.Context(), long, "v2", budget)
	}
	if err == nil || !strings.Contains(err.Error(), "list fewer of them") || n < 2 {
		t.Errorf("%d were converted: %v", n, err)
	}
}
