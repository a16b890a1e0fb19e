package sharing

import (
	"fmt"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/schemas/crd"
)

// thing returns a schema of things whose field a has a schema; its name begins with version.
func thing(version, a string) *apisv1alpha1.APIResourceSchema {
	schema := clienttest.In("provider", &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: version + ".things.example.com", UID: types.UID("uid-" + version)}})
	schema.Spec = apisv1alpha1.APIResourceSchemaSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "things", Singular: "thing", Kind: "Thing", ListKind: "ThingList"},
		Versions: []apisv1alpha1.APIResourceVersion{{Name: "v1", Storage: true, Schema: runtime.RawExtension{
			Raw: []byte(`{"type":"object","properties":{"a":` + a + `}}`),
		}}},
	}
	return schema
}

func thingsExport(schemas ...string) *apisv1alpha2.APIExport {
	export := clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "things"}})
	for _, schema := range schemas {
		export.Spec.Resources = append(export.Spec.Resources, apisv1alpha2.ResourceSchema{Name: "things", Group: "example.com", Schema: schema + ".things.example.com"})
	}
	return export
}

// boundThings returns a binding of a consumer, and the definition that serves it.
func boundThings(t *testing.T, schema *apisv1alpha1.APIResourceSchema) []client.Object {
	t.Helper()
	binding := clienttest.In("consumer", newBinding("provider", "things", withLabel(thingsLabel)))
	binding.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{Group: "example.com", Resource: "things", Schema: apisv1alpha2.BoundAPIResourceSchema{Name: schema.Name, UID: string(schema.UID)}}}
	definition, err := crd.Bound(schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	return []client.Object{binding, clienttest.In(logicalcluster.SystemBoundCRDs, definition)}
}

func evolving(objects ...client.Object) admission.Interface {
	return admission.NewChainHandler(New(Config{Authorizer: &policy{}, Resolver: resolver{}, Cached: clienttest.NewFake(), Live: clienttest.NewFake(objects...)})...)
}

func TestEvolution_RefusesWhatBreaksConsumers(t *testing.T) {
	const text, number, optional = `{"type":"string"}`, `{"type":"integer"}`, `{"type":"string","description":"x"}`
	v1, breaking, harmless := thing("v1", text), thing("v2", number), thing("v3", optional)
	allowing := func(value string) *apisv1alpha2.APIExport {
		export := thingsExport("v2")
		export.Annotations[annexv1alpha1.AllowBreakingChangeAnnotationKey] = value
		return export
	}
	bound := append(boundThings(t, v1), v1, breaking, harmless)
	alone := []client.Object{v1, breaking, harmless}
	from := func(schema string) *annexv1alpha1.APIExportRollout {
		export := thingsExport("v2")
		r := &annexv1alpha1.APIExportRollout{}
		r.Name, r.Annotations = export.Name, export.Annotations
		r.Status.Resources = []annexv1alpha1.RolloutResource{{Group: export.Spec.Resources[0].Group, Resource: export.Spec.Resources[0].Name, From: schema}}
		return r
	}
	v1Name := thingsExport("v1").Spec.Resources[0].Schema
	for name, tt := range map[string]struct {
		objects  []client.Object
		obj, old *apisv1alpha2.APIExport
		refused  bool
	}{
		"breaking":                      {bound, thingsExport("v2"), thingsExport("v1"), true},
		"harmless":                      {bound, thingsExport("v3"), thingsExport("v1"), false},
		"without consumers":             {alone, thingsExport("v2"), thingsExport("v1"), false},
		"allowed":                       {bound, allowing("v9.things.example.com, v2.things.example.com"), thingsExport("v1"), false},
		"another schema is allowed":     {bound, allowing("v3.things.example.com"), thingsExport("v1"), true},
		"everything is allowed":         {bound, allowing("true"), thingsExport("v1"), true},
		"the entry was removed":         {bound, thingsExport("v2"), thingsExport(), true},
		"the export was deleted":        {bound, thingsExport("v2"), nil, true},
		"the entry is removed":          {bound, thingsExport(), thingsExport("v1"), false},
		"nothing changes":               {bound, thingsExport("v2"), thingsExport("v2"), false},
		"the schema does not exist yet": {bound, thingsExport("v7"), thingsExport("v1"), false},
		"back for those that are bound": {append(boundThings(t, breaking), alone...), thingsExport("v1"), thingsExport("v2"), true},
		"back, in a rollout":            {append(boundThings(t, breaking), append(alone, from(v1Name))...), thingsExport("v1"), thingsExport("v2"), false},
		"not where a rollout came from": {append(boundThings(t, breaking), append(alone, from("v9.things.example.com"))...), thingsExport("v1"), thingsExport("v2"), true},
		"forward, in a rollout":         {append(bound, from(v1Name)), thingsExport("v2"), thingsExport("v1"), true},
	} {
		t.Run(name, func(t *testing.T) {
			var old runtime.Object
			if tt.old != nil {
				old = tt.old
			}
			for _, who := range []string{"alice", "server"} { // which publishes for others
				user := alice
				if who == "server" {
					user = server
				}
				err := admit(t, evolving(tt.objects...), user, "provider", "apiexports", "", tt.obj, old)
				if !tt.refused {
					if err != nil {
						t.Errorf("%s: %v", who, err)
					}
					continue
				}
				if !apierrors.IsInvalid(err) {
					t.Fatalf("%s: %v, want Invalid", who, err)
				}
				for _, want := range []string{"spec.resources[0].schema", "the type changes from", "can break 1 workspaces", "annex.dev/allow-breaking-change=" + tt.obj.Spec.Resources[0].Schema} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s: does not say %q: %v", who, want, err)
					}
				}
			}
		})
	}
}

func TestEvolution_ComparesASchemaThatComesLater(t *testing.T) {
	v1 := thing("v1", `{"type":"string"}`)
	for a, refused := range map[string]bool{`{"type":"integer"}`: true, `{"type":"string","description":"x"}`: false} {
		export := thingsExport("v2")
		err := admit(t, evolving(append(boundThings(t, v1), v1, export)...), alice, "provider", "apiresourceschemas", "", thing("v2", a), nil)
		if apierrors.IsInvalid(err) != refused || err != nil && !refused {
			t.Errorf("%s: %v", a, err)
		}
		export.Annotations[annexv1alpha1.AllowBreakingChangeAnnotationKey] = "v2.things.example.com"
		if err := admit(t, evolving(append(boundThings(t, v1), v1, export)...), alice, "provider", "apiresourceschemas", "", thing("v2", a), nil); err != nil {
			t.Errorf("%s, allowed: %v", a, err)
		}
	}
}

func TestEvolution_AnswersAreBounded(t *testing.T) {
	var before, after []string
	for i := range 200 {
		before, after = append(before, fmt.Sprintf(`"f%d":{"type":"string"}`, i)), append(after, fmt.Sprintf(`"f%d":{"type":"integer"}`, i))
	}
	object := func(fields []string) string {
		return `{"type":"object","properties":{` + strings.Join(fields, ",") + `}}`
	}
	v1, v2 := thing("v1", object(before)), thing("v2", object(after))
	err := admit(t, evolving(append(boundThings(t, v1), v1, v2)...), alice, "provider", "apiexports", "", thingsExport("v2"), thingsExport("v1"))
	status, ok := err.(apierrors.APIStatus)
	if !ok || len(status.Status().Details.Causes) != maxTold+2 || !strings.Contains(err.Error(), "190 more breaking changes") {
		t.Errorf("%v", err)
	}
}
