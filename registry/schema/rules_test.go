package schema

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/schemas/crd"
)

// gizmoRules convert as conversions does. The zone is only in v2.
const gizmoRules = `
conversions:
- from: v1
  to: v2
  rules:
  - {field: .spec.address, destination: .spec.host, transformation: "self.split(':')[0]"}
  - {field: .spec.address, destination: .spec.port, transformation: "self.split(':')[1]"}
- from: v2
  to: v1
  rules:
  - {field: .spec, destination: .spec.address, transformation: "self.host + ':' + self.port"}
  preserve: [.spec.zone]
`

// ruledGizmos is the definition of gizmos with rules.
func ruledGizmos(t *testing.T, rules string, change func(*apiextensionsv1.CustomResourceDefinition)) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	c := &apisv1alpha1.APIConversion{}
	if err := yaml.UnmarshalStrict([]byte(rules), &c.Spec); err != nil {
		t.Fatal(err)
	}
	definition := definition(t, fmt.Sprintf(gizmos, "", ""))
	definition.Spec.Conversion = nil
	if change != nil {
		change(definition)
	}
	if err := crd.SetConversion(definition, c); err != nil {
		t.Fatal(err)
	}
	return definition
}

func storesV2(definition *apiextensionsv1.CustomResourceDefinition) {
	definition.Spec.Versions[0].Storage, definition.Spec.Versions[1].Storage = false, true
}

func TestRules(t *testing.T) {
	s := newServer(t, nil)
	resource := s.serve("c", "hash", ruledGizmos(t, gizmoRules, nil))
	if !Converts(resource) {
		t.Error("the resource does not convert")
	}
	s.must(http.StatusCreated, http.MethodPost, "c"+gizmosV1, asJSON, gizmo("a", "v1", `{"address":"one:1"}`))
	created := s.must(http.StatusCreated, http.MethodPost, "c"+gizmosV2, asJSON, gizmo("b", "v2", `{"host":"two","port":"2","zone":"west"}`))
	if at(created, "spec", "zone") != "west" || created["apiVersion"] != "example.com/v2" || at(created, "metadata", "annotations", apisv1alpha1.PreserveAnnotationPrefix+"v2") != nil {
		t.Errorf("created %v", created)
	}
	t.Run("every version shows every object", func(t *testing.T) {
		old := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV1+"/b", "", "")
		if at(old, "spec", "address") != "two:2" || at(old, "metadata", "annotations", apisv1alpha1.PreserveAnnotationPrefix+"v2") != `{".spec.zone":"west"}` {
			t.Errorf("b in v1 is %v", old)
		}
		one := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/a", "", "")
		if at(one, "spec", "host") != "one" || at(one, "spec", "port") != "1" {
			t.Errorf("a in v2 is %v", one)
		}
		cached := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/a?resourceVersion=0", "", "")
		list := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2, "", "")
		for where, got := range map[string]any{"the cache": cached, "a list": list["items"].([]any)[0]} {
			if !reflect.DeepEqual(got, map[string]any(one)) {
				t.Errorf("a is %v, in %s %v", one, where, got)
			}
		}
		fields := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"?fieldSelector=spec.host%3Dtwo", "", "")
		if items := fields["items"].([]any); len(items) != 1 {
			t.Errorf("the field selector selects %v", items)
		}
	})
	t.Run("changes", func(t *testing.T) {
		events := s.watch("c" + gizmosV2 + "?watch=true&resourceVersion=0")
		s.expect(events, "ADDED a")
		s.expect(events, "ADDED b")
		s.must(http.StatusOK, http.MethodPatch, "c"+gizmosV1+"/b", asMerge, `{"spec":{"address":"three:3"}}`)
		s.expect(events, "MODIFIED b")
		if got := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/b", "", ""); at(got, "spec", "host") != "three" || at(got, "spec", "zone") != "west" {
			t.Errorf("an old client lost something: %v", got)
		}
		s.must(http.StatusOK, http.MethodPatch, "c"+gizmosV2+"/a?fieldManager=m&force=true", asApply, gizmo("a", "v2", `{"port":"22"}`))
		s.must(http.StatusOK, http.MethodPatch, "c"+gizmosV1+"/a?fieldManager=n&force=true", asApply, gizmo("a", "v1", `{"address":"four:4"}`))
		if got := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/a", "", ""); at(got, "spec", "host") != "four" || at(got, "spec", "port") != "4" {
			t.Errorf("applied in both versions: %v", got)
		}
		// Nothing changes, so nothing is written.
		before := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/b", "", "")
		data, _ := json.Marshal(before)
		if after := s.must(http.StatusOK, http.MethodPut, "c"+gizmosV2+"/b", asJSON, string(data)); at(after, "metadata", "resourceVersion") != at(before, "metadata", "resourceVersion") {
			t.Errorf("an update without a change was written: %v", after)
		}
	})
	t.Run("the version that is stored changes", func(t *testing.T) {
		next := s.serve("c", "hash", ruledGizmos(t, gizmoRules, storesV2))
		if next.Hash == resource.Hash {
			t.Fatal("the definitions are the same")
		}
		s.must(http.StatusOK, http.MethodPatch, "c"+gizmosV1+"/b", asMerge, `{"spec":{"address":"five:5"}}`)
		for name, want := range map[string]string{"a": "four", "b": "five"} { // one is stored in v1 still
			if got := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/"+name, "", ""); at(got, "spec", "host") != want {
				t.Errorf("%s is %v, want %s", name, got, want)
			}
		}
		s.must(http.StatusOK, http.MethodDelete, "c"+gizmosV1+"/b", "", "")
	})
	t.Run("other rules are another resource", func(t *testing.T) {
		other := s.serve("c", "hash", ruledGizmos(t, strings.Replace(gizmoRules, "[1]", "[0]", 1), nil))
		if other.Same(resource) || resource.Same(other) {
			t.Error("a watch would go on")
		}
		if got := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/a", "", ""); at(got, "spec", "port") != "four" {
			t.Errorf("got %v", got)
		}
	})
}

