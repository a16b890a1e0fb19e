package sharing

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

// updaters lets alice update the exports of the provider.
type updaters struct{}

func (updaters) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser().GetName() == "alice" && cluster == "provider" && a.GetVerb() == "update" && a.GetResource() == "apiexports" && a.GetAPIGroup() == "apis.kcp.io" {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func peopleExport(schema string) *apisv1alpha2.APIExport {
	export := clienttest.In("provider", &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "people"}})
	export.Spec.Resources = []apisv1alpha2.ResourceSchema{{Name: "people", Group: "example.com", Schema: schema + ".people.example.com"}}
	return export
}

// peopleRollout is a rollout from v1 to v2.
func peopleRollout(phase annexv1alpha1.RolloutPhase) *annexv1alpha1.APIExportRollout {
	r := clienttest.In("provider", &annexv1alpha1.APIExportRollout{ObjectMeta: metav1.ObjectMeta{Name: "people"}})
	r.Status.Phase, r.Status.Revision = phase, 2
	r.Status.Resources = []annexv1alpha1.RolloutResource{{Group: "example.com", Resource: "people", From: "v1.people.example.com", To: "v2.people.example.com"}}
	return r
}

// storesV1 is a schema that stores v1, and has no v2 unless both is true.
func storesV1(name string, both bool) *apisv1alpha1.APIResourceSchema {
	s := personSchema(name, apisv1alpha1.NoneConverter)
	s.Spec.Versions[0].Storage, s.Spec.Versions[1].Storage = true, false
	if !both {
		s.Spec.Versions = s.Spec.Versions[:1]
	}
	return s
}

func validateOf(t *testing.T, who user.Info, cluster logicalcluster.Name, obj, old runtime.Object, resource string, stored ...client.Object) error {
	t.Helper()
	chain := admission.NewChainHandler(New(Config{Authorizer: updaters{}, Resolver: resolver{}, Cached: clienttest.NewFake(), Live: clienttest.NewFake(stored...)})...)
	operation, gvr := admission.Create, annexv1alpha1.SchemeGroupVersion.WithResource(resource)
	switch {
	case obj == nil:
		operation = admission.Delete
	case old != nil:
		operation = admission.Update
	}
	if resource != "apiexportrollouts" {
		gvr = apisv1alpha2.SchemeGroupVersion.WithResource(resource)
	}
	name := ""
	if meta, ok := obj.(metav1.Object); ok && old != nil {
		name = meta.GetName()
	}
	a := admission.NewAttributesRecord(obj, old, schema.GroupVersionKind{Group: gvr.Group, Version: gvr.Version, Kind: "X"}, "", name, gvr, "", operation, nil, false, who)
	ctx := logicalcluster.WithCluster(t.Context(), cluster)
	if cluster == "" {
		ctx = logicalcluster.WithWildcard(t.Context())
	}
	return chain.Validate(ctx, a, nil)
}

func TestRollout_NeedsUpdateOfTheExport(t *testing.T) {
	r := peopleRollout(annexv1alpha1.RolloutPhaseComplete)
	for name, tc := range map[string]struct {
		who     user.Info
		cluster logicalcluster.Name
		allowed bool
	}{
		"who may update the export":       {alice, "provider", true},
		"who may not":                     {mallory, "provider", false},
		"who may update that of others":   {alice, "elsewhere", false},
		"the server":                      {server, "elsewhere", true},
		"a request without one workspace": {alice, "", false},
	} {
		for what, err := range map[string]error{
			"create": validateOf(t, tc.who, tc.cluster, r, nil, "apiexportrollouts"),
			"update": validateOf(t, tc.who, tc.cluster, r, r.DeepCopy(), "apiexportrollouts"),
			"delete": validateOf(t, tc.who, tc.cluster, nil, r, "apiexportrollouts"),
		} {
			if (err == nil) != tc.allowed || err != nil && !apierrors.IsForbidden(err) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
}

func TestRollout_StaysWhileItHoldsConsumersBack(t *testing.T) {
	for name, tc := range map[string]struct {
		phase   annexv1alpha1.RolloutPhase
		offered string // none if empty
		allowed bool
	}{
		"complete":                    {annexv1alpha1.RolloutPhaseComplete, "v2", true},
		"new":                         {"", "v2", true},
		"paused":                      {annexv1alpha1.RolloutPhasePaused, "v2", false},
		"stopped":                     {annexv1alpha1.RolloutPhaseStopped, "v2", false},
		"undone":                      {annexv1alpha1.RolloutPhaseUndone, "v2", false},
		"complete, but not for long":  {annexv1alpha1.RolloutPhaseComplete, "v3", false},
		"paused, without its export":  {annexv1alpha1.RolloutPhasePaused, "", true},
		"complete, without an export": {annexv1alpha1.RolloutPhaseComplete, "", true},
	} {
		r := peopleRollout(tc.phase)
		stored := []client.Object{r}
		if tc.offered != "" {
			stored = append(stored, peopleExport(tc.offered))
		}
		err := validateOf(t, alice, "provider", nil, r, "apiexportrollouts", stored...)
		if (err == nil) != tc.allowed || err != nil && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "holds consumers back")) {
			t.Errorf("%s: %v", name, err)
		}
		if err := validateOf(t, server, "provider", nil, r, "apiexportrollouts", stored...); err != nil {
			t.Errorf("%s: with its workspace: %v", name, err)
		}
	}
}

