package workspace

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/core/clustername"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

// TestProvision_CostsFewWrites counts revisions. With the creation of the Workspace, and the ServiceAccount and ConfigMap
// that controllers/namespace puts into each of the two namespaces, it makes 12 in all.
func TestProvision_CostsFewWrites(t *testing.T) {
	h := newHouse(shard("root", nil), newWorkspace())
	h.mustStep(t)
	id := first().String()
	want := []string{
		"create logicalclusters.core.kcp.io " + id + "|cluster",
		"create apibindings.apis.kcp.io " + id + "|tenancy.kcp.io-abcde",
		"create apibindings.apis.kcp.io " + id + "|topology.kcp.io-abcde",
		"create namespaces " + id + "|default",
		"create namespaces " + id + "|kube-system",
		"create clusterrolebindings.rbac.authorization.k8s.io " + id + "|workspace-admin",
		"update workspaces.tenancy.kcp.io root|org",
	}
	if diff := cmp.Diff(want, h.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	const byUser, byNamespaceController, most = 1, 4, 12
	if all := len(h.Writes()) + byUser + byNamespaceController; all > most {
		t.Errorf("a universal workspace costs %d revisions, want at most %d", all, most)
	}
	for range 3 {
		h.mustStep(t)
	}
	if extra := h.Writes()[len(want):]; len(extra) > 0 {
		t.Errorf("a workspace that is ready is written to: %v", extra)
	}
}

func TestProvision_FinalState(t *testing.T) {
	ws := newWorkspace(func(ws *tenancyv1alpha1.Workspace) {
		ws.Annotations[corev1alpha1.RequiredGroupsAnnotationKey] = "staff"
	})
	h := newHouse(shard("root", map[string]string{"region": "north"}), ws)
	h.mustStep(t)

	got := h.workspace(t)
	if got.Spec.Cluster != first().String() || got.Status.Phase != corev1alpha1.LogicalClusterPhaseReady || got.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != "Ready" {
		t.Errorf("workspace has cluster %q, phase %q, labels %v", got.Spec.Cluster, got.Status.Phase, got.Labels)
	}
	for _, condition := range []conditionsv1alpha1.ConditionType{tenancyv1alpha1.WorkspaceScheduled, corev1alpha1.WorkspaceInitialized, corev1alpha1.APIBindingsInitialized} {
		if !conditionsv1alpha1.IsTrue(got, condition) {
			t.Errorf("condition %s is not True", condition)
		}
	}
	if note := got.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey]; note != `{"username":"alice"}` {
		t.Errorf("the owner is noted as %s", note)
	}
	if got.Labels["region"] != "north" || got.Annotations[corev1alpha1.LogicalClusterShardAnnotationKey] != "root" {
		t.Errorf("labels %v, annotations %v", got.Labels, got.Annotations)
	}

	lc := h.cluster(t, first())
	wantOwner := &corev1alpha1.LogicalClusterOwner{APIVersion: "tenancy.kcp.io/v1alpha1", Resource: "workspaces", Name: "org", Cluster: "root", UID: uid}
	if diff := cmp.Diff(wantOwner, lc.Spec.Owner); diff != "" {
		t.Errorf("owner (-want +got):\n%s", diff)
	}
	if lc.Spec.CreatedBy == nil || lc.Spec.CreatedBy.Username != "alice" || len(lc.Spec.CreatedBy.Groups) != 1 {
		t.Errorf("created by %v", lc.Spec.CreatedBy)
	}
	for key, want := range map[string]string{
		logicalcluster.PathAnnotationKey:                        "root:org",
		corev1alpha1.LogicalClusterTypeAnnotationKey:            "root:organization",
		corev1alpha1.RequiredGroupsAnnotationKey:                "staff",
		tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey: `{"username":"alice"}`,
	} {
		if lc.Annotations[key] != want {
			t.Errorf("annotation %s is %q, want %q", key, lc.Annotations[key], want)
		}
	}
	if !slices.Contains(lc.Finalizers, corev1alpha1.LogicalClusterDeletionFinalizer) || lc.Status.Phase != corev1alpha1.LogicalClusterPhaseReady {
		t.Errorf("finalizers %v, phase %s", lc.Finalizers, lc.Status.Phase)
	}

	obj, err := h.Get(t.Context(), clusterRoleBindings, client.Key{Cluster: first(), Name: "workspace-admin"})
	if err != nil {
		t.Fatal(err)
	}
	binding := obj.(*rbacv1.ClusterRoleBinding)
	if binding.RoleRef.Name != "cluster-admin" || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "alice" || binding.Subjects[0].Kind != "User" {
		t.Errorf("workspace-admin is %+v %+v", binding.RoleRef, binding.Subjects)
	}
}

