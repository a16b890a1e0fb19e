package workspace

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

// newStagedHouse has a workspace of a type with an initializer and a terminator, which extends universal.
func newStagedHouse() *house {
	staged := clienttest.In("root", &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: "staged", Annotations: map[string]string{logicalcluster.PathAnnotationKey: "root"}}})
	staged.Spec.Initializer, staged.Spec.Terminator = true, true
	staged.Spec.Extend.With = []tenancyv1alpha1.WorkspaceTypeReference{{Name: "universal", Path: "root"}}
	return newHouse(shard("root", nil), staged, newWorkspace(func(ws *tenancyv1alpha1.Workspace) { ws.Spec.Type.Name = "staged" }))
}

func TestInitialize_WaitsForOthersWithoutWork(t *testing.T) {
	h := newStagedHouse()
	if result := h.mustStep(t); result.RequeueAfter != 0 {
		t.Errorf("somebody comes back after %s, though events tell when an initializer finishes", result.RequeueAfter)
	}
	lc, ws := h.cluster(t, first()), h.workspace(t)
	want := []corev1alpha1.LogicalClusterInitializer{"root:staged"}
	if lc.Status.Phase != corev1alpha1.LogicalClusterPhaseInitializing || !slices.Equal(lc.Spec.Initializers, want) || !slices.Equal(lc.Status.Initializers, want) ||
		!slices.Equal(lc.Status.Terminators, []corev1alpha1.LogicalClusterTerminator{"root:staged"}) {
		t.Errorf("the LogicalCluster is %+v %+v", lc.Spec, lc.Status)
	}
	if ws.Spec.Cluster != first().String() || ws.Status.Phase != corev1alpha1.LogicalClusterPhaseInitializing || !slices.Equal(ws.Status.Initializers, want) || len(ws.Status.Terminators) != 1 {
		t.Errorf("the workspace is %+v %+v", ws.Spec, ws.Status)
	}
	if reason := conditionsv1alpha1.GetReason(ws, corev1alpha1.WorkspaceInitialized); reason != corev1alpha1.InitializerExistsReason || !conditionsv1alpha1.IsTrue(ws, corev1alpha1.APIBindingsInitialized) {
		t.Errorf("its conditions are %v", ws.Status.Conditions)
	}
	if !h.has(t, clusterRoleBindings, client.Key{Cluster: first(), Name: AdminBindingName}) || !h.has(t, namespaces, client.Key{Cluster: first(), Name: "default"}) {
		t.Error("an initializer finds nothing in it")
	}
	before := len(h.Writes())
	h.clock.Step(time.Hour)
	for range 3 {
		if result := h.mustStep(t); result.RequeueAfter != 0 {
			t.Errorf("somebody comes back after %s", result.RequeueAfter)
		}
	}
	if waiting := h.Writes()[before:]; len(waiting) > 0 {
		t.Errorf("waiting writes %v", waiting)
	}
	h.changeCluster(t, first(), func(lc *corev1alpha1.LogicalCluster) {
		lc.Status.Initializers, lc.Status.Phase = nil, corev1alpha1.LogicalClusterPhaseReady
	})
	if keys := clienttest.Keys(t)(h.reconciler().keysOfLogicalCluster(t.Context(), client.Event{Type: client.Modified, Object: h.cluster(t, first())})); !slices.Equal(keys, []client.Key{key}) {
		t.Errorf("the LogicalCluster leads to %v", keys)
	}
	before = len(h.Writes())
	h.mustStep(t)
	ws = h.workspace(t)
	if ws.Status.Phase != corev1alpha1.LogicalClusterPhaseReady || len(ws.Status.Initializers) > 0 || !conditionsv1alpha1.IsTrue(ws, corev1alpha1.WorkspaceInitialized) ||
		ws.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey] != `{"username":"alice"}` {
		t.Errorf("afterwards it is %+v %v", ws.Status, ws.Annotations)
	}
	if writes := h.Writes()[before:]; len(writes) != 1 {
		t.Errorf("becoming Ready writes %v", writes)
	}
	if keys := clienttest.Keys(t)(h.reconciler().keysOfLogicalCluster(t.Context(), client.Event{Type: client.Modified, Object: h.cluster(t, first())})); len(keys) > 0 {
		t.Errorf("a LogicalCluster that is mirrored leads to %v", keys)
	}
}

