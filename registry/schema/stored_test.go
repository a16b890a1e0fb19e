package schema

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/annex-dev/annex/registry/catalog"
)

const scaled = `
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {replicas: {type: integer}, text: {type: string%[1]s}}}
          status: {type: object, properties: {replicas: {type: integer}, text: {type: string%[2]s}}}
`

// A request through a subresource has a part of the object that is validated; storage has the rest, which a new schema may make costly.
func TestHandlers_CountWhatIsStored(t *testing.T) {
	const dear = `, pattern: "(?:a.{0,950}b)|c"`
	long := strings.Repeat("a", 400_000)
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, definition(t, fmt.Sprintf(scaled, "", "")))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("spec", `{"replicas":1,"text":"`+long+`"}`))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("status", `{"replicas":1}`))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("both", `{"replicas":1,"text":"`+long+`"}`))
	for _, name := range []string{"status", "both"} {
		s.must(http.StatusOK, "PATCH", "c1"+widgets+"/"+name+"/status", asMerge, `{"status":{"text":"`+long+`"}}`)
	}
	s.serve("c1", catalog.LocalBucket, definition(t, fmt.Sprintf(scaled, dear, dear)))
	part := func(name, text string) string {
		version := at(s.must(http.StatusOK, "GET", "c1"+widgets+"/"+name, "", ""), "metadata", "resourceVersion")
		return strings.Replace(text, `"name"`, fmt.Sprintf(`"resourceVersion":%q,"name"`, version), 1)
	}
	for name, tc := range map[string]struct{ method, path, contentType, body, field string }{
		"both":          {"PATCH", "/both/status", asMerge, `{"status":{"replicas":2}}`, "status.text"},
		"scale":         {"PATCH", "/spec/scale", asMerge, `{"spec":{"replicas":2}}`, "spec.text"},
		"the object":    {"PUT", "/status", asJSON, part("status", widget("status", `{"replicas":2}`)), "status.text"},
		"another field": {"PATCH", "/spec", asMerge, `{"spec":{"replicas":2}}`, "spec.text"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.must(http.StatusUnprocessableEntity, tc.method, "c1"+widgets+tc.path, tc.contentType, tc.body)
			causes, _ := at(got, "details", "causes").([]any)
			if len(causes) != 1 || causes[0].(map[string]any)["field"] != tc.field {
				t.Errorf("got %v", got)
			}
		})
	}
	// What is too much is taken out as it was put in. A request for the status is not concerned by the rest.
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/both/status", asMerge, `{"status":{"text":"c"}}`)
	s.must(http.StatusOK, "PUT", "c1"+widgets+"/both/status", asJSON, part("both", strings.Replace(widget("both", `{"text":"`+long+`"}`), `"spec"`, `"status":{"text":"cc"},"spec"`, 1)))
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/both", asMerge, `{"spec":{"text":"c"}}`)
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/spec", asMerge, `{"spec":{"text":"c"}}`)
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/status/status", asMerge, `{"status":{"text":"c"}}`)
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/spec/scale", asMerge, `{"spec":{"replicas":2}}`)
}