func TestRollout_KeepsTheWayBack(t *testing.T) {
	schemas := []client.Object{
		storesV1("v1.people.example.com", false), storesV1("v2.people.example.com", true),
		personSchema("v3.people.example.com", apisv1alpha1.NoneConverter), // stores v2
	}
	paused, complete := peopleRollout(annexv1alpha1.RolloutPhasePaused), peopleRollout(annexv1alpha1.RolloutPhaseComplete)
	for name, tc := range map[string]struct {
		rollout  *annexv1alpha1.APIExportRollout
		from, to string
		want     string
	}{
		"to a version more":                    {complete, "v1", "v2", ""},
		"to what stores a new version":         {complete, "v1", "v3", `it stores objects in version "v2"`},
		"in two steps":                         {complete, "v2", "v3", ""},
		"in two steps, the first not complete": {paused, "v2", "v3", `it stores objects in version "v2"`},
		"to what is not there":                 {complete, "v2", "v9", "there is no such APIResourceSchema"},
		"from what is not there":               {complete, "v0", "v3", ""},
		"without a rollout":                    {nil, "v1", "v3", ""},
		"no change":                            {paused, "v3", "v3", ""},
	} {
		stored := schemas
		if tc.rollout != nil {
			stored = append(stored[:len(stored):len(stored)], tc.rollout)
		}
		for _, who := range []user.Info{mallory, server} {
			err := validateOf(t, who, "provider", peopleExport(tc.to), peopleExport(tc.from), "apiexports", stored...)
			if (err == nil) != (tc.want == "") || err != nil && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.resources[0].schema") || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// Schemas, and the rules of those with several versions, stay as long as consumers may have them.
	for name, tc := range map[string]struct {
		resource string
		rollout  *annexv1alpha1.APIExportRollout
		object   runtime.Object
		allowed  bool
	}{
		"the previous schema":                {"apiresourceschemas", paused, storesV1("v1.people.example.com", false), false},
		"the new schema":                     {"apiresourceschemas", paused, storesV1("v2.people.example.com", true), false},
		"another schema":                     {"apiresourceschemas", paused, personSchema("v3.people.example.com", apisv1alpha1.NoneConverter), true},
		"the previous schema, when complete": {"apiresourceschemas", complete, storesV1("v1.people.example.com", false), true},
		"the rules of the new schema":        {"apiconversions", paused, &apisv1alpha1.APIConversion{ObjectMeta: metav1.ObjectMeta{Name: "v2.people.example.com"}}, false},
		"the rules of another schema":        {"apiconversions", paused, &apisv1alpha1.APIConversion{ObjectMeta: metav1.ObjectMeta{Name: "v3.people.example.com"}}, true},
	} {
		err := validateOf(t, alice, "provider", nil, tc.object, tc.resource, append(schemas[:len(schemas):len(schemas)], tc.rollout)...)
		if (err == nil) != tc.allowed || err != nil && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "APIExportRollout")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
