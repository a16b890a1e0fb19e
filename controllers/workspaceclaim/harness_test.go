package workspaceclaim

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/apis/annex/claiming"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

type resolver map[logicalcluster.Path]logicalcluster.Name

func (r resolver) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	name, ok := r[path]
	return name, ok, nil
}

// house is a server in memory with the class standard, whose parent is root:teams.
type house struct {
	t *testing.T
	*clienttest.Fake
	*reconciler
	paths resolver
	clock *clocktesting.FakePassiveClock
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newHouse(t *testing.T, objects ...client.Object) *house {
	t.Helper()
	teams := clienttest.In("teams", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}})
	teams.Annotations[logicalcluster.PathAnnotationKey] = "root:teams"
	fake := clienttest.NewFake(append([]client.Object{teams}, objects...)...)
	h := &house{t: t, Fake: fake, paths: resolver{"root": "root", "root:teams": "teams"}, clock: clocktesting.NewFakePassiveClock(start)}
	h.reconciler = &reconciler{
		Config:  Config{Config: multicluster.Config{Client: fake, Live: fake, Resolver: h.paths}, Workspace: "root", Clock: h.clock},
		created: map[client.Key]claiming.Ref{},
	}
	return h
}

// newClass returns the class standard, as it is stored.
func newClass() *annexv1alpha1.WorkspaceClass {
	class := clienttest.In("root", &annexv1alpha1.WorkspaceClass{ObjectMeta: metav1.ObjectMeta{Name: "standard"}})
	class.Annotations[annexv1alpha1.ClassClustersAnnotationKey] = "teams"
	class.Spec = annexv1alpha1.WorkspaceClassSpec{Parent: "root:teams"}
	annexv1alpha1.SetDefaults_WorkspaceClassSpec(&class.Spec)
	return class
}

// newClaim returns a claim of alice in namespace team-a, as it is stored.
func newClaim(name string) *annexv1alpha1.WorkspaceClaim {
	claim := clienttest.In("root", &annexv1alpha1.WorkspaceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name}})
	claim.Annotations[annexv1alpha1.HostNamespaceUIDAnnotationKey] = "uid-a"
	claim.Annotations[annexv1alpha1.ClaimOwnerAnnotationKey] = `{"username":"alice","groups":["staff"]}`
	claim.Spec.WorkspaceClassName = "standard"
	return claim
}

// of returns a claim of another user.
func of(claim *annexv1alpha1.WorkspaceClaim, user string) *annexv1alpha1.WorkspaceClaim {
	claim.Annotations[annexv1alpha1.ClaimOwnerAnnotationKey] = `{"username":"` + user + `"}`
	return claim
}

// run reconciles a claim until nothing is written any more, and returns it; nil if there is none.
func (h *house) run(name string) *annexv1alpha1.WorkspaceClaim {
	h.t.Helper()
	key := client.Key{Cluster: "root", Namespace: "team-a", Name: name}
	h.settle(func() error {
		_, err := h.reconcile(h.t.Context(), key)
		return err
	})
	claim, err := client.Find[annexv1alpha1.WorkspaceClaim](h.t.Context(), h.Fake, claims, key)
	if err != nil {
		h.t.Fatal(err)
	}
	return claim
}

// sweep reclaims a workspace until nothing is written any more, and returns when it is to be looked at again.
func (h *house) sweep(name string) (again time.Duration) {
	h.t.Helper()
	h.settle(func() error {
		result, err := h.reclaim(h.t.Context(), client.Key{Cluster: "teams", Name: name})
		again = result.RequeueAfter
		return err
	})
	return again
}

func (h *house) settle(step func() error) {
	h.t.Helper()
	for range 6 {
		before := len(h.Writes())
		if err := step(); err != nil {
			h.t.Fatal(err)
		}
		if len(h.Writes()) == before {
			if keys := h.Mutated(); len(keys) > 0 {
				h.t.Errorf("objects of the watch cache were changed: %v", keys)
			}
			return
		}
	}
	h.t.Fatalf("it never ends: %v", h.Writes())
}

// workspace returns a workspace in root:teams; nil if there is none.
func (h *house) workspace(name string) *tenancyv1alpha1.Workspace {
	h.t.Helper()
	ws, err := client.Find[tenancyv1alpha1.Workspace](h.t.Context(), h.Fake, workspaces, client.Key{Cluster: "teams", Name: name})
	if err != nil {
		h.t.Fatal(err)
	}
	return ws
}

// place does what the controller of workspaces does: the workspace becomes ready.
func (h *house) place(name string) {
	h.t.Helper()
	ws := h.workspace(name)
	if ws == nil {
		h.t.Fatalf("no workspace %s: %v", name, h.Writes())
	}
	cluster := logicalcluster.Name("c-" + name)
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}}
	lc.Spec.Owner = &corev1alpha1.LogicalClusterOwner{APIVersion: tenancyv1alpha1.SchemeGroupVersion.String(), Resource: "workspaces", Name: name, Cluster: "teams", UID: ws.UID}
	if _, err := h.Create(h.t.Context(), logicalClusters, cluster, lc); err != nil {
		h.t.Fatal(err)
	}
	ready := ws.DeepCopy()
	ready.Spec.Cluster, ready.Status.Phase = cluster.String(), corev1alpha1.LogicalClusterPhaseReady
	h.update(ready)
}

func (h *house) update(obj client.Object) {
	h.t.Helper()
	resource, cluster := workspaces, logicalcluster.From(obj)
	switch obj.(type) {
	case *annexv1alpha1.WorkspaceClass:
		resource = classes
	case *annexv1alpha1.WorkspaceAccess:
		resource = accesses
	}
	if _, err := h.Update(h.t.Context(), resource, cluster, obj); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) add(claim *annexv1alpha1.WorkspaceClaim) {
	h.t.Helper()
	if _, err := h.Create(h.t.Context(), claims, "root", claim); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) drop(name string) {
	h.t.Helper()
	if err := h.Delete(h.t.Context(), claims, client.Key{Cluster: "root", Namespace: "team-a", Name: name}, nil); err != nil {
		h.t.Fatal(err)
	}
}

// bound makes a claim that has its workspace, and returns the name of that.
func (h *house) bound(claim *annexv1alpha1.WorkspaceClaim) string {
	h.t.Helper()
	h.add(claim)
	h.run(claim.Name)
	ref, err := claiming.RefOf(claim)
	if err != nil {
		h.t.Fatal(err)
	}
	h.place(ref.WorkspaceName())
	if got := h.run(claim.Name); got.Status.Phase != annexv1alpha1.WorkspaceClaimBound {
		h.t.Fatalf("the claim is %+v", got.Status)
	}
	return ref.WorkspaceName()
}

// state returns the phase and the reason.
func state(claim *annexv1alpha1.WorkspaceClaim) string {
	if claim == nil {
		return "gone"
	}
	return string(claim.Status.Phase) + " " + conditionsv1alpha1.GetReason(claim, annexv1alpha1.WorkspaceBound)
}

func one[T any](value T) *T { return ptr.To(value) }
