package schema

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/storage"
)

const (
	manyItems    = 12_000 // objects in a body of 36 KB
	manyDefaults = 2_000  // properties that each of them gets
	most         = 128 << 20
)

// growingDefinition has lists and maps of objects below spec and status. Objects in the list and the map get so many properties.
func growingDefinition(tb testing.TB, defaulted int) *apiextensionsv1.CustomResourceDefinition {
	tb.Helper()
	plain := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"p0": {Type: "string"}}}
	grows := plain
	if defaulted > 0 {
		grows.Properties = flat(defaulted, "")
		for name, p := range grows.Properties {
			p.Default = &apiextensionsv1.JSON{Raw: []byte(`"x"`)}
			grows.Properties[name] = p
		}
	}
	listOf := func(s *apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: s}}
	}
	part := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
		"plain": listOf(&plain), "list": listOf(&grows), "map": {Type: "object", AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: &grows}},
	}}
	crd := definition(tb, costly)
	crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties = map[string]apiextensionsv1.JSONSchemaProps{"spec": part, "status": part}
	return crd
}

// allocated returns how many bytes do allocates, garbage and all.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func empty(n int) string { return "[{}" + strings.Repeat(",{}", n-1) + "]" }

func emptyMap(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%d":{}`, i)
	}
	return "{" + b.String()[1:] + "}"
}

func TestHandlers_DefaultsDoNotMultiplyRequests(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, growingDefinition(t, manyDefaults))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("small", `{"list":[{}],"plain":`+empty(manyItems)+`}`))
	s.must(http.StatusCreated, "PATCH", "c1"+widgets+"/applied?fieldManager=x", asApply, widget("applied", `{"list":[{}]}`))
	list := widget("w", `{"list":`+empty(manyItems)+`}`)
	const asJSONPatch = "application/json-patch+json"
	for name, tc := range map[string]struct{ method, path, contentType, body, field string }{
		"create":           {"POST", "", asJSON, list, ".spec.list["},
		"create, dry run":  {"POST", "?dryRun=All", asJSON, list, ".spec.list["},
		"create, a map":    {"POST", "", asJSON, widget("w", `{"map":`+emptyMap(manyItems)+`}`), ".spec.map."},
		"create from YAML": {"POST", "", "application/yaml", "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec:\n  list:\n" + strings.Repeat("  - {}\n", manyItems), ".spec.list["},
		"create from YAML with aliases": {"POST", "", "application/yaml",
			"apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {plain: &a " + empty(manyItems) + ", list: *a}\n", ".spec.list["},
		"update":            {"PUT", "/small", asJSON, widget("small", `{"list":`+empty(manyItems)+`}`), ".spec.list["},
		"merge patch":       {"PATCH", "/small", asMerge, `{"spec":{"list":` + empty(manyItems) + `}}`, ".spec.list["},
		"its dry run":       {"PATCH", "/small?dryRun=All", asMerge, `{"spec":{"list":` + empty(manyItems) + `}}`, ".spec.list["},
		"JSON patch":        {"PATCH", "/small", asJSONPatch, `[{"op":"add","path":"/spec/list","value":` + empty(manyItems) + `}]`, ".spec.list["},
		"copying":           {"PATCH", "/small", asJSONPatch, `[{"op":"copy","from":"/spec/plain","path":"/spec/list"}]`, ".spec.list["},
		"hidden copying":    {"PATCH", "/small", asJSONPatch, `[{"op":"c\u006fpy","from":"/spec/plain","path":"/spec/list"}]`, ".spec.list["},
		"moving":            {"PATCH", "/small", asJSONPatch, `[{"op":"move","from":"/spec/plain","path":"/spec/list"}]`, ".spec.list["},
		"apply":             {"PATCH", "/w?fieldManager=x", asApply, list, ".spec.list["},
		"apply to another":  {"PATCH", "/applied?fieldManager=x", asApply, widget("applied", `{"list":`+empty(manyItems)+`}`), ".spec.list["},
		"its own dry run":   {"PATCH", "/applied?fieldManager=x&dryRun=All", asApply, widget("applied", `{"list":`+empty(manyItems)+`}`), ".spec.list["},
		"status":            {"PUT", "/small/status", asJSON, strings.Replace(widget("small", `{}`), `"spec"`, `"status":{"list":`+empty(manyItems)+`},"spec"`, 1), ".status.list["},
		"status by a patch": {"PATCH", "/small/status", asMerge, `{"status":{"list":` + empty(manyItems) + `}}`, ".status.list["},
	} {
		t.Run(name, func(t *testing.T) {
			var got map[string]any
			took := allocated(func() {
				got = s.must(http.StatusRequestEntityTooLarge, tc.method, "c1"+widgets+tc.path, tc.contentType, tc.body)
			})
			if message, _ := got["message"].(string); !strings.Contains(message, "may add at most 3145728 bytes") || !strings.Contains(message, tc.field) || got["reason"] != "RequestEntityTooLarge" {
				t.Errorf("got %v", got)
			}
			t.Logf("%d KiB for %d KiB", took>>10, len(tc.body)>>10)
			if took > most {
				t.Errorf("allocated %d MiB for a request of %d KiB, want at most %d", took>>20, len(tc.body)>>10, most>>20)
			}
		})
	}
}

