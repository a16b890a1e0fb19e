package workspace

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// A user who may create Workspaces cannot make one that a claim of somebody else takes for its own, nor undo or hasten a deletion.
func TestOwnership_Claims(t *testing.T) {
	keys := []string{annexv1alpha1.ClaimRefAnnotationKey, annexv1alpha1.DeleteAfterAnnotationKey}
	newWorkspace := func(value string) *tenancyv1alpha1.Workspace {
		ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new", Annotations: map[string]string{}}}
		for _, key := range keys {
			if value != "" {
				ws.Annotations[key] = value
			}
		}
		return ws
	}
	for name, tt := range map[string]struct {
		by                 user.Info
		onCreate, onChange string
	}{
		"a user":           {alice, "", "before"},
		"an administrator": {master, "after", "after"},
	} {
		created := newWorkspace("after")
		if err := admit(t, "orgid", create(created, tt.by), owning(world()...)); err != nil {
			t.Fatal(err)
		}
		changed := newWorkspace("after")
		if err := admit(t, "orgid", attributes(changed, newWorkspace("before"), admission.Update, tt.by), owning(world()...)); err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if got := created.Annotations[key]; got != tt.onCreate {
				t.Errorf("%s creates a workspace with %s=%q, want %q", name, key, got, tt.onCreate)
			}
			if got := changed.Annotations[key]; got != tt.onChange {
				t.Errorf("%s changes %s to %q, want %q", name, key, got, tt.onChange)
			}
		}
	}
}
