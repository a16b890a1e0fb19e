package workspace

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/core/clustername"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

var (
	alice   = &authenticationv1.UserInfo{Username: "alice", Groups: []string{"system:authenticated"}}
	homeKey = client.Key{Cluster: clustername.Home("alice"), Name: "cluster"}
)

func newHomes(h *house) *Homes {
	return NewHomes(h.reconciler().Config, func() Binder { return h.binder })
}

// newHomeHouse is a server in memory with the type home.
func newHomeHouse() *house {
	home := clienttest.In("root", &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: "home", Annotations: map[string]string{logicalcluster.PathAnnotationKey: "root"}}})
	home.Spec.Extend.With = []tenancyv1alpha1.WorkspaceTypeReference{{Name: "universal", Path: "root"}}
	return newHouse(shard("root", nil), home)
}

func (h *house) completeHome(t *testing.T) time.Duration {
	t.Helper()
	result, err := h.reconciler().reconcileHome(t.Context(), homeKey)
	if err != nil {
		t.Fatal(err)
	}
	return result.RequeueAfter
}

func TestHome_IsMadeOnce(t *testing.T) {
	h := newHomeHouse()
	homes := newHomes(h)
	lc, err := homes.Make(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		logicalcluster.PathAnnotationKey:                        "user:alice",
		corev1alpha1.LogicalClusterTypeAnnotationKey:            "root:home",
		tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey: `{"username":"alice"}`,
	} {
		if lc.Annotations[key] != want {
			t.Errorf("annotation %s is %q, want %q", key, lc.Annotations[key], want)
		}
	}
	if lc.Spec.Owner != nil || !lc.Spec.DirectlyDeletable || cmp.Diff(alice, lc.Spec.CreatedBy) != "" || !isHome(lc) {
		t.Errorf("spec is %+v", lc.Spec)
	}
	again, err := homes.Make(t.Context(), alice)
	if err != nil || again.UID != lc.UID {
		t.Errorf("made again: %v, %v", again, err)
	}
	if writes := h.Writes(); !slices.Equal(writes, []string{"create logicalclusters.core.kcp.io " + homeKey.String()}) {
		t.Errorf("writes: %v", writes)
	}
	odd, err := homes.Make(t.Context(), &authenticationv1.UserInfo{Username: "alice:team"})
	if err != nil || odd.Annotations[logicalcluster.PathAnnotationKey] != clustername.Home("alice:team").String() {
		t.Errorf("the home of a user whose name is no segment: %v, %v", odd, err)
	}
}

