package workspaceclaim

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

const grace = 3 * 24 * time.Hour

// A workspace is deleted after the grace period, whoever looks at it, and not before.
func TestReclaim_DeletesAfterTheGracePeriod(t *testing.T) {
	h := newHouse(t, newClass())
	name := h.bound(newClaim("app"))
	if again := h.sweep(name); again != 0 || h.workspace(name).Annotations[annexv1alpha1.DeleteAfterAnnotationKey] != "" {
		t.Fatalf("with its claim: %v", h.workspace(name).Annotations)
	}
	h.drop("app")
	if again := h.sweep(name); again != grace {
		t.Errorf("looks again after %s, want %s", again, grace)
	}
	if got := h.workspace(name).Annotations[annexv1alpha1.DeleteAfterAnnotationKey]; got != "2026-01-05T03:04:05Z" {
		t.Errorf("deletes at %s", got)
	}
	// Another server continues: nothing is kept in memory, and a class that was changed changes no time that was noted.
	h.clock.SetTime(start.Add(grace - time.Minute))
	if again := h.sweep(name); again != time.Minute || h.workspace(name) == nil {
		t.Errorf("a minute before: again after %s", again)
	}
	h.clock.SetTime(start.Add(grace))
	if h.sweep(name); h.workspace(name) != nil {
		t.Error("it is still there")
	}
}

func TestReclaim_Keeps(t *testing.T) {
	for name, tt := range map[string]func(h *house){
		"by the class": func(h *house) {
			class := newClass()
			class.Spec.ReclaimPolicy = annexv1alpha1.WorkspaceReclaimRetain
			h.update(class)
		},
		"without the class": func(h *house) {
			if err := h.Delete(h.t.Context(), classes, client.Key{Cluster: "root", Name: "standard"}, nil); err != nil {
				h.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, newClass())
			ws := h.bound(newClaim("app"))
			tt(h)
			h.drop("app")
			if again := h.sweep(ws); again != 0 || h.workspace(ws).Annotations[annexv1alpha1.DeleteAfterAnnotationKey] != annexv1alpha1.DeleteNever {
				t.Errorf("again after %s: %v", again, h.workspace(ws).Annotations)
			}
			h.clock.SetTime(start.Add(1000 * grace))
			if h.sweep(ws); h.workspace(ws) == nil {
				t.Error("it was deleted")
			}
		})
	}
	t.Run("what was not created for a claim", func(t *testing.T) {
		h := newHouse(t, newClass())
		ws := h.bound(newClaim("app"))
		h.drop("app")
		other := h.workspace(ws).DeepCopy()
		delete(other.Annotations, annexv1alpha1.ClaimRefAnnotationKey)
		other.Annotations[annexv1alpha1.DeleteAfterAnnotationKey] = "2000-01-01T00:00:00Z"
		h.update(other)
		if h.sweep(ws); h.workspace(ws) == nil {
			t.Error("it was deleted")
		}
	})
	t.Run("with another host workspace", func(t *testing.T) {
		h := newHouse(t, newClass())
		ws := h.bound(newClaim("app"))
		h.paths["root"] = "another"
		if h.sweep(ws); h.workspace(ws).Annotations[annexv1alpha1.DeleteAfterAnnotationKey] != "" {
			t.Errorf("the claim is not found in the new host workspace, and its workspace is to be deleted: %v", h.workspace(ws).Annotations)
		}
	})
	t.Run("with a time that is none", func(t *testing.T) {
		h := newHouse(t, newClass())
		ws := h.bound(newClaim("app"))
		h.drop("app")
		other := h.workspace(ws).DeepCopy()
		other.Annotations[annexv1alpha1.DeleteAfterAnnotationKey] = "soon"
		h.update(other)
		if h.sweep(ws); h.workspace(ws) == nil {
			t.Error("it was deleted")
		}
	})
}

// The same user takes the workspace back. Nobody else does, and nothing in a new namespace of the same name.
func TestReclaim_TakingBack(t *testing.T) {
	for name, tt := range map[string]struct {
		again func() *annexv1alpha1.WorkspaceClaim
		want  string
		back  bool
	}{
		"the same user": {func() *annexv1alpha1.WorkspaceClaim { return newClaim("app") }, "Bound", true},
		"another user":  {func() *annexv1alpha1.WorkspaceClaim { return of(newClaim("app"), "bob") }, "Pending", false},
		"a new namespace": {func() *annexv1alpha1.WorkspaceClaim {
			claim := newClaim("app")
			claim.Annotations[annexv1alpha1.HostNamespaceUIDAnnotationKey] = "uid-new"
			return claim
		}, "Pending", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, newClass())
			ws := h.bound(newClaim("app"))
			h.drop("app")
			h.sweep(ws)
			h.clock.SetTime(start.Add(grace - time.Minute))
			h.add(tt.again())
			claim := h.run("app")
			h.sweep(ws)
			_, kept := h.workspace(ws).Annotations[annexv1alpha1.DeleteAfterAnnotationKey]
			if string(claim.Status.Phase) != tt.want || kept == tt.back {
				t.Errorf("the claim is %+v, the workspace %v", claim.Status, h.workspace(ws).Annotations)
			}
			h.clock.SetTime(start.Add(2 * grace))
			h.sweep(ws)
			if gone := h.workspace(ws) == nil; gone == tt.back {
				t.Errorf("after the grace period: gone %t", gone)
			}
		})
	}
}

