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
			if cause["field"] != tc.field || !strings.Contains(message, "at most 33554432 are allowed; this value has 400000 bytes, and its pattern ") {
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

func TestWork_CountsWhatIsTried(t *testing.T) {
	const value, property = valueSteps, propertySteps
	for name, tc := range map[string]struct {
		schema, value string
		want          int
	}{
		"nothing special":       {`{"properties":{"a":{"type":"string"}}}`, `{"a":"xx","b":[1,2]}`, 5*value + property},
		"properties":            {`{"items":{"properties":{"a":{},"b":{}}}}`, `[{},{"a":1}]`, 4*value + 4*property},
		"required":              {`{"items":{"required":["a","b"]}}`, `[{},{"a":1}]`, 4*value + 4*requiredSteps},
		"keys":                  {`{"items":{},"x-kubernetes-list-map-keys":["a","b"]}`, `[{},{}]`, 3*value + 4*keySteps},
		"a pattern":             {`{"properties":{"a":{"pattern":"abc"}}}`, `{"a":"xxxx"}`, 2*value + property + 4*5},
		"of another type":       {`{"properties":{"a":{"pattern":"abc"}}}`, `{"a":7}`, 2*value + property},
		"a pattern of values":   {`{"additionalProperties":{"pattern":"abc"}}`, `{"a":"xxxx","b":"x"}`, 3*value + 5*5},
		"a pattern of items":    {`{"items":{"pattern":"abc"}}`, `["xxxx","x"]`, 3*value + 5*5},
		"allowed values":        {`{"items":{"enum":["a","b","c"]}}`, `["a","c"]`, 3*value + 2*3*enumSteps},
		"alternatives":          {`{"items":{"oneOf":[{},{}],"anyOf":[{}],"allOf":[{}],"not":{}}}`, `[1,2]`, 3*value + 2*5*value},
		"alternatives in depth": {`{"anyOf":[{"properties":{"a":{"pattern":"abc"}}},{"properties":{"a":{"pattern":"abc"}}}]}`, `{"a":"xxxx"}`, 3*2*value + 2*property + 2*4*5},
	} {
		t.Run(name, func(t *testing.T) {
			schema := &apiextensionsv1.JSONSchemaProps{}
			var v any
			if err := json.Unmarshal([]byte(tc.schema), schema); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(tc.value), &v); err != nil {
				t.Fatal(err)
			}
			left := budget{left: maxSteps}
			if !left.take(newWork(schema), v, nil) || maxSteps-left.left != tc.want {
				t.Errorf("%d steps, want %d", maxSteps-left.left, tc.want)
			}
			none := budget{left: tc.want - 1}
			if none.take(newWork(schema), v, nil) || len(none.errs) != 1 {
				t.Errorf("taken with a step too few: %v", none.errs)
			}
		})
	}
}