// The definition may change after an object was stored. An object whose defaults are too many then is one that cannot be decoded.
func TestHandlers_DefaultsDoNotMultiplyWhatIsStored(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, growingDefinition(t, 0))
	for _, name := range []string{"big", "dropped"} {
		s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget(name, `{"list":`+empty(manyItems)+`}`))
	}
	small := s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("small", `{"list":[{}]}`))
	events := s.watch("c1" + widgets + "?watch=true&resourceVersion=" + fmt.Sprint(at(small, "metadata", "resourceVersion")))
	grown := s.serve("c1", catalog.LocalBucket, growingDefinition(t, manyDefaults))
	if got := s.must(http.StatusOK, "GET", "c1"+widgets+"/small", "", ""); len(at(got, "spec", "list").([]any)[0].(map[string]any)) != manyDefaults {
		t.Error("the small object has no defaults")
	}
	for name, tc := range map[string]struct{ method, path, contentType, body string }{
		"get":              {"GET", "/big", "", ""},
		"get from a cache": {"GET", "/big?resourceVersion=0", "", ""},
		"list":             {"GET", "", "", ""},
		"patch":            {"PATCH", "/big", asMerge, `{"spec":{"list":null}}`},
		"patch of status":  {"PATCH", "/big/status", asMerge, `{"status":{"list":null}}`},
	} {
		t.Run(name, func(t *testing.T) {
			var got map[string]any
			took := allocated(func() {
				got = s.must(http.StatusInternalServerError, tc.method, "c1"+widgets+tc.path, tc.contentType, tc.body)
			})
			if message, _ := got["message"].(string); !strings.Contains(message, "the defaults of the schema may add at most 3145728 bytes") {
				t.Errorf("got %v", got)
			}
			if took > most {
				t.Errorf("allocated %d MiB, want at most %d", took>>20, most>>20)
			}
		})
	}
	objects, err := s.handlers.Storage(grown, "c1")
	if err != nil {
		t.Fatal(err)
	}
	ctx := storage.WithBucket(genericapirequest.WithNamespace(logicalcluster.WithCluster(t.Context(), "c1"), "default"), catalog.LocalBucket)
	if _, _, err := objects.Delete(storage.DroppingUnreadable(ctx), "dropped", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("dropping what cannot be read: %v", err)
	}
	// Without the defaults, all is as it was.
	s.expect(events, "DELETED dropped")
	s.serve("c1", catalog.LocalBucket, growingDefinition(t, 0))
	s.must(http.StatusOK, "GET", "c1"+widgets+"/big", "", "")
	s.must(http.StatusNotFound, "GET", "c1"+widgets+"/dropped", "", "")
}

// An object is written in one version and stored in another, which has other defaults.
func TestHandlers_DefaultsOfTheStoredVersion(t *testing.T) {
	crd := growingDefinition(t, manyDefaults)
	other := *growingDefinition(t, 0).Spec.Versions[0].DeepCopy()
	other.Name, other.Storage = "v2", false
	crd.Spec.Versions = append(crd.Spec.Versions, other)
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, crd)
	v2 := strings.Replace(widgets, "/v1/", "/v2/", 1)
	create := func(name, list string, want int) {
		s.must(want, "POST", "c1"+v2, asJSON, strings.Replace(widget(name, `{"list":`+list+`}`), "/v1", "/v2", 1))
	}
	create("small", "[{}]", http.StatusCreated)
	if took := allocated(func() { create("big", empty(manyItems), http.StatusRequestEntityTooLarge) }); took > most {
		t.Errorf("allocated %d MiB, want at most %d", took>>20, most>>20)
	}
	s.must(http.StatusNotFound, "GET", "c1"+v2+"/big", "", "")
	s.must(http.StatusOK, "GET", "c1"+widgets+"/small", "", "")
	// What says that it is of another version gets the defaults of that one before it is refused.
	s.must(http.StatusRequestEntityTooLarge, "POST", "c1"+v2, asJSON, widget("w", `{"list":`+empty(manyItems)+`}`))
}

// Objects with as many defaults as fit are taken on all ways, and so are patches of what replaces large defaults by little.
func TestHandlers_DefaultsThatFit(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c1", catalog.LocalBucket, growingDefinition(t, 20))
	s.must(http.StatusCreated, "POST", "c1"+widgets, asJSON, widget("w", `{"list":`+empty(10)+`,"map":`+emptyMap(10)+`,"plain":`+empty(1_000)+`}`))
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/w?fieldManager=x&force=true", asApply, widget("w", `{"list":`+empty(5)+`}`))
	s.must(http.StatusOK, "PATCH", "c1"+widgets+"/w", asMerge, `{"spec":{"map":{"3":{"p7":"y"}}}}`)
	got := s.must(http.StatusOK, "PATCH", "c1"+widgets+"/w", "application/json-patch+json", `[{"op":"copy","from":"/spec/map","path":"/spec/list/0/p7"},{"op":"remove","path":"/spec/list/0/p7"}]`)
	if len(at(got, "spec", "map", "9").(map[string]any)) != 20 || at(got, "spec", "map", "3", "p7") != "y" {
		t.Errorf("defaults are missing")
	}
}
