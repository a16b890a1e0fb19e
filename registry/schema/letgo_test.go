package schema

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/annex-dev/annex/registry/catalog"
)

// Whatever a new schema says, objects can be deleted, and whoever has put a finalizer there can remove it.
func TestHandlers_WhatIsTooCostlyCanBeDeleted(t *testing.T) {
	const dear = `, default: x, pattern: "(?:a.{0,950}b)|c"`
	long := strings.Repeat("a", 400_000)
	for name, tc := range map[string]struct {
		cheap, costly func() string
		spec          string
		refused       int // the status of other changes
	}{
		"to validate": {
			func() string { return fmt.Sprintf(scaled, "", "") }, func() string { return fmt.Sprintf(scaled, dear, "") },
			`{"replicas":1,"text":"` + long + `"}`, http.StatusUnprocessableEntity,
		},
		"to read": {nil, nil, `{"list":` + empty(manyItems) + `}`, http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, nil)
			cheap, costly := growingDefinition(t, 0), growingDefinition(t, manyDefaults)
			if tc.cheap != nil {
				cheap, costly = definition(t, tc.cheap()), definition(t, tc.costly())
			}
			s.serve("c1", catalog.LocalBucket, cheap)
			object := func(name string) string {
				return strings.Replace(widget(name, tc.spec), `"metadata":{`, `"metadata":{"labels":{"name":"`+name+`"},"finalizers":["example.com/one","example.com/two"],`, 1)
			}
			all := []string{"merge", "json", "apply", "put", "many"}
			versions := map[string]any{}
			for _, name := range append(all, "changed", "plain") {
				versions[name] = at(s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, object(name)), "metadata", "resourceVersion")
			}
			s.must(http.StatusOK, "PATCH", "c1"+widgets+"/plain", asMerge, `{"metadata":{"finalizers":null}}`)
			s.serve("c1", catalog.LocalBucket, costly)
			patch := func(want int, name, contentType, body string) map[string]any {
				return s.must(want, "PATCH", "c1"+widgets+"/"+name+"?fieldManager=x", contentType, body)
			}

			// Nothing else is let through, except changes of metadata if the object can be read.
			for _, body := range []string{
				`{"spec":{"replicas":5,"new":1}}`, `{"metadata":{"finalizers":null},"spec":{"replicas":7}}`, `{"metadata":{"labels":{"a":"b"}},"spec":{"replicas":7}}`,
			} {
				patch(tc.refused, "changed", asMerge, body)
			}
			for _, body := range []string{
				`{"metadata":{"labels":{"a":"b"}}}`, `{"metadata":{"finalizers":["example.com/three"]}}`,
				`{"metadata":{"finalizers":["example.com/one"],"labels":{"a":"b"}}}`,
				`{"metadata":{"finalizers":null,"ownerReferences":[{"apiVersion":"v1","kind":"X","name":"x","uid":"1"}]}}`,
			} {
				if tc.refused != http.StatusUnprocessableEntity {
					patch(tc.refused, "changed", asMerge, body)
				}
			}
			s.must(http.StatusConflict, "PATCH", "c1"+widgets+"/changed", asMerge, `{"metadata":{"finalizers":null,"resourceVersion":"1"}}`)
			s.must(http.StatusNotFound, "PATCH", "c1"+widgets+"/missing", asMerge, `{"metadata":{"finalizers":null}}`)

			// What has no finalizer goes at once, and with one, when the last one is removed.
			s.must(http.StatusOK, "DELETE", "c1"+widgets+"/plain", asJSON, `{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}`)
			for _, name := range all[:4] {
				got := s.must(http.StatusOK, "DELETE", "c1"+widgets+"/"+name, "", "")
				if at(got, "metadata", "deletionTimestamp") == nil {
					t.Errorf("%s is not being deleted: %v", name, at(got, "metadata"))
				}
			}
			s.must(http.StatusOK, "DELETE", "c1"+widgets+"?labelSelector=name%3Dmany", "", "")
			got := patch(http.StatusOK, "merge", asMerge, `{"metadata":{"finalizers":["example.com/two"]}}`)
			if fmt.Sprint(at(got, "metadata", "finalizers")) != "[example.com/two]" || at(got, "metadata", "labels", "name") != "merge" {
				t.Errorf("with one finalizer: %v", at(got, "metadata"))
			}
			patch(http.StatusOK, "merge", asMerge, `{"metadata":{"finalizers":null}}`)
			patch(http.StatusOK, "json", "application/json-patch+json", `[{"op":"remove","path":"/metadata/finalizers/1"},{"op":"remove","path":"/metadata/finalizers/0"}]`)
			patch(http.StatusOK, "many", asMerge, `{"metadata":{"finalizers":null}}`)
			if tc.refused == http.StatusUnprocessableEntity { // it can be read
				whole := s.must(http.StatusOK, "GET", "c1"+widgets+"/put", "", "")
				version := at(whole, "metadata", "resourceVersion")
				body := strings.Replace(object("put"), `"finalizers":["example.com/one","example.com/two"]`, fmt.Sprintf(`"resourceVersion":%q`, version), 1)
				s.must(http.StatusOK, "PUT", "c1"+widgets+"/put", asJSON, body)
			} else {
				patch(http.StatusOK, "put", asMerge, `{"metadata":{"finalizers":[]}}`)
			}
			patch(http.StatusOK, "apply", asMerge, `{"metadata":{"finalizers":[]}}`)

			// What is left is what it was.
			s.serve("c1", catalog.LocalBucket, cheap)
			items := s.must(http.StatusOK, "GET", "c1"+widgets, "", "")["items"].([]any)
			if len(items) != 1 || at(items[0].(map[string]any), "metadata", "resourceVersion") != versions["changed"] {
				t.Errorf("%d objects are left, want the one that nobody could change", len(items))
			}
		})
	}
}

