package schema

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/annex-dev/annex/registry/catalog"
)

const costly = `
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              texts: {type: array, items: {type: string, allOf: [{pattern: "(?:a.{0,950}b)|c"}, {pattern: "(?:a.{0,949}b)|c"}]}}
          status:
            type: object
            properties:
              text: {type: string, pattern: "(?:a.{0,950}b)|c"}
`

// Validation of what is refused here would take minutes.
func TestHandlers_RefuseWhatTakesTooLongToValidate(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, definition(t, costly))
	long := strings.Repeat("a", 400_000)
	small := s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("small", `{"texts":["abc","cab"]}`))
	replaced := strings.Replace(widget("small", `{"texts":["abc","`+long+`"]}`), `"name"`, fmt.Sprintf(`"resourceVersion":%q,"name"`, at(small, "metadata", "resourceVersion")), 1)
	for name, tc := range map[string]struct{ method, path, contentType, body, field string }{
		"create":          {"POST", widgets, asJSON, widget("big", `{"texts":["abc","`+long+`"]}`), "spec.texts[1]"},
		"create, dry run": {"POST", widgets + "?dryRun=All", asJSON, widget("big", `{"texts":["abc","`+long+`"]}`), "spec.texts[1]"},
		"update":          {"PUT", widgets + "/small", asJSON, replaced, "spec.texts[1]"},
		"patch":           {"PATCH", widgets + "/small", asMerge, `{"spec":{"texts":["` + long + `"]}}`, "spec.texts[0]"},
		"apply":           {"PATCH", widgets + "/applied?fieldManager=x", asApply, widget("applied", `{"texts":["`+long+`"]}`), "spec.texts[0]"},
		"status":          {"PATCH", widgets + "/small/status", asMerge, `{"status":{"text":"` + long + `"}}`, "status.text"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.must(http.StatusUnprocessableEntity, tc.method, "c1"+tc.path, tc.contentType, tc.body)
			causes, _ := at(got, "details", "causes").([]any)
			if len(causes) != 1 {
				t.Fatalf("got %v", got)
			}
			cause := causes[0].(map[string]any)
			message, _ := cause["message"].(string)
			if cause["field"] != tc.field || !strings.Contains(message, "at most 134217728 are allowed; this value has 400000 bytes, and its pattern ") {
				t.Errorf("field %v: %s", cause["field"], message)
			}
		})
	}
}

// Validation of what is refused here took hours: the library looks for every property of the schema in every object.
func TestHandlers_RefuseManyObjectsWithManyProperties(t *testing.T) {
	for name, items := range map[string]apiextensionsv1.JSONSchemaProps{
		"properties": {Type: "object", Properties: flat(10_000, "")},
		"required":   {Type: "object", Required: slices.Repeat([]string{"a"}, 10_000)},
	} {
		t.Run(name, func(t *testing.T) {
			crd := definition(t, widgetsB)
			crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"] = apiextensionsv1.JSONSchemaProps{
				Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"list": {Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &items}}},
			}
			s := newServer(t, nil)
			s.serve("c1", catalog.LocalBucket, crd)
			got := s.must(http.StatusUnprocessableEntity, "POST", "c1"+widgets, asJSON, widget("w", `{"list":[{}`+strings.Repeat(",{}", 1_000)+`]}`))
			causes, _ := at(got, "details", "causes").([]any)
			if len(causes) != 1 || !strings.Contains(fmt.Sprint(causes[0]), "too many properties for so many objects") {
				t.Errorf("got %.300v", got)
			}
		})
	}
}

