package schema

import (
	"net/http"
	"strings"
	"testing"

	"github.com/annex-dev/annex/registry/catalog"
)

// An operation on a list copies the list, so that many operations on a large object are refused before any of them is done.
func TestHandlers_RefuseLongJSONPatches(t *testing.T) {
	const asJSONPatch = "application/json-patch+json"
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, growingDefinition(t, 0))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("large", `{"plain":`+empty(100_000)+`}`))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("small", `{"plain":[{}]}`))
	repeated := func(operation string, n int) string {
		return "[" + strings.Repeat(operation+",", n-1) + operation + "]"
	}
	const (
		insert = `{"op":"add","path":"/spec/plain/0","value":{}}`
		remove = `{"op":"remove","path":"/spec/plain/0"}`
	)
	for name, tc := range map[string]struct {
		object, body string
		want         int
	}{
		"inserting":             {"large", repeated(insert, 3_000), http.StatusRequestEntityTooLarge},
		"inserting, by escapes": {"large", repeated(`{"op":"\u0061dd","path":"\/spec\/plain\/\u0030","value":{}}`, 3_000), http.StatusRequestEntityTooLarge},
		"removing":              {"large", repeated(remove, 3_000), http.StatusRequestEntityTooLarge},
		"removing the last":     {"large", repeated(`{"op":"remove","path":"/spec/plain/-1"}`, 3_000), http.StatusRequestEntityTooLarge},
		"moving":                {"large", repeated(`{"op":"move","from":"/spec/plain/0","path":"/spec/plain/1"}`, 1_500), http.StatusRequestEntityTooLarge},
		"copying":               {"large", repeated(`{"op":"copy","from":"/spec/plain/0","path":"/spec/plain/1"}`, 3_000), http.StatusRequestEntityTooLarge},
		"a few":                 {"large", repeated(insert, 5), http.StatusOK},
		"a small object":        {"small", repeated(insert, 2_000), http.StatusOK},
		"too many":              {"small", repeated(insert, 10_001), http.StatusRequestEntityTooLarge},
	} {
		for _, query := range []string{"?dryRun=All", ""} {
			t.Run(name+query, func(t *testing.T) {
				got := s.must(tc.want, "PATCH", "c1"+widgets+"/"+tc.object+query, asJSONPatch, tc.body)
				if message, _ := got["message"].(string); tc.want != http.StatusOK && name != "too many" && !strings.Contains(message, "the patch takes too long to apply: it inserts or removes items of lists 3000 times") {
					t.Errorf("got %v", got)
				}
			})
		}
	}
}