// What a home workspace waits for comes by itself, and its administrator comes back.
func TestHome_IsCompleted(t *testing.T) {
	h := newHomeHouse()
	h.binder.unready = true
	if _, err := newHomes(h).Make(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	if h.completeHome(t) == 0 {
		t.Error("no second look at a home whose bindings are not bound")
	}
	lc := h.cluster(t, homeKey.Cluster)
	if lc.Status.Phase != corev1alpha1.LogicalClusterPhaseInitializing || conditionsv1alpha1.GetReason(lc, corev1alpha1.APIBindingsInitialized) != corev1alpha1.WaitingOnAPIBindingsReason {
		t.Errorf("phase %s, conditions %v", lc.Status.Phase, lc.Status.Conditions)
	}
	h.bind(t, homeKey.Cluster)
	h.completeHome(t)
	if lc = h.cluster(t, homeKey.Cluster); lc.Status.Phase != corev1alpha1.LogicalClusterPhaseReady || !conditionsv1alpha1.IsTrue(lc, corev1alpha1.APIBindingsInitialized) {
		t.Errorf("phase %s, conditions %v", lc.Status.Phase, lc.Status.Conditions)
	}
	admin := client.Key{Cluster: homeKey.Cluster, Name: AdminBindingName}
	obj, err := h.Get(t.Context(), clusterRoleBindings, admin)
	if err != nil || obj.(*rbacv1.ClusterRoleBinding).Subjects[0].Name != "alice" {
		t.Fatalf("administrator: %v, %v", obj, err)
	}
	if err := h.Delete(t.Context(), clusterRoleBindings, admin, nil); err != nil {
		t.Fatal(err)
	}
	event := client.HeadEvent{Type: client.Deleted, Head: client.HeadOf(clusterRoleBindings, "", obj)}
	if keys := clienttest.Keys(t)(h.reconciler().homeOfAdmin(t.Context(), event)); !slices.Equal(keys, []client.Key{homeKey}) {
		t.Errorf("its deletion leads to %v", keys)
	}
	if keys := clienttest.Keys(t)(h.reconciler().keysOfHome(t.Context(), client.Event{Type: client.Added, Object: lc})); !slices.Equal(keys, []client.Key{homeKey}) {
		t.Errorf("when the controller starts: %v", keys)
	}
	h.completeHome(t)
	if !h.has(t, clusterRoleBindings, admin) {
		t.Error("the administrator is not back")
	}
	if keys := clienttest.Keys(t)(h.reconciler().keysOfHome(t.Context(), client.Event{Type: client.Added, Object: lc})); len(keys) > 0 {
		t.Errorf("a home that needs nothing leads to %v", keys)
	}
	if changed := h.Mutated(); len(changed) > 0 {
		t.Errorf("shared objects were changed: %v", changed)
	}
}

// bind makes all bindings of a cluster bound, as their controller does.
func (h *house) bind(t *testing.T, cluster logicalcluster.Name) {
	t.Helper()
	h.binder.unready = false
	all, err := h.List(t.Context(), apiBindings, client.Scope{Cluster: cluster})
	if err != nil || len(all) == 0 {
		t.Fatalf("bindings: %v, %v", all, err)
	}
	for _, obj := range all {
		bound, err := h.binder.FinalBinding(t.Context(), cluster, exportOf(obj))
		if err != nil {
			t.Fatal(err)
		}
		bound.SetResourceVersion(obj.GetResourceVersion())
		if _, err := h.Update(t.Context(), apiBindings, cluster, bound); err != nil {
			t.Fatal(err)
		}
	}
}

// exportOf returns what a binding binds.
func exportOf(obj client.Object) typeresolution.DefaultBinding {
	ref := obj.(*apisv1alpha2.APIBinding).Spec.Reference.Export
	return typeresolution.DefaultBinding{Path: logicalcluster.Path(ref.Path), Export: ref.Name}
}

// A home whose type has an initializer is not ready before that is done.
func TestHome_WaitsForInitializers(t *testing.T) {
	h := newHomeHouse()
	obj, err := h.Get(t.Context(), workspaceTypes, client.Key{Cluster: "root", Name: "home"})
	if err != nil {
		t.Fatal(err)
	}
	home := obj.(*tenancyv1alpha1.WorkspaceType).DeepCopy()
	home.Spec.Initializer = true
	if _, err := h.Update(t.Context(), workspaceTypes, "root", home); err != nil {
		t.Fatal(err)
	}
	if _, err := newHomes(h).Make(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	h.completeHome(t)
	lc := h.cluster(t, homeKey.Cluster)
	if lc.Status.Phase != corev1alpha1.LogicalClusterPhaseInitializing || !slices.Equal(lc.Status.Initializers, []corev1alpha1.LogicalClusterInitializer{"root:home"}) {
		t.Errorf("phase %s, initializers %v", lc.Status.Phase, lc.Status.Initializers)
	}
	if !h.has(t, clusterRoleBindings, client.Key{Cluster: homeKey.Cluster, Name: AdminBindingName}) {
		t.Error("nothing is in it")
	}
	writes := len(h.Writes())
	h.completeHome(t)
	if extra := h.Writes()[writes:]; len(extra) > 0 {
		t.Errorf("while it waits: %v", extra)
	}
}

// Nothing is done in clusters that are not the home of who is said to have created them.
func TestHome_OthersAreLeftAlone(t *testing.T) {
	h := newHomeHouse()
	for name, change := range map[string]func(*corev1alpha1.LogicalCluster){
		"of another user": func(lc *corev1alpha1.LogicalCluster) { lc.Spec.CreatedBy.Username = "bob" },
		"of nobody":       func(lc *corev1alpha1.LogicalCluster) { lc.Spec.CreatedBy = nil },
		"of a Workspace":  func(lc *corev1alpha1.LogicalCluster) { lc.Spec.Owner = &corev1alpha1.LogicalClusterOwner{Name: "x"} },
		"of another type": func(lc *corev1alpha1.LogicalCluster) {
			lc.Annotations[corev1alpha1.LogicalClusterTypeAnnotationKey] = "root:universal"
		},
	} {
		lc, err := newHomes(h).Make(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		changed := lc.DeepCopy()
		change(changed)
		if isHome(changed) {
			t.Errorf("%s: is a home", name)
		}
	}
	h.binder.err = errors.New("no export")
	if _, err := newHomes(h).Make(t.Context(), &authenticationv1.UserInfo{Username: "carol"}); err == nil {
		t.Error("made although nobody can say what is in it")
	}
	if h.has(t, logicalClusters, client.Key{Cluster: clustername.Home("carol"), Name: "cluster"}) {
		t.Error("a cluster is left behind")
	}
}