// The library compares each error with all others: this took minutes, and its answer had all of them.
func TestHandlers_RefuseTooManyErrors(t *testing.T) {
	s := newServer(t, nil)
	crd := definition(t, costly)
	part := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
		"list":    {Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &apiextensionsv1.JSONSchemaProps{Type: "integer"}}},
		"missing": {Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Required: strings.Split(strings.Repeat("a ", 99)+"a", " ")}}},
	}}
	crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties = map[string]apiextensionsv1.JSONSchemaProps{"spec": part, "status": part}
	s.serve("c1", catalog.LocalBucket, crd)
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("w", `{"list":[1`+strings.Repeat(",1", 20_000)+`]}`))
	wrong := func(n int) string { return `["x"` + strings.Repeat(`,"x"`, n-1) + `]` }
	for name, tc := range map[string]struct{ method, path, contentType, body, field string }{
		"create":  {"POST", "", asJSON, widget("wrong", `{"list":`+wrong(20_000)+`}`), "spec.list[1000]"},
		"patch":   {"PATCH", "/w", asMerge, `{"spec":{"list":` + wrong(20_000) + `}}`, "spec.list[1000]"},
		"status":  {"PATCH", "/w/status", asMerge, `{"status":{"list":` + wrong(20_000) + `}}`, "status.list[1000]"},
		"missing": {"POST", "", asJSON, widget("wrong", `{"missing":[{}`+strings.Repeat(",{}", 2_000)+`]}`), "spec.missing[1000].a"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.must(http.StatusUnprocessableEntity, tc.method, "c1"+widgets+tc.path, tc.contentType, tc.body)
			causes, _ := at(got, "details", "causes").([]any)
			if len(causes) != 1 || causes[0].(map[string]any)["field"] != tc.field || !strings.Contains(fmt.Sprint(causes[0]), "the object has more than 1000 errors, the last one: ") {
				t.Errorf("%d causes: %.1000v", len(causes), got)
			}
		})
	}
	// As many as are told one by one.
	got := s.must(http.StatusUnprocessableEntity, "POST", "c1"+widgets, asJSON, widget("wrong", `{"list":`+wrong(maxErrors)+`}`))
	if causes, _ := at(got, "details", "causes").([]any); len(causes) != maxErrors {
		t.Errorf("%d causes", len(causes))
	}
}

// An object as large as etcd stores takes less than half of what is allowed, if its schema is like those of well-known projects.
func TestWork_OfLargeObjects(t *testing.T) {
	resources := `{"type":"array","items":{"type":"object","properties":{"group":{"type":"string"},"version":{"type":"string"},"kind":{"type":"string"},"namespace":{"type":"string"},
		"name":{"type":"string"},"status":{"type":"string","enum":["Synced","OutOfSync","Unknown"]},"requiresPruning":{"type":"boolean"},"hook":{"type":"boolean"},"syncWave":{"type":"integer","format":"int64"},
		"health":{"type":"object","properties":{"status":{"type":"string"},"message":{"type":"string"},"lastTransitionTime":{"type":"string","format":"date-time"}}}},"required":["name","kind"]}}`
	resource := `{"group":"apps","version":"v1","kind":"Deployment","namespace":"default","name":"some-deployment","status":"Synced","health":{"status":"Healthy"}}`
	patches := `{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],"items":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"base":{"type":"object","x-kubernetes-preserve-unknown-fields":true},
		"patches":{"type":"array","items":{"type":"object","properties":{"type":{"type":"string","enum":["FromCompositeFieldPath","ToCompositeFieldPath","PatchSet"]},"fromFieldPath":{"type":"string"},"toFieldPath":{"type":"string"},
		"transforms":{"type":"array","items":{"type":"object"}},"policy":{"type":"object"},"patchSetName":{"type":"string"}}}}}}}`
	for name, tc := range map[string]struct{ schema, item, open, close string }{
		"a map of 50,000 keys": {`{"type":"object","additionalProperties":{"type":"string"}}`, `"some-key-%d":"a value of ten bytes"`, "{", "}"},
		"Argo CD's resources":  {resources, resource, "[", "]"},
		"a composition": {patches, `{"name":"r%d","base":{"apiVersion":"a/v1","kind":"Bucket","spec":{"a":"b"}},"patches":[` +
			strings.TrimSuffix(strings.Repeat(`{"type":"FromCompositeFieldPath","fromFieldPath":"spec.a","toFieldPath":"spec.b"},`, 10), ",") + `]}`, "[", "]"},
	} {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			for i := 0; text.Len() < 1_500_000; i++ {
				text.WriteString("," + strings.ReplaceAll(tc.item, "%d", fmt.Sprint(i)))
			}
			schema := &apiextensionsv1.JSONSchemaProps{}
			if err := json.Unmarshal([]byte(tc.schema), schema); err != nil {
				t.Fatal(err)
			}
			var v any
			if err := json.Unmarshal([]byte(tc.open+text.String()[1:]+tc.close), &v); err != nil {
				t.Fatal(err)
			}
			left := budget{left: maxSteps}
			if !left.take(newWork(schema), v, v, nil) || 2*(maxSteps-left.left) > maxSteps {
				t.Errorf("%d steps of %d: %v", maxSteps-left.left, maxSteps, left.errs)
			}
			t.Logf("%d million steps of %d", (maxSteps-left.left)>>20, maxSteps>>20)
		})
	}
}