// Schemas say nothing about metadata. So an object that a new schema makes too costly to validate can still be labeled, and the server keeps
// note of who did it.
func TestHandlers_MetadataOfWhatIsTooCostly(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, definition(t, fmt.Sprintf(scaled, "", "")))
	before := s.must(http.StatusCreated, "POST", "c1"+widgets+"?fieldManager=creator", asJSON, widget("w", `{"replicas":1,"text":"`+strings.Repeat("a", 400_000)+`"}`))
	s.serve("c1", catalog.LocalBucket, definition(t, fmt.Sprintf(scaled, `, pattern: "(?:a.{0,950}b)|c"`, "")))
	const w = "c1" + widgets + "/w"
	label := func(value string) string { return `{"metadata":{"labels":{"a":"` + value + `"}}}` }

	got := s.must(http.StatusOK, "PATCH", w+"?fieldManager=x&dryRun=All", asMerge, label("dry"))
	if at(got, "metadata", "labels", "a") != "dry" || at(s.must(http.StatusOK, "GET", w, "", ""), "metadata", "labels") != nil {
		t.Error("a dry run changes the object")
	}
	s.must(http.StatusOK, "PATCH", w+"?fieldManager=x", asMerge, label("b"))
	s.must(http.StatusOK, "PATCH", w+"?fieldManager=x", "application/json-patch+json", `[{"op":"add","path":"/metadata/annotations/c","value":"d"}]`)
	s.must(http.StatusOK, "PATCH", w+"?fieldManager=applier", asApply, `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","labels":{"e":"f"}}}`)
	got = s.must(http.StatusOK, "PATCH", w+"?fieldManager=x", asMerge, `{"metadata":{"finalizers":["example.com/one"],"ownerReferences":[{"apiVersion":"v1","kind":"X","name":"x","uid":"1"}]}}`)
	metadata := at(got, "metadata").(map[string]any)
	if fmt.Sprint(metadata["labels"]) != "map[a:b e:f]" || at(metadata, "annotations", "c") != "d" || fmt.Sprint(metadata["finalizers"]) != "[example.com/one]" || len(metadata["ownerReferences"].([]any)) != 1 {
		t.Errorf("the metadata is %v", metadata)
	}
	var managers []string
	for _, entry := range metadata["managedFields"].([]any) {
		managers = append(managers, fmt.Sprint(at(entry.(map[string]any), "manager"), at(entry.(map[string]any), "fieldsV1", "f:spec")))
	}
	if want := "[applier<nil> creatormap[.:map[] f:replicas:map[] f:text:map[]] x<nil>]"; fmt.Sprint(managers) != want {
		t.Errorf("the managers are %v, want %s", managers, want)
	}
	if fmt.Sprint(got["spec"]) != fmt.Sprint(before["spec"]) || fmt.Sprint(metadata["generation"]) != "1" {
		t.Errorf("generation %v", metadata["generation"])
	}
	// What a schema need not look at is still looked at.
	s.must(http.StatusUnprocessableEntity, "PATCH", w, asMerge, label("no label!"))
	s.must(http.StatusUnprocessableEntity, "PATCH", w, asMerge, `{"metadata":{"uid":"00000000-0000-4000-8000-000000000000"}}`)
	s.must(http.StatusConflict, "PATCH", w, asMerge, `{"metadata":{"resourceVersion":"1","labels":{"a":"c"}}}`)
	s.must(http.StatusUnprocessableEntity, "PATCH", w, asMerge, `{"metadata":{"labels":{"a":"c"}},"spec":{"replicas":2}}`)
}
