package workspaceclaim

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

var accessKey = client.Key{Cluster: "root", Namespace: "team-a", Name: "app"}

func withSecret() (*annexv1alpha1.WorkspaceClass, *annexv1alpha1.WorkspaceClaim) {
	class, claim := newClass(), newClaim("app")
	class.Spec.Secret = &annexv1alpha1.WorkspaceClassSecret{ClusterRole: "edit"}
	claim.Spec.Secret = &annexv1alpha1.WorkspaceClaimSecret{Name: "app-cluster", Format: annexv1alpha1.AccessFormatArgoCD}
	return class, claim
}

func (h *house) access() *annexv1alpha1.WorkspaceAccess {
	h.t.Helper()
	access, err := client.Find[annexv1alpha1.WorkspaceAccess](h.t.Context(), h.Fake, accesses, accessKey)
	if err != nil {
		h.t.Fatal(err)
	}
	return access
}

func secretState(claim *annexv1alpha1.WorkspaceClaim) string {
	if c := conditionsv1alpha1.Get(claim, annexv1alpha1.SecretReady); c != nil {
		return string(c.Status) + " " + c.Reason
	}
	return "none"
}

func TestSecret(t *testing.T) {
	class, claim := withSecret()
	h := newHouse(t, class)
	ws := h.bound(claim)
	access := h.access()
	if access == nil {
		t.Fatalf("no WorkspaceAccess: %v", h.Writes())
	}
	want := annexv1alpha1.WorkspaceAccessSpec{SecretName: "app-cluster", Format: annexv1alpha1.AccessFormatArgoCD}
	want.Workspace.Path, want.Role.ClusterRole = "c-"+ws, "edit"
	if diff := cmp.Diff(want, access.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	got := h.run("app")
	if secretState(got) != "False SecretPending" || conditionsv1alpha1.IsTrue(got, conditionsv1alpha1.ReadyCondition) || got.Status.Phase != annexv1alpha1.WorkspaceClaimBound {
		t.Errorf("before the Secret is there: %+v", got.Status)
	}
	ready := access.DeepCopy()
	conditionsv1alpha1.MarkTrue(ready, conditionsv1alpha1.ReadyCondition)
	h.update(ready)
	if got := h.run("app"); secretState(got) != "True " || !conditionsv1alpha1.IsTrue(got, conditionsv1alpha1.ReadyCondition) {
		t.Errorf("when it is: %+v", got.Status)
	}
	if keys := clienttest.Keys(t)(claimOfAccess(t.Context(), client.Event{Type: client.Modified, Object: ready})); len(keys) != 1 || keys[0] != accessKey {
		t.Errorf("a change of it leads to %v", keys)
	}
}

// Credentials follow the class: a lower role, or none, revokes those that were given.
func TestSecret_FollowsTheClass(t *testing.T) {
	class, claim := withSecret()
	h := newHouse(t, class)
	h.bound(claim)
	first := h.access().UID
	lower := class.DeepCopy()
	lower.Spec.Secret.ClusterRole = "view"
	h.update(lower)
	h.run("app")
	if access := h.access(); access == nil || access.UID == first || access.Spec.Role.ClusterRole != "view" {
		t.Errorf("with a lower role: %+v", access)
	}
	none := class.DeepCopy()
	none.Spec.Secret = nil
	h.update(none)
	if got := h.run("app"); h.access() != nil || secretState(got) != "False NotPermittedByClass" {
		t.Errorf("without Secrets: %+v, %s", h.access(), secretState(got))
	}
}

// A WorkspaceAccess that a user has made is neither used nor touched, unless it pretends to be that of the claim.
func TestSecret_OfAUser(t *testing.T) {
	class, claim := withSecret()
	foreign := clienttest.In("root", &annexv1alpha1.WorkspaceAccess{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app"}})
	foreign.Spec.Workspace.Path = "root:elsewhere"
	conditionsv1alpha1.MarkTrue(foreign, conditionsv1alpha1.ReadyCondition)
	h := newHouse(t, class, foreign)
	h.bound(claim)
	if got := h.run("app"); secretState(got) != "False Conflict" || h.access().Spec.Workspace.Path != "root:elsewhere" {
		t.Errorf("%s: %+v", secretState(got), h.access().Spec)
	}
	stored, _ := client.Find[annexv1alpha1.WorkspaceClaim](t.Context(), h.Fake, claims, accessKey)
	forged := h.access().DeepCopy()
	forged.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(stored, claimKind)}
	h.update(forged)
	if got := h.run("app"); secretState(got) == "True " || h.access() == nil || h.access().Spec.Workspace.Path == "root:elsewhere" {
		t.Errorf("with a forged owner: %s: %+v", secretState(got), h.access())
	}
}

// A claim that has lost its workspace has no credentials.
func TestSecret_OfALostClaim(t *testing.T) {
	class, claim := withSecret()
	h := newHouse(t, class)
	ws := h.bound(claim)
	if err := h.Delete(t.Context(), workspaces, client.Key{Cluster: "teams", Name: ws}, nil); err != nil {
		t.Fatal(err)
	}
	if got := h.run("app"); state(got) != "Lost WorkspaceLost" || h.access() != nil {
		t.Errorf("%s, with %+v", state(got), h.access())
	}
}
