package schema

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/annex-dev/annex/registry/catalog"
)

// The path of each unknown field is kept while an object is decoded, whether the client wants to know of them or not.
func TestHandlers_RefuseLongPaths(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, growingDefinition(t, 0))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("w", `{"map":{"a":{"p0":"x"}}}`))
	key := strings.Repeat("k", 200_000)
	unknown := strings.ReplaceAll(emptyMap(4_000), "{}", "1")
	spec := `{"map":{"` + key + `":` + unknown + `}}`
	for name, tc := range map[string]struct{ method, path, contentType, body string }{
		"create":      {"POST", "", asJSON, widget("a", spec)},
		"with spaces": {"POST", "", asJSON, widget("a", strings.ReplaceAll(spec, ":", strings.Repeat(" ", 100)+":"))},
		"from YAML":   {"POST", "", "application/yaml", "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\nspec:\n  map:\n    ? " + key + "\n    : " + strings.ReplaceAll(unknown, ":", ": ") + "\n"},
		"update":      {"PUT", "/w", asJSON, widget("w", spec)},
		"merge patch": {"PATCH", "/w", asMerge, `{"spec":` + spec + `}`},
		"JSON patch":  {"PATCH", "/w", "application/json-patch+json", `[{"op":"add","path":"/spec/map/` + key + `","value":` + unknown + `}]`},
		"apply":       {"PATCH", "/w?fieldManager=x", asApply, widget("w", spec)},
	} {
		t.Run(name, func(t *testing.T) {
			var got map[string]any
			took := allocated(func() {
				got = s.must(http.StatusRequestEntityTooLarge, tc.method, "c1"+widgets+tc.path, tc.contentType, tc.body)
			})
			if message, _ := got["message"].(string); !strings.Contains(message, "the paths of all fields may have at most 67108864 bytes together, and have 8") {
				t.Errorf("got %v", got)
			}
			if took > most {
				t.Errorf("allocated %d MiB, want at most %d", took>>20, most>>20)
			}
		})
	}
	// So is the path of each property that a schema has.
	s.serve("c1", catalog.LocalBucket, growingDefinition(t, 0))
	crd := growingDefinition(t, 10)
	grows := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["map"].AdditionalProperties.Schema
	grows.Properties = flat(20_000, "")
	s.serve("c1", catalog.LocalBucket, crd)
	got := s.must(http.StatusUnprocessableEntity, "POST", "c1"+widgets, asJSON, widget("a", `{"map":{"`+key+`":{}}}`))
	if message, _ := got["message"].(string); !strings.Contains(message, "too many properties") {
		t.Errorf("got %.1000v", message[max(0, len(message)-1000):])
	}
}

func TestPaths(t *testing.T) {
	for text, want := range map[string][2]int{
		`{}`: {0, 0}, `"a"`: {0, 0}, `{"a":1}`: {6 + 2, 1}, `{"a" : "b:c"}`: {6 + 2, 1}, `{"a\\\"b":1,"c":2}`: {6 + 7 + 6 + 2, 2},
		`{"a":{"b":1,"c":{}}}`: {6 + 2 + 2*(12+2), 3}, `{"a":[{"b":1},{"c":[]}],"d":1}`: {2*(6+2) + 2*(18+2), 4},
	} {
		if total, fields := paths([]byte(text)); total != want[0] || fields != want[1] {
			t.Errorf("%s: %d bytes in %d fields, want %v", text, total, fields, want)
		}
	}
	if total, fields := paths([]byte(fmt.Sprintf(`{"%0100d":%s}`, 0, strings.ReplaceAll(emptyMap(10), "{}", "1")))); total != 107+10*(107+2) || fields != 11 {
		t.Errorf("%d bytes in %d fields", total, fields)
	}
}