// An object that the rules cannot convert to a served version is not stored: lists would fail at it, those of the provider too.
func TestRules_RefuseWhatTheyCannotConvert(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c", "hash", ruledGizmos(t, gizmoRules, storesV2))
	invalid := func(method, path, contentType, body, field, message string) {
		t.Helper()
		got := s.must(http.StatusUnprocessableEntity, method, "c"+path, contentType, body)
		causes, _ := at(got, "details", "causes").([]any)
		if len(causes) != 1 || causes[0].(map[string]any)["field"] != field || !strings.Contains(got["message"].(string), message) {
			t.Errorf("%s %s: %v, want %s: %s", method, path, got, field, message)
		}
	}
	invalid(http.MethodPost, gizmosV1, asJSON, gizmo("a", "v1", `{"address":"nowhere"}`), "spec.address", "cannot be converted from v1 to v2: index out of bounds")
	invalid(http.MethodPost, gizmosV1+"?dryRun=All", asJSON, gizmo("a", "v1", `{"address":"nowhere"}`), "spec.address", "index out of bounds")
	invalid(http.MethodPost, gizmosV2, asJSON, gizmo("a", "v2", `{"host":"x"}`), "spec", "cannot be converted from v2 to v1: no such key: port")
	invalid(http.MethodPatch, gizmosV2+"/a?fieldManager=m", asApply, gizmo("a", "v2", `{"host":"x"}`), "spec", "no such key: port")
	long := `"` + strings.Repeat("x", 260<<10) + `"`
	invalid(http.MethodPost, gizmosV2, asJSON, gizmo("a", "v2", `{"host":"x","port":"1","zone":`+long+`}`), "metadata.annotations", "the fields to preserve in version v1 take too much")
	forged := func(value string) string {
		data, _ := json.Marshal(value)
		return `{"apiVersion":"example.com/v1","kind":"Gizmo","metadata":{"name":"forged","annotations":{"` + apisv1alpha1.PreserveAnnotationPrefix + `v2":` + string(data) + `}},"spec":{"address":"a:1"}}`
	}
	at422 := "metadata.annotations[" + apisv1alpha1.PreserveAnnotationPrefix + "v2]"
	invalid(http.MethodPost, gizmosV1, asJSON, forged(`{`), at422, "must be a JSON object")
	invalid(http.MethodPost, gizmosV1, asJSON, forged(`{".spec.zone":7}`), at422, "must be of type string")

	s.must(http.StatusCreated, http.MethodPost, "c"+gizmosV2, asJSON, gizmo("a", "v2", `{"host":"x","port":"1"}`))
	invalid(http.MethodPatch, gizmosV2+"/a", asMerge, `{"spec":{"port":null}}`, "spec", "no such key: port")
	invalid(http.MethodPatch, gizmosV1+"/a", asMerge, `{"metadata":{"annotations":{"`+apisv1alpha1.PreserveAnnotationPrefix+`v2":"["}}}`, at422, "must be a JSON object")

	// The rules change, and what is stored does not fit them: it can be labeled, changed and deleted in the version that is stored.
	s.serve("c", "hash", ruledGizmos(t, strings.Replace(gizmoRules, "self.host + ':'", "self.nothing + ':'", 1), func(d *apiextensionsv1.CustomResourceDefinition) {
		storesV2(d)
		spec := d.Spec.Versions[1].Schema.OpenAPIV3Schema.Properties["spec"]
		spec.Properties["nothing"] = apiextensionsv1.JSONSchemaProps{Type: "string"}
	}))
	got := s.must(http.StatusInternalServerError, http.MethodGet, "c"+gizmosV1+"/a", "", "")
	if message, _ := got["message"].(string); !strings.Contains(message, `Gizmo "default/a": spec: Invalid value: cannot be converted from v2 to v1: no such key: nothing`) || strings.Contains(message, "webhook") {
		t.Errorf("got %v", got)
	}
	s.must(http.StatusOK, http.MethodPatch, "c"+gizmosV2+"/a", asMerge, `{"metadata":{"labels":{"a":"b"}}}`)
	s.must(http.StatusOK, http.MethodPatch, "c"+gizmosV2+"/a", asMerge, `{"spec":{"host":"y"}}`)
	s.must(http.StatusOK, http.MethodDelete, "c"+gizmosV2+"/a", "", "")
}

