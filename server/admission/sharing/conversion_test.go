package sharing

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func personSchema(name string, strategy apisv1alpha1.ConversionStrategyType) *apisv1alpha1.APIResourceSchema {
	version := func(name, field string, storage bool) apisv1alpha1.APIResourceVersion {
		return apisv1alpha1.APIResourceVersion{Name: name, Storage: storage, Schema: runtime.RawExtension{
			Raw: []byte(`{"type":"object","properties":{"spec":{"type":"object","properties":{"` + field + `":{"type":"string"}}}}}`)}}
	}
	return clienttest.In("provider", &apisv1alpha1.APIResourceSchema{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: apisv1alpha1.APIResourceSchemaSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
		Names:      apiextensionsv1.CustomResourceDefinitionNames{Plural: "people", Singular: "person", Kind: "Person", ListKind: "PersonList"},
		Conversion: &apisv1alpha1.CustomResourceConversion{Strategy: strategy},
		Versions:   []apisv1alpha1.APIResourceVersion{version("v1", "name", false), version("v2", "title", true)},
	}})
}

func TestConversion_FitsItsSchema(t *testing.T) {
	fake := clienttest.NewFake(personSchema("v2.people.example.com", apisv1alpha1.NoneConverter), personSchema("hooked.people.example.com", apisv1alpha1.WebhookConverter))
	chain := admission.NewChainHandler(New(Config{Authorizer: &policy{}, Resolver: resolver{}, Cached: clienttest.NewFake(), Live: fake})...)
	conversion := func(name string, change func(*apisv1alpha1.APIConversionSpec)) *apisv1alpha1.APIConversion {
		c := &apisv1alpha1.APIConversion{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: apisv1alpha1.APIConversionSpec{Conversions: []apisv1alpha1.APIVersionConversion{
			{From: "v1", To: "v2", Rules: []apisv1alpha1.APIConversionRule{{Field: ".spec.name", Destination: ".spec.title"}}},
			{From: "v2", To: "v1", Rules: []apisv1alpha1.APIConversionRule{{Field: ".spec.title", Destination: ".spec.name"}}},
		}}}
		if change != nil {
			change(&c.Spec)
		}
		return c
	}
	for name, tc := range map[string]struct {
		conversion *apisv1alpha1.APIConversion
		want       string
	}{
		"fits":               {conversion("v2.people.example.com", nil), ""},
		"no schema":          {conversion("v3.people.example.com", nil), "metadata.name: Invalid value: \"v3.people.example.com\": must be the name of an APIResourceSchema"},
		"schema by webhook":  {conversion("hooked.people.example.com", nil), "spec.conversions: Forbidden: the APIResourceSchema converts with strategy Webhook"},
		"a field is missing": {conversion("v2.people.example.com", func(s *apisv1alpha1.APIConversionSpec) { s.Conversions[0].Rules[0].Field = ".spec.title" }), "spec.conversions[0].rules[0].field"},
		"bad CEL":            {conversion("v2.people.example.com", func(s *apisv1alpha1.APIConversionSpec) { s.Conversions[1].Rules[0].Transformation = "self(" }), "spec.conversions[1].rules[0].transformation"},
		"none back":          {conversion("v2.people.example.com", func(s *apisv1alpha1.APIConversionSpec) { s.Conversions = s.Conversions[:1] }), "a conversion from v2 to v1"},
	} {
		err := admit(t, chain, mallory, "provider", "apiconversions", "", tc.conversion, nil)
		if (err == nil) != (tc.want == "") || err != nil && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	if err := admit(t, chain, mallory, "elsewhere", "apiconversions", "", conversion("v2.people.example.com", nil), nil); !apierrors.IsInvalid(err) {
		t.Errorf("the schema of another workspace: %v", err)
	}
	// The schema may be gone: what does not concern the rules can change.
	old := conversion("gone.people.example.com", nil)
	changed := old.DeepCopy()
	changed.Finalizers = []string{"example.com/x"}
	if err := admit(t, chain, mallory, "provider", "apiconversions", "", changed, old); err != nil {
		t.Errorf("metadata: %v", err)
	}
	changed.Spec.Conversions[0].Preserve = []string{".spec.name"}
	if err := admit(t, chain, mallory, "provider", "apiconversions", "", changed, old); !apierrors.IsInvalid(err) {
		t.Errorf("other rules: %v", err)
	}
}

func TestConversion_StaysWhileAnExportNeedsIt(t *testing.T) {
	export := clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "things"}})
	single := personSchema("single.people.example.com", apisv1alpha1.NoneConverter)
	single.Spec.Versions = single.Spec.Versions[1:]
	stored := []client.Object{export, single, clienttest.In("elsewhere", personSchema("v2.people.example.com", apisv1alpha1.NoneConverter))}
	for _, name := range []string{"v2.people.example.com", "unused.people.example.com"} {
		stored = append(stored, personSchema(name, apisv1alpha1.NoneConverter))
	}
	for _, name := range []string{"v2.people.example.com", "single.people.example.com", "gone.people.example.com"} {
		export.Spec.Resources = append(export.Spec.Resources, apisv1alpha2.ResourceSchema{Name: "people", Group: "example.com", Schema: name})
	}
	chain := admission.NewChainHandler(New(Config{Authorizer: &policy{}, Resolver: resolver{}, Cached: clienttest.NewFake(), Live: clienttest.NewFake(stored...)})...)
	gvr := schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiconversions"}
	for name, tc := range map[string]struct {
		who               user.Info
		cluster           logicalcluster.Name
		conversion, named string
		want              string
	}{
		"in use":                {alice, "provider", "v2.people.example.com", "v2.people.example.com", `APIExport "things" offers`},
		"in use, one of many":   {alice, "provider", "v2.people.example.com", "", `APIExport "things" offers`},
		"one version":           {alice, "provider", "single.people.example.com", "single.people.example.com", ""},
		"not offered":           {alice, "provider", "unused.people.example.com", "unused.people.example.com", ""},
		"without a schema":      {alice, "provider", "gone.people.example.com", "gone.people.example.com", ""},
		"in use elsewhere":      {alice, "elsewhere", "v2.people.example.com", "v2.people.example.com", ""},
		"goes with a workspace": {server, "provider", "v2.people.example.com", "v2.people.example.com", ""},
		"in no workspace":       {alice, "", "v2.people.example.com", "v2.people.example.com", "names no workspace"},
	} {
		t.Run(name, func(t *testing.T) {
			old := &apisv1alpha1.APIConversion{ObjectMeta: metav1.ObjectMeta{Name: tc.conversion}}
			a := admission.NewAttributesRecord(nil, old, schema.GroupVersionKind{Group: gvr.Group, Version: gvr.Version, Kind: "X"}, "", tc.named, gvr, "", admission.Delete, nil, false, tc.who)
			ctx := logicalcluster.WithCluster(t.Context(), tc.cluster)
			if tc.cluster == "" {
				ctx = logicalcluster.WithWildcard(t.Context())
			}
			err := chain.Validate(ctx, a, nil)
			if (tc.want == "") != (err == nil) || err != nil && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v", err)
			}
		})
	}
}