func TestWork_CountsWhatIsTried(t *testing.T) {
	const value, unknown, property, pair = valueSteps, unknownSteps, propertySteps, errorPairSteps
	for name, tc := range map[string]struct {
		schema, value, old string
		want               int
	}{
		"nothing special":       {`{"properties":{"a":{"type":"string"}}}`, `{"a":"xx","b":[1,2]}`, ``, 2*value + property + unknown},
		"properties":            {`{"items":{"properties":{"a":{},"b":{}}}}`, `[{},{"a":1}]`, ``, 4*value + 4*property},
		"properties before":     {`{"properties":{"a":{},"b":{},"c":{}}}`, `{"a":1,"b":2}`, `{"b":1,"c":3}`, 3*value + 3*property + 3*correlateSteps},
		"in a list":             {`{"items":{"properties":{"a":{}}}}`, `[{"a":1}]`, `[{"a":1}]`, 3*value + property},
		"in a list with keys":   {`{"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["a"],"items":{"properties":{"a":{}}}}`, `[{"a":1}]`, `[{"a":1}]`, 3*value + property + listMapSteps + keySteps + correlateSteps},
		"required":              {`{"items":{"required":["a","b"]}}`, `[{},{"a":1}]`, ``, 3*value + unknown + 4*requiredSteps + 3*missingSteps + (4+1)*pair},
		"keys":                  {`{"items":{},"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["a","b"]}`, `[{},{}]`, ``, 3*value + 2*(listMapSteps+2*keySteps)},
		"a set":                 {`{"items":{},"x-kubernetes-list-type":"set"}`, `["a",["b","c"]]`, ``, 3*value + 2*unknown + 5*setSteps},
		"a pattern":             {`{"properties":{"a":{"pattern":"abc"}}}`, `{"a":"xxxx"}`, ``, 2*value + property + 4*5},
		"of another type":       {`{"properties":{"a":{"pattern":"abc"}}}`, `{"a":7}`, ``, 2*value + property},
		"a pattern of values":   {`{"additionalProperties":{"pattern":"abc"}}`, `{"a":"xxxx","b":"x"}`, ``, 3*value + 5*5},
		"a pattern of items":    {`{"items":{"pattern":"abc"}}`, `["xxxx","x"]`, ``, 3*value + 5*5},
		"a format":              {`{"items":{"format":"byte"}}`, `["xxxx",1]`, ``, 3*value + formatSteps + 4*formatByteSteps},
		"allowed values":        {`{"items":{"enum":["a","b", {"c":1}]}}`, `["a","c"]`, ``, 3*value + 2*(2*scalarEnumSteps+compoundEnumSteps)},
		"alternatives":          {`{"items":{"oneOf":[{},{}],"anyOf":[{}],"allOf":[{}],"not":{}}}`, `[1,2]`, ``, 3*value + 2*5*(value+pair)},
		"alternatives in depth": {`{"anyOf":[{"properties":{"a":{"pattern":"abc"}}},{"properties":{"a":{"pattern":"abc"}}}]}`, `{"a":"xxxx"}`, ``, value + unknown + 2*(2*value+property+4*5+4*pair)},
	} {
		t.Run(name, func(t *testing.T) {
			schema := &apiextensionsv1.JSONSchemaProps{}
			var v, old any
			if err := json.Unmarshal([]byte(tc.schema), schema); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(tc.value), &v); err != nil {
				t.Fatal(err)
			}
			if tc.old != "" {
				if err := json.Unmarshal([]byte(tc.old), &old); err != nil {
					t.Fatal(err)
				}
			}
			left := budget{left: maxSteps}
			if !left.take(newWork(schema), v, old, nil) || maxSteps-left.left != tc.want {
				t.Errorf("%d steps, want %d", maxSteps-left.left, tc.want)
			}
			none := budget{left: tc.want - 1}
			if none.take(newWork(schema), v, old, nil) || len(none.errs) != 1 {
				t.Errorf("taken with a step too few: %v", none.errs)
			}
		})
	}
}