// One object that the rules do not convert does not keep a request over several clusters from the others.
func TestRules_ShowTheOthers(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c", "hash", ruledGizmos(t, gizmoRules, nil))
	for _, name := range []string{"a", "b", "c"} {
		s.must(http.StatusCreated, http.MethodPost, "c"+gizmosV1, asJSON, gizmo(name, "v1", `{"address":"`+name+`:1"}`))
	}
	s.serve("c", "hash", ruledGizmos(t, strings.Replace(gizmoRules, "self.split(':')[0]", "['a', 'c'].filter(x, self.startsWith(x))[0]", 1), nil))
	got := s.must(http.StatusInternalServerError, http.MethodGet, "c"+gizmosV2, "", "")
	if message, _ := got["message"].(string); !strings.Contains(message, `Gizmo "default/b": spec.address: Invalid value: cannot be converted from v1 to v2`) {
		t.Errorf("got %v", got)
	}
	s.filter = everything{}
	list := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2, "", "")
	var shown []any
	for _, item := range list["items"].([]any) {
		shown = append(shown, at(item.(map[string]any), "spec", "host"))
	}
	if !reflect.DeepEqual(shown, []any{"a", "c"}) {
		t.Errorf("shown are %v", shown)
	}
}

// everything is a filter that hides nothing.
type everything struct{}

func (everything) Shows(head.Head) bool { return true }

// What a preserved field was given by a client has to be valid in its own version.
func TestRules_RestoredFieldsAreValidated(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c", "hash", ruledGizmos(t, gizmoRules, func(d *apiextensionsv1.CustomResourceDefinition) {
		storesV2(d)
		spec := d.Spec.Versions[1].Schema.OpenAPIV3Schema.Properties["spec"]
		zone := spec.Properties["zone"]
		zone.Enum = []apiextensionsv1.JSON{{Raw: []byte(`"none"`)}, {Raw: []byte(`"west"`)}}
		spec.Properties["zone"] = zone
	}))
	body := func(zone string) string {
		return `{"apiVersion":"example.com/v1","kind":"Gizmo","metadata":{"name":"` + zone + `","annotations":{"` + apisv1alpha1.PreserveAnnotationPrefix + `v2":"{\".spec.zone\":\"` + zone + `\"}"}},"spec":{"address":"a:1"}}`
	}
	got := s.must(http.StatusUnprocessableEntity, http.MethodPost, "c"+gizmosV1, asJSON, body("moon"))
	if message, _ := got["message"].(string); !strings.Contains(message, `spec.zone: Unsupported value: "moon"`) {
		t.Errorf("got %v", got)
	}
	s.must(http.StatusCreated, http.MethodPost, "c"+gizmosV1, asJSON, body("west"))
	if got := s.must(http.StatusOK, http.MethodGet, "c"+gizmosV2+"/west", "", ""); at(got, "spec", "zone") != "west" {
		t.Errorf("got %v", got)
	}
}