func TestProvision_OfTheSystemHasNoAdministrator(t *testing.T) {
	h := newHouse(shard("root", nil), newWorkspace(func(ws *tenancyv1alpha1.Workspace) {
		delete(ws.Annotations, tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey)
	}))
	h.mustStep(t)
	if h.workspace(t).Status.Phase != corev1alpha1.LogicalClusterPhaseReady {
		t.Error("not ready")
	}
	if h.has(t, clusterRoleBindings, client.Key{Cluster: first(), Name: AdminBindingName}) {
		t.Error("somebody is administrator")
	}
}

// TestProvision_StoppedAnywhereReachesTheSameEnd stops the process after each write, with bindings that are ready and
// with bindings that are not, and starts it again.
func TestProvision_StoppedAnywhereReachesTheSameEnd(t *testing.T) {
	for _, unready := range []bool{false, true} {
		run := func(h *house, t *testing.T) {
			h.binder.unready = unready
			if _, err := h.step(t); err != nil && !errors.Is(err, errStopped) {
				t.Fatal(err)
			}
		}
		finish := func(h *house, t *testing.T) {
			h.Intercept(nil)
			run(h, t)
			if unready {
				bindAll(t, h)
				run(h, t)
			}
		}
		whole := newHouse(shard("root", nil), newWorkspace())
		run(whole, t)
		finish(whole, t)
		want := whole.objects(t)
		for stop := range len(whole.Writes()) + 1 {
			h := newHouse(shard("root", nil), newWorkspace())
			h.stopAfter(stop)
			run(h, t)
			finish(h, t)
			if diff := cmp.Diff(want, h.objects(t)); diff != "" {
				t.Fatalf("unready bindings %v, stopped after %d writes (-want +got):\n%s", unready, stop, diff)
			}
		}
	}
}

// bindAll does what the controller of bindings does.
func bindAll(t *testing.T, h *house) {
	t.Helper()
	all, err := h.List(t.Context(), apiBindings, client.Scope{})
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range all {
		binding := obj.DeepCopyObject().(*apisv1alpha2.APIBinding)
		binding.Status.Phase = apisv1alpha2.APIBindingPhaseBound
		if _, err := h.Update(t.Context(), apiBindings, logicalcluster.From(obj), binding); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProvision_WaitsForBindings(t *testing.T) {
	h := newHouse(shard("root", nil), newWorkspace())
	h.binder.unready = true
	result := h.mustStep(t)
	ws := h.workspace(t)
	if ws.Status.Phase != corev1alpha1.LogicalClusterPhaseInitializing || h.cluster(t, first()).Status.Phase != corev1alpha1.LogicalClusterPhaseInitializing {
		t.Errorf("phases are %s and %s", ws.Status.Phase, h.cluster(t, first()).Status.Phase)
	}
	if reason := conditionsv1alpha1.GetReason(ws, corev1alpha1.APIBindingsInitialized); reason != corev1alpha1.WaitingOnAPIBindingsReason {
		t.Errorf("reason is %q", reason)
	}
	if result.RequeueAfter == 0 {
		t.Error("nobody comes back")
	}
	before := len(h.Writes())
	h.clock.Step(time.Hour)
	if result := h.mustStep(t); result.RequeueAfter != latest {
		t.Errorf("after an hour somebody comes back every %s", result.RequeueAfter)
	}
	if after := len(h.Writes()); after != before {
		t.Errorf("waiting writes %v", h.Writes()[before:])
	}
	bindAll(t, h)
	obj, err := h.Get(t.Context(), apiBindings, client.Key{Cluster: first(), Name: "tenancy.kcp.io-abcde"})
	if err != nil {
		t.Fatal(err)
	}
	if keys := clienttest.Keys(t)(h.reconciler().keysOfBinding(t.Context(), client.HeadEvent{Type: client.Modified, Head: client.HeadOf(apiBindings, "", obj)})); !slices.Equal(keys, []client.Key{key}) {
		t.Errorf("the binding leads to %v", keys)
	}
	h.mustStep(t)
	if phase := h.workspace(t).Status.Phase; phase != corev1alpha1.LogicalClusterPhaseReady {
		t.Errorf("phase is %s", phase)
	}
	if !conditionsv1alpha1.IsTrue(h.workspace(t), corev1alpha1.APIBindingsInitialized) {
		t.Error("APIBindingsInitialized is not True")
	}
}

// TestProvision_BindingThatIsRefused has a type that binds an export which does not exist: admission refuses that.
func TestProvision_BindingThatIsRefused(t *testing.T) {
	for name, unready := range map[string]bool{"never there": true, "gone since": false} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(shard("root", nil), newWorkspace())
			h.binder.unready = unready
			h.Intercept(func(verb string, gr schema.GroupResource, k client.Key) error {
				if verb == "create" && gr == apiBindings {
					return apierrors.NewForbidden(gr, k.Name, errors.New("no permission to bind"))
				}
				return nil
			})
			if result := h.mustStep(t); result.RequeueAfter == 0 {
				t.Error("nobody comes back")
			}
			ws := h.workspace(t)
			if reason := conditionsv1alpha1.GetReason(ws, corev1alpha1.APIBindingsInitialized); reason != corev1alpha1.APIBindingErrorsReason {
				t.Errorf("reason is %q", reason)
			}
			if isPlaced(ws) {
				t.Errorf("phase is %s", ws.Status.Phase)
			}
			if !h.has(t, clusterRoleBindings, client.Key{Cluster: first(), Name: AdminBindingName}) {
				t.Error("the creator is no administrator")
			}
			before := len(h.Writes())
			h.mustStep(t)
			for _, write := range h.Writes()[before:] {
				t.Errorf("waiting writes %v", write)
			}
			h.Intercept(nil)
			h.binder.unready = false
			h.mustStep(t)
			if phase := h.workspace(t).Status.Phase; phase != corev1alpha1.LogicalClusterPhaseReady {
				t.Errorf("phase is %s", phase)
			}
			if !conditionsv1alpha1.IsTrue(h.workspace(t), corev1alpha1.APIBindingsInitialized) {
				t.Error("APIBindingsInitialized is not True")
			}
		})
	}
}