// One of two that finishes shows in the workspace, too.
func TestInitialize_MirrorsWhoIsLeft(t *testing.T) {
	h := newStagedHouse()
	h.binder.unready = true
	if result := h.mustStep(t); result.RequeueAfter == 0 {
		t.Error("nobody looks whether bindings are bound")
	}
	lc := h.cluster(t, first())
	if want := []corev1alpha1.LogicalClusterInitializer{"root:staged", "system:apibindings"}; !slices.Equal(lc.Status.Initializers, want) || !slices.Equal(h.workspace(t).Status.Initializers, want) {
		t.Errorf("they wait for %v and %v, want %v", lc.Status.Initializers, h.workspace(t).Status.Initializers, want)
	}
	bindAll(t, h)
	h.mustStep(t)
	if left := h.cluster(t, first()).Status.Initializers; !slices.Equal(left, []corev1alpha1.LogicalClusterInitializer{"root:staged"}) {
		t.Errorf("with its bindings it waits for %v", left)
	}
	ws := h.workspace(t)
	if ws.Status.Phase != corev1alpha1.LogicalClusterPhaseInitializing || len(ws.Status.Initializers) != 1 || !conditionsv1alpha1.IsTrue(ws, corev1alpha1.APIBindingsInitialized) {
		t.Errorf("the workspace is %+v", ws.Status)
	}
}

func TestInitialize_ADeletionShowsItsPhase(t *testing.T) {
	h := newStagedHouse()
	h.mustStep(t)
	if err := h.Delete(t.Context(), workspaces, key, nil); err != nil {
		t.Fatal(err)
	}
	h.mustStep(t)
	h.changeCluster(t, first(), func(lc *corev1alpha1.LogicalCluster) { lc.Status.Phase = corev1alpha1.LogicalClusterPhaseTerminating })
	h.mustStep(t)
	if phase := h.workspace(t).Status.Phase; phase != corev1alpha1.LogicalClusterPhaseTerminating {
		t.Errorf("phase is %s", phase)
	}
}

// recorded notes Events as "cluster kind name reason: message".
type recorded []string

func (r *recorded) Record(about client.Object, kind schema.GroupVersionKind, _, reason, message string) {
	*r = append(*r, strings.Join([]string{logicalcluster.From(about).String(), kind.Kind, about.GetName(), reason + ":", message}, " "))
}

func TestInitialize_TellsWhoIsSlow(t *testing.T) {
	h := newStagedHouse()
	h.mustStep(t)
	var events recorded
	step := func() time.Duration {
		t.Helper()
		r := h.reconciler()
		r.Events = &events
		ws := h.workspace(t).DeepCopy()
		result, err := r.initialize(t.Context(), ws)
		if err != nil {
			t.Fatal(err)
		}
		return result.RequeueAfter
	}
	h.clock.SetTime(h.workspace(t).CreationTimestamp.Add(time.Minute))
	if after := step(); after != slow-time.Minute || len(events) > 0 {
		t.Errorf("after a minute: comes back after %s, told %v", after, events)
	}
	h.clock.Step(slow)
	if after := step(); after != 0 || len(events) != 2 {
		t.Fatalf("later: comes back after %s, told %v", after, events)
	}
	for i, want := range []string{
		"root Workspace org InitializerSlow: the workspace is not Ready because these initializers have not finished: root:staged",
		"root WorkspaceType staged InitializerSlow: a workspace has waited for the initializer of this type",
	} {
		if !strings.HasPrefix(events[i], want) {
			t.Errorf("told %q, want %q", events[i], want)
		}
	}
}
