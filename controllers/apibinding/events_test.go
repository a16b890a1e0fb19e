package apibinding

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// recorded notes Events as "kind reason: message".
type recorded []string

func (r *recorded) Record(_ client.Object, kind schema.GroupVersionKind, _, reason, message string) {
	*r = append(*r, kind.Kind+" "+reason+": "+message)
}

func TestTell(t *testing.T) {
	state := func(t conditionsv1alpha1.ConditionType, reason, message string) *apisv1alpha2.APIBinding {
		binding := clienttest.In("consumer", &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}})
		if reason == "" {
			conditionsv1alpha1.MarkTrue(binding, t)
			return binding
		}
		conditionsv1alpha1.MarkFalse(binding, t, reason, conditionsv1alpha1.ConditionSeverityError, "%s", message)
		return binding
	}
	none := &apisv1alpha2.APIBinding{}
	const valid, upToDate, claims = apisv1alpha2.APIExportValid, apisv1alpha2.BindingUpToDate, apisv1alpha2.PermissionClaimsValid
	for name, tc := range map[string]struct {
		old, now *apisv1alpha2.APIBinding
		want     []string
	}{
		"bound":                     {none, state(upToDate, "", ""), nil},
		"a conflict":                {none, state(upToDate, apisv1alpha2.NamingConflictsReason, "x"), []string{"APIBinding NamingConflicts: x"}},
		"the same conflict":         {state(upToDate, apisv1alpha2.NamingConflictsReason, "x"), state(upToDate, apisv1alpha2.NamingConflictsReason, "x"), nil},
		"another conflict":          {state(upToDate, apisv1alpha2.NamingConflictsReason, "x"), state(upToDate, apisv1alpha2.NamingConflictsReason, "y"), []string{"APIBinding NamingConflicts: y"}},
		"a conflict that ends":      {state(upToDate, apisv1alpha2.NamingConflictsReason, "x"), state(upToDate, "", ""), nil},
		"a schema that is refused":  {state(upToDate, "", ""), state(upToDate, apisv1alpha2.APIResourceSchemaInvalidReason, "x"), []string{"APIBinding APIResourceSchemaInvalid: x"}},
		"an export that is missing": {none, state(valid, apisv1alpha2.APIExportNotFoundReason, "x"), []string{"APIBinding APIExportNotFound: x"}},
		"what passes by itself":     {none, state(valid, apisv1alpha2.MissingIdentityHashReason, "x"), nil},
		"an open claim":             {none, state(claims, apisv1alpha2.PermissionClaimsMismatchReason, "x"), []string{"APIBinding PermissionClaimsMismatch: x"}},
	} {
		var events recorded
		(&Controller{Config: multicluster.Config{Events: &events}}).tell(tc.old, tc.now)
		if !slices.Equal(events, tc.want) {
			t.Errorf("%s: told %v, want %v", name, events, tc.want)
		}
		(&Controller{}).tell(tc.old, tc.now) // nobody records
	}
}
