package quota

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/core/quota"
)

// full has one namespace with a quota that is used up, and so is one for cluster-scoped objects.
type full struct{ err error }

func (f full) QuotaExceeded(_ context.Context, gr schema.GroupResource, namespace string) error {
	if f.err != nil || namespace == "b" {
		return f.err
	}
	hard := quota.Hard{corev1.ResourceName("count/" + gr.String()): resource.MustParse("2")}
	return quota.Rules{"q": hard}.Exceeded(gr, 2)
}

func TestPlugin_ChecksDryRuns(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		resource, subresource, namespace string
		dryRun                           bool
		want                             string
	}{
		"a dry run":                  {"configmaps", "", "a", true, `configmaps "x" is forbidden: exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=2, limited: count/configmaps=2`},
		"there is room":              {"configmaps", "", "b", true, ""},
		"storage checks the rest":    {"configmaps", "", "a", false, ""},
		"of a subresource":           {"serviceaccounts", "token", "a", true, ""},
		"of a cluster-scoped object": {"namespaces", "", "", true, `namespaces "x" is forbidden: exceeded quota: q, requested: count/namespaces=1, used: count/namespaces=2, limited: count/namespaces=2`},
		"of an Event":                {"events", "", "a", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := admission.NewAttributesRecord(nil, nil, schema.GroupVersionKind{Version: "v1", Kind: "Some"}, tt.namespace, "x",
				schema.GroupVersionResource{Version: "v1", Resource: tt.resource}, tt.subresource, admission.Create, &metav1.CreateOptions{}, tt.dryRun, nil)
			err := New(full{}).Validate(t.Context(), a, nil)
			if tt.want == "" && err != nil || tt.want != "" && (!apierrors.IsForbidden(err) || err.Error() != tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	a := admission.NewAttributesRecord(nil, nil, schema.GroupVersionKind{}, "a", "x", schema.GroupVersionResource{Resource: "secrets"}, "", admission.Create, nil, true, nil)
	if err := New(full{errors.New("broken")}).Validate(t.Context(), a, nil); !apierrors.IsInternalError(err) {
		t.Errorf("got %v", err)
	}
}