// Rules of another schema convert nothing, and say so.
func TestRules_ThatDoNotFit(t *testing.T) {
	s := newServer(t, nil)
	s.serve("c", "hash", ruledGizmos(t, gizmoRules, nil))
	s.must(http.StatusCreated, http.MethodPost, "c"+gizmosV1, asJSON, gizmo("a", "v1", `{"address":"one:1"}`))
	s.serve("c", "hash", ruledGizmos(t, strings.Replace(gizmoRules, ".spec.host", ".spec.hostname", 1), nil))
	s.must(http.StatusOK, http.MethodGet, "c"+gizmosV1+"/a", "", "")
	for method, path := range map[string]string{http.MethodGet: gizmosV2 + "/a", http.MethodPost: gizmosV1} {
		got := s.must(http.StatusInternalServerError, method, "c"+path, asJSON, gizmo("b", "v1", `{"address":"one:1"}`))
		if message, _ := got["message"].(string); !strings.Contains(message, "the APIConversion does not fit the APIResourceSchema: spec.conversions[0].rules[0].destination") {
			t.Errorf("got %v", got)
		}
	}
}

func TestSize_CountsTransformations(t *testing.T) {
	copies := "conversions: [{from: v1, to: v2, rules: [{field: .spec, destination: .spec}]}, {from: v2, to: v1, rules: []}]"
	with, without := size(ruledGizmos(t, gizmoRules, nil)), size(ruledGizmos(t, copies, nil))
	if with < without+3*ruleBytes {
		t.Errorf("%d bytes with three transformations, %d without", with, without)
	}
}

// Consumers learn neither where the webhook of their provider is nor why it cannot be called. The provider does.
func TestConversion_ConsumersDoNotLearnWhereAWebhookIs(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Webhooks = directly{} })
	hook := newConversions(t)
	address := hook.URL
	crd := hook.definition(t, func(d *apiextensionsv1.CustomResourceDefinition) {
		d.Annotations = map[string]string{"apis.kcp.io/schema-cluster": "provider"}
	})
	bound := s.serve("consumer", "hash", crd)
	if bound.Provider != logicalcluster.Name("provider") {
		t.Fatalf("the provider is %q", bound.Provider)
	}
	local := hook.definition(t, nil)
	s.serve("provider", "another", local) // equal resources are shared
	s.must(http.StatusCreated, http.MethodPost, "consumer"+gizmosV1, asJSON, gizmo("a", "v1", `{"address":"one:1"}`))
	s.must(http.StatusCreated, http.MethodPost, "provider"+gizmosV1, asJSON, gizmo("a", "v1", `{"address":"one:1"}`))
	if got := s.must(http.StatusOK, http.MethodGet, "consumer"+gizmosV2+"/a", "", ""); at(got, "spec", "host") != "one" {
		t.Errorf("got %v", got)
	}
	hook.set("a fault in its own words", nil)
	got := s.must(http.StatusInternalServerError, http.MethodGet, "consumer"+gizmosV2+"/a", "", "")
	if message, _ := got["message"].(string); !strings.Contains(message, "a fault in its own words") {
		t.Errorf("got %v", got)
	}
	hook.Close()
	got = s.must(http.StatusInternalServerError, http.MethodGet, "consumer"+gizmosV2+"/a", "", "")
	message, _ := got["message"].(string)
	if !strings.Contains(message, "the webhook of the provider of gizmos.example.com cannot be called") || strings.Contains(message, strings.TrimPrefix(address, "https://")) || strings.Contains(message, "refused") {
		t.Errorf("a consumer learns %v", got)
	}
	got = s.must(http.StatusInternalServerError, http.MethodGet, "provider"+gizmosV2+"/a", "", "")
	if message, _ := got["message"].(string); !strings.Contains(message, strings.TrimPrefix(address, "https://")) {
		t.Errorf("the provider learns %v", got)
	}
}
