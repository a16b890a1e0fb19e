package schema

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/annex-dev/annex/registry/catalog"
)

// entries returns n entries of metadata.managedFields.
func entries(n int, version string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"manager":"m%d","operation":"Apply","apiVersion":%q,"fieldsType":"FieldsV1","fieldsV1":{"f:status":{}}}`, i, version)
	}
	return "[" + b.String()[1:] + "]"
}

func managed(name, managers, spec string) string {
	return strings.Replace(widget(name, spec), `"metadata":{`, `"metadata":{"managedFields":`+managers+`,`, 1)
}

// numbered returns an object of n objects, in no order.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%x":{}`, i*7919%n)
	}
	return "{" + b.String()[1:] + "}"
}

func strs(n int) string {
	return `["` + strings.Join(strings.Fields(strings.Trim(fmt.Sprint(make([]int, n)), "[]")), `","`) + `"]`
}

// The stock handler finds out who manages which fields before admission. It converts the object for each manager of another version, and
// inserts the fields of a manager one by one.
func TestHandlers_RefuseManyManagersAndFields(t *testing.T) {
	const asJSONPatch = "application/json-patch+json"
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, growingDefinition(t, 0))
	const other = "example.com/v0"
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("small", `{"plain":[{}]}`))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("large", `{"plain":`+empty(100_000)+`}`))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, managed("managed", entries(999, "example.com/v1"), `{"plain":[{}]}`))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("wide", `{"map":`+numbered(30_000)+`}`))
	many := entries(1_001, "example.com/v1")
	for name, tc := range map[string]struct{ method, path, contentType, body, want string }{
		"create":                    {"POST", "", asJSON, managed("a", many, `{}`), "metadata.managedFields: Too many: 1001: must have at most 1000 items"},
		"by escapes":                {"POST", "", asJSON, strings.Replace(managed("a", many, `{}`), "managedFields", `managed\u0046ields`, 1), "Too many: 1001"},
		"from YAML":                 {"POST", "", "application/yaml", " \n" + managed("a", many, `{}`) + "\n...\n", "Too many: 1001"},
		"update":                    {"PUT", "/small", asJSON, managed("small", many, `{}`), "Too many: 1001"},
		"merge patch":               {"PATCH", "/small", asMerge, `{"metadata":{"managedFields":` + many + `}}`, "Too many: 1001"},
		"JSON patch":                {"PATCH", "/small", asJSONPatch, `[{"op":"replace","path":"/metadata/managedFields","value":` + many + `}]`, "Too many: 1001"},
		"JSON patch of metadata":    {"PATCH", "/small", asJSONPatch, `[{"op":"replace","path":"x/metadata","value":{"name":"small","managedFields":` + many + `}}]`, "Too many: 1001"},
		"JSON patch, copied":        {"PATCH", "/small", asJSONPatch, `[{"op":"copy","from":"/spec","path":"/metadata/managedFields"}]`, "a JSON patch may not copy anything to /metadata/managedFields"},
		"one more who applies":      {"PATCH", "/managed?fieldManager=x", asApply, widget("managed", `{"map":{"b":{}}}`), "Too many: 1001"},
		"one more who updates":      {"PATCH", "/managed?fieldManager=x", asMerge, `{"spec":{"map":{"a":{}}}}`, "Too many: 1001"},
		"other versions":            {"PUT", "/large", asJSON, managed("large", entries(20, other), `{"plain":`+empty(1_000)+`}`), "metadata.managedFields: Invalid value: 20 managers of other versions than example.com/v1 are too many for an object with"},
		"other versions, patch":     {"PATCH", "/large", asMerge, `{"metadata":{"managedFields":` + entries(20, other) + `}}`, "20 managers of other versions"},
		"other versions, dry":       {"PATCH", "/large?dryRun=All", asMerge, `{"metadata":{"managedFields":` + entries(20, other) + `}}`, "20 managers of other versions"},
		"other versions, JSON":      {"PATCH", "/large", asJSONPatch, `[{"op":"add","path":"/metadata/managedFields","value":` + entries(20, other) + `}]`, "20 managers of other versions"},
		"fields of a manager":       {"POST", "", asJSON, managed("a", strings.Replace(entries(1, "example.com/v1"), `"f:status":{}`, `"f:spec":`+strings.ReplaceAll(numbered(50_000), `,"`, `,"f:`), 1), `{}`), "metadata.managedFields[0].fieldsV1.f:spec: Invalid value: the object has too many fields in one place, 50000 here"},
		"fields":                    {"POST", "", asJSON, widget("a", `{"map":`+numbered(50_000)+`}`), "spec.map: Invalid value: the object has too many fields in one place, 50000 here"},
		"fields, applied":           {"PATCH", "/a?fieldManager=x", asApply, widget("a", `{"map":`+numbered(50_000)+`}`), "spec.map: Invalid value"},
		"fields on top of others":   {"PATCH", "/wide", asMerge, `{"spec":{"map":` + numbered(30_000) + `}}`, "too many fields in one place"},
		"finalizers":                {"PATCH", "/small", asMerge, `{"metadata":{"finalizers":` + strs(50_000) + `}}`, "metadata.finalizers: Invalid value"},
		"finalizers of a JSON path": {"PATCH", "/small", asJSONPatch, `[{"op":"add","path":"/metadata/finalizers","value":` + strs(50_000) + `}]`, "too many fields in one place"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.must(http.StatusUnprocessableEntity, tc.method, "c1"+widgets+tc.path, tc.contentType, tc.body)
			if message, _ := got["message"].(string); !strings.Contains(message, tc.want) {
				t.Errorf("got %.1000v", message)
			}
		})
	}
	// What is not too much.
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/large", asMerge, `{"metadata":{"managedFields":`+entries(900, "example.com/v1")+`}}`)
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/managed?fieldManager=m7", asApply, widget("managed", `{"map":{"b":{}}}`))
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/managed?fieldManager=x", asMerge, `{"metadata":{"managedFields":[{}]}}`)
}

// A list that is a set or a map is kept sorted, too.
func TestHandlers_RefuseManyItemsOfSets(t *testing.T) {
	s := newServer(t, nil)
	set := growingDefinition(t, 0)
	kind, text := "set", set.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["plain"].Items.Schema.Properties["p0"]
	spec := set.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	list := spec.Properties["plain"]
	list.XListType, list.Items.Schema = &kind, &text
	spec.Properties["plain"] = list
	s.serve("c1", catalog.LocalBucket, set)
	got := s.must(http.StatusUnprocessableEntity, "POST", "c1"+widgets, asJSON, widget("a", `{"plain":`+strs(50_000)+`}`))
	if message, _ := got["message"].(string); !strings.Contains(message, "spec.plain: Invalid value: the object has too many fields in one place") {
		t.Errorf("got %.1000v", message)
	}
}
