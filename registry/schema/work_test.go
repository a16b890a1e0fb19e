package schema

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/schemas/cost"
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
	got := s.must(http.StatusUnprocessableEntity, "POST", "c1"+widgets, asJSON, widget("wrong", `{"list":`+wrong(cost.MaxErrors)+`}`))
	if causes, _ := at(got, "details", "causes").([]any); len(causes) != cost.MaxErrors {
		t.Errorf("%d causes", len(causes))
	}
}