func TestProvision_FailingBinderIsTriedAgain(t *testing.T) {
	h := newHouse(shard("root", nil), newWorkspace())
	h.binder.err = errors.New("storage is away")
	if _, err := h.step(t); err == nil {
		t.Error("no error")
	}
	if writes := h.Writes(); len(writes) > 0 {
		t.Errorf("half a workspace was made: %v", writes)
	}
	h.binder.err = nil
	h.mustStep(t)
	if phase := h.workspace(t).Status.Phase; phase != corev1alpha1.LogicalClusterPhaseReady {
		t.Errorf("phase is %s", phase)
	}
}

func TestProvision_NameTakenByAnother(t *testing.T) {
	stranger := clienttest.In(first(), &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}})
	h := newHouse(shard("root", nil), newWorkspace(), stranger)
	h.mustStep(t)
	second := clustername.FromUID(uid, 1)
	if got := h.workspace(t).Spec.Cluster; got != second.String() {
		t.Errorf("cluster is %s, want %s", got, second)
	}
	if h.has(t, namespaces, client.Key{Cluster: first(), Name: "default"}) {
		t.Error("the stranger's cluster was written to")
	}
}

func TestProvision_ClusterGivenByAnAdministrator(t *testing.T) {
	given := func(ws *tenancyv1alpha1.Workspace) { ws.Spec.Cluster = "given" }
	t.Run("new", func(t *testing.T) {
		h := newHouse(shard("root", nil), newWorkspace(given))
		h.mustStep(t)
		if !owns(h.workspace(t), h.cluster(t, "given")) || h.workspace(t).Status.Phase != corev1alpha1.LogicalClusterPhaseReady {
			t.Error("the cluster was not made")
		}
	})
	t.Run("of somebody else", func(t *testing.T) {
		other := clienttest.In("given", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}})
		other.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
		h := newHouse(shard("root", nil), newWorkspace(given), other)
		h.mustStep(t)
		if phase := h.workspace(t).Status.Phase; phase != corev1alpha1.LogicalClusterPhaseReady {
			t.Errorf("phase is %s", phase)
		}
		if diff := cmp.Diff([]string{"update workspaces.tenancy.kcp.io root|org"}, h.Writes()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

func TestProvision_Scheduling(t *testing.T) {
	selected := func(labels map[string]string) func(*tenancyv1alpha1.Workspace) {
		return func(ws *tenancyv1alpha1.Workspace) {
			ws.Spec.Location = &tenancyv1alpha1.WorkspaceLocation{Selector: &metav1.LabelSelector{MatchLabels: labels}}
		}
	}
	none := func(*tenancyv1alpha1.Workspace) {}
	for name, tc := range map[string]struct {
		shards []client.Object
		change func(*tenancyv1alpha1.Workspace)
		want   string // shard, empty for unschedulable
	}{
		"no shard":          {nil, none, ""},
		"one shard":         {[]client.Object{shard("a", nil)}, none, "a"},
		"closed":            {[]client.Object{shard("a", nil, corev1alpha1.UnschedulableAnnotationKey)}, none, ""},
		"one closed":        {[]client.Object{shard("a", nil, corev1alpha1.UnschedulableAnnotationKey), shard("b", nil)}, none, "b"},
		"selector fits":     {[]client.Object{shard("a", nil), shard("b", map[string]string{"region": "north"})}, selected(map[string]string{"region": "north"}), "b"},
		"selector fits not": {[]client.Object{shard("a", nil)}, selected(map[string]string{"region": "north"}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(append(tc.shards, newWorkspace(tc.change))...)
			h.mustStep(t)
			ws := h.workspace(t)
			if tc.want != "" {
				if got := ws.Annotations[corev1alpha1.LogicalClusterShardAnnotationKey]; got != tc.want || ws.Status.Phase != corev1alpha1.LogicalClusterPhaseReady {
					t.Errorf("on shard %q in phase %s, want %q", got, ws.Status.Phase, tc.want)
				}
				return
			}
			c := conditionsv1alpha1.Get(ws, tenancyv1alpha1.WorkspaceScheduled)
			if c == nil || c.Status != corev1.ConditionFalse || c.Reason != tenancyv1alpha1.WorkspaceReasonUnschedulable || ws.Status.Phase != corev1alpha1.LogicalClusterPhaseScheduling {
				t.Errorf("condition %+v, phase %s", c, ws.Status.Phase)
			}
		})
	}
}

func TestProvision_ShardThatOpensLetsWorkspacesIn(t *testing.T) {
	h := newHouse(shard("root", nil, corev1alpha1.UnschedulableAnnotationKey), newWorkspace())
	h.mustStep(t)
	obj, err := h.Get(t.Context(), shards, client.Key{Cluster: "root", Name: "root"})
	if err != nil {
		t.Fatal(err)
	}
	open := obj.DeepCopyObject().(*corev1alpha1.Shard)
	delete(open.Annotations, corev1alpha1.UnschedulableAnnotationKey)
	if obj, err = h.Update(t.Context(), shards, "root", open); err != nil {
		t.Fatal(err)
	}
	if keys := clienttest.Keys(t)(h.reconciler().keysOfShard(t.Context(), client.Event{Type: client.Modified, Object: obj})); !slices.Equal(keys, []client.Key{key}) {
		t.Errorf("the shard leads to %v", keys)
	}
	h.mustStep(t)
	ws := h.workspace(t)
	if ws.Status.Phase != corev1alpha1.LogicalClusterPhaseReady || !conditionsv1alpha1.IsTrue(ws, tenancyv1alpha1.WorkspaceScheduled) {
		t.Errorf("phase %s, conditions %v", ws.Status.Phase, ws.Status.Conditions)
	}
}

func TestProvision_TypeThatDisappearedIsSaid(t *testing.T) {
	h := newHouse(shard("root", nil), newWorkspace(func(ws *tenancyv1alpha1.Workspace) { ws.Spec.Type.Name = "gone" }))
	if result := h.mustStep(t); result.RequeueAfter == 0 {
		t.Error("nobody comes back")
	}
	if reason := conditionsv1alpha1.GetReason(h.workspace(t), corev1alpha1.APIBindingsInitialized); reason != corev1alpha1.WorkspaceTypesInvalidReason {
		t.Errorf("reason is %q", reason)
	}
}

// TestProvision_StaleCacheWritesNothing reconciles with the Workspace as it was before it became ready.
func TestProvision_StaleCacheWritesNothing(t *testing.T) {
	h := newHouse(shard("root", nil), newWorkspace())
	old := h.workspace(t)
	h.mustStep(t)
	before := len(h.Writes())
	r := h.reconciler()
	r.Client = staleClient{Client: h.Fake, old: old}
	if _, err := r.reconcile(t.Context(), key); !apierrors.IsConflict(err) {
		t.Errorf("got %v, want the conflict, after which multicluster tries again", err)
	}
	if extra := h.Writes()[before:]; len(extra) > 0 {
		t.Errorf("wrote %v", extra)
	}
}
