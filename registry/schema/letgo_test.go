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

			// Nothing else is let through.
			for _, body := range []string{
				`{"spec":{"new":1}}`, `{"metadata":{"labels":{"a":"b"}}}`, `{"metadata":{"finalizers":["example.com/three"]}}`,
				`{"metadata":{"finalizers":["example.com/one"],"labels":{"a":"b"}}}`, `{"metadata":{"finalizers":null},"spec":{"replicas":7}}`,
				`{"metadata":{"finalizers":null,"ownerReferences":[{"apiVersion":"v1","kind":"X","name":"x","uid":"1"}]}}`,
			} {
				patch(tc.refused, "changed", asMerge, body)
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