// A claim that comes back while its workspace is being deleted either has it or says that it is terminating.
func TestReclaim_TheLastMoment(t *testing.T) {
	h := newHouse(t, newClass())
	ws := h.bound(newClaim("app"))
	h.drop("app")
	h.sweep(ws)
	h.clock.SetTime(start.Add(grace))
	key := client.Key{Cluster: "teams", Name: ws}
	h.Intercept(func(verb string, resource schema.GroupResource, at client.Key) error {
		if verb == "delete" && resource == workspaces && at == key {
			h.Intercept(nil)
			h.add(newClaim("app"))
			if got := h.run("app"); got.Status.Phase != annexv1alpha1.WorkspaceClaimBound {
				t.Errorf("before the deletion: %+v", got.Status)
			}
		}
		return nil
	})
	if _, err := h.reclaim(t.Context(), key); err == nil {
		t.Error("the deletion went on")
	}
	if h.sweep(ws); h.workspace(ws) == nil {
		t.Fatal("a workspace was deleted that its claim has")
	}

	h = newHouse(t, newClass())
	ws = h.bound(newClaim("app"))
	h.drop("app")
	h.sweep(ws)
	held := h.workspace(ws).DeepCopy()
	held.Finalizers = []string{"example.com/slow"}
	h.update(held)
	h.clock.SetTime(start.Add(grace))
	h.sweep(ws)
	h.add(newClaim("app"))
	if got := state(h.run("app")); got != "Pending WorkspaceTerminating" {
		t.Errorf("after it: %s", got)
	}
}

func TestKeys(t *testing.T) {
	h := newHouse(t, newClass())
	ws := h.bound(newClaim("app"))
	claim, workspace := client.Key{Cluster: "root", Namespace: "team-a", Name: "app"}, client.Key{Cluster: "teams", Name: ws}
	if got := clienttest.Keys(t)(claimOfWorkspace(t.Context(), client.Event{Type: client.Modified, Object: h.workspace(ws)})); !slices.Equal(got, []client.Key{claim}) {
		t.Errorf("of a workspace: %v", got)
	}
	if got := clienttest.Keys(t)(claimed(t.Context(), client.Event{Type: client.Added, Object: h.workspace(ws)})); !slices.Equal(got, []client.Key{workspace}) {
		t.Errorf("when the controller starts: %v", got)
	}
	stored, err := client.Find[annexv1alpha1.WorkspaceClaim](t.Context(), h.Fake, claims, claim)
	if err != nil {
		t.Fatal(err)
	}
	early := newClaim("app")
	for name, object := range map[string]*annexv1alpha1.WorkspaceClaim{"that has it": stored, "that does not say so yet": early} {
		if got := clienttest.Keys(t)(h.workspaceOfClaim(t.Context(), client.Event{Type: client.Deleted, Object: object})); !slices.Equal(got, []client.Key{workspace}) {
			t.Errorf("of a deleted claim %s: %v", name, got)
		}
		if got := clienttest.Keys(t)(h.workspaceOfClaim(t.Context(), client.Event{Type: client.Modified, Object: object})); len(got) > 0 {
			t.Errorf("of a claim %s: %v", name, got)
		}
	}
	h.add(newClaim("waits"))
	if got := clienttest.Keys(t)(h.claimsOfClass(t.Context(), client.Event{Type: client.Modified, Object: newClass()})); len(got) > 0 {
		t.Errorf("of a class without waiting claims: %v", got)
	}
	class := newClass()
	class.Spec.MaxWorkspaces = one[int32](1)
	h.update(class)
	h.run("waits")
	if got := clienttest.Keys(t)(h.claimsOfClass(t.Context(), client.Event{Type: client.Modified, Object: newClass()})); !slices.Equal(got, []client.Key{{Cluster: "root", Namespace: "team-a", Name: "waits"}}) {
		t.Errorf("of a class: %v", got)
	}
}
