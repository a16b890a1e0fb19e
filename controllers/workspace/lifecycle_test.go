package workspace

import (
	"context"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

// staleClient reads the workspace as it was.
type staleClient struct {
	client.Client
	old client.Object
}

func (c staleClient) Get(ctx context.Context, gr schema.GroupResource, k client.Key) (client.Object, error) {
	if gr == workspaces && k == key {
		return c.old, nil
	}
	return c.Client.Get(ctx, gr, k)
}

func ready(t *testing.T) *house {
	t.Helper()
	h := newHouse(shard("root", nil), newWorkspace())
	h.mustStep(t)
	return h
}

func TestMaintain_AdministratorComesBack(t *testing.T) {
	h := ready(t)
	admin := client.Key{Cluster: first(), Name: AdminBindingName}
	obj, err := h.Get(t.Context(), clusterRoleBindings, admin)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Delete(t.Context(), clusterRoleBindings, admin, nil); err != nil {
		t.Fatal(err)
	}
	if keys := clienttest.Keys(t)(h.reconciler().keysOfClusterRoleBinding(t.Context(), client.HeadEvent{Type: client.Deleted, Head: client.HeadOf(clusterRoleBindings, "", obj)})); !slices.Equal(keys, []client.Key{key}) {
		t.Errorf("the binding leads to %v", keys)
	}
	h.mustStep(t)
	if !h.has(t, clusterRoleBindings, admin) {
		t.Error("the administrator is not back")
	}
}

// Who is there when the watch begins, and as it should be, is not looked at.
func TestMaintain_WhatIsThereAlready(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(t *testing.T, h *house)
		event  client.EventType
		want   bool
	}{
		"all is well":                     {func(*testing.T, *house) {}, client.Added, false},
		"all is well, but it has changed": {func(*testing.T, *house) {}, client.Modified, true},
		"the administrator is gone": {func(t *testing.T, h *house) {
			if err := h.Delete(t.Context(), clusterRoleBindings, client.Key{Cluster: first(), Name: AdminBindingName}, nil); err != nil {
				t.Fatal(err)
			}
		}, client.Added, true},
		"the label is another": {func(t *testing.T, h *house) {
			h.change(t, func(ws *tenancyv1alpha1.Workspace) { ws.Labels[tenancyv1alpha1.WorkspacePhaseLabel] = "Deleting" })
		}, client.Added, true},
		"it was reported missing": {func(t *testing.T, h *house) {
			h.change(t, func(ws *tenancyv1alpha1.Workspace) {
				conditionsv1alpha1.MarkFalse(ws, corev1alpha1.WorkspaceInitialized, corev1alpha1.WorkspaceDisappearedReason, conditionsv1alpha1.ConditionSeverityError, "")
			})
		}, client.Added, true},
		"it has no place": {func(t *testing.T, h *house) {
			h.change(t, func(ws *tenancyv1alpha1.Workspace) { ws.Status.Phase = corev1alpha1.LogicalClusterPhaseScheduling })
		}, client.Added, true},
		"it is missing": {func(t *testing.T, h *house) {
			h.change(t, func(ws *tenancyv1alpha1.Workspace) { ws.Spec.Cluster = "nowhere" })
		}, client.Added, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := ready(t)
			tc.change(t, h)
			keys := clienttest.Keys(t)(h.reconciler().keysOfWorkspace(t.Context(), client.Event{Type: tc.event, Object: h.workspace(t)}))
			if got := len(keys) > 0; got != tc.want {
				t.Errorf("it is looked at: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestMaintain_RepeatsThePhase(t *testing.T) {
	h := ready(t)
	for _, phase := range []corev1alpha1.LogicalClusterPhaseType{
		corev1alpha1.LogicalClusterPhaseInactive, corev1alpha1.LogicalClusterPhaseReady, corev1alpha1.LogicalClusterPhaseUnavailable,
	} {
		h.changeCluster(t, first(), func(lc *corev1alpha1.LogicalCluster) { lc.Status.Phase = phase })
		event := client.Event{Type: client.Modified, Object: h.cluster(t, first())}
		if keys := clienttest.Keys(t)(h.reconciler().keysOfLogicalCluster(t.Context(), event)); len(keys) != 1 {
			t.Errorf("phase %s leads to %v", phase, keys)
		}
		h.mustStep(t)
		ws := h.workspace(t)
		if ws.Status.Phase != phase || ws.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != string(phase) {
			t.Errorf("phase is %s with labels %v, want %s", ws.Status.Phase, ws.Labels, phase)
		}
		if keys := clienttest.Keys(t)(h.reconciler().keysOfLogicalCluster(t.Context(), event)); len(keys) != 0 {
			t.Errorf("phase %s is repeated already and leads to %v", phase, keys)
		}
	}
}

func TestMaintain_FaultMakesUnavailable(t *testing.T) {
	h := ready(t)
	h.change(t, func(ws *tenancyv1alpha1.Workspace) {
		conditionsv1alpha1.MarkFalse(ws, tenancyv1alpha1.WorkspaceScheduled, "Broken", conditionsv1alpha1.ConditionSeverityError, "for a test")
	})
	h.mustStep(t)
	if phase := h.workspace(t).Status.Phase; phase != corev1alpha1.LogicalClusterPhaseUnavailable {
		t.Errorf("phase is %s", phase)
	}
	h.change(t, func(ws *tenancyv1alpha1.Workspace) {
		conditionsv1alpha1.MarkTrue(ws, tenancyv1alpha1.WorkspaceScheduled)
	})
	h.mustStep(t)
	if phase := h.workspace(t).Status.Phase; phase != corev1alpha1.LogicalClusterPhaseReady {
		t.Errorf("phase is %s", phase)
	}
}

func TestMaintain_ClusterThatDisappears(t *testing.T) {
	h := ready(t)
	lc := h.cluster(t, first()).DeepCopy()
	h.changeCluster(t, first(), func(lc *corev1alpha1.LogicalCluster) { lc.Finalizers = nil })
	if err := h.Delete(t.Context(), logicalClusters, client.Key{Cluster: first(), Name: "cluster"}, nil); err != nil {
		t.Fatal(err)
	}
	if result := h.mustStep(t); result.RequeueAfter == 0 || h.workspace(t).Status.Phase != corev1alpha1.LogicalClusterPhaseReady {
		t.Error("said too early, or nobody comes back")
	}
	h.clock.Step(2 * time.Minute)
	h.mustStep(t)
	ws := h.workspace(t)
	if conditionsv1alpha1.GetReason(ws, corev1alpha1.WorkspaceInitialized) != corev1alpha1.WorkspaceDisappearedReason || ws.Status.Phase != corev1alpha1.LogicalClusterPhaseUnavailable {
		t.Errorf("phase %s, conditions %v", ws.Status.Phase, ws.Status.Conditions)
	}
	lc.ResourceVersion, lc.UID = "", ""
	if _, err := h.Create(t.Context(), logicalClusters, first(), lc); err != nil {
		t.Fatal(err)
	}
	h.mustStep(t)
	if phase := h.workspace(t).Status.Phase; phase != corev1alpha1.LogicalClusterPhaseReady {
		t.Errorf("phase is %s after it came back", phase)
	}
}

func (h *house) delete(t *testing.T) {
	t.Helper()
	if err := h.Delete(t.Context(), workspaces, key, nil); err != nil {
		t.Fatal(err)
	}
}

func TestFinalize_WaitsForTheCluster(t *testing.T) {
	h := ready(t)
	h.delete(t)
	h.mustStep(t)
	lc := h.cluster(t, first())
	if lc.DeletionTimestamp == nil {
		t.Fatal("the LogicalCluster is not being deleted")
	}
	h.changeCluster(t, first(), func(lc *corev1alpha1.LogicalCluster) {
		lc.Status.Phase = corev1alpha1.LogicalClusterPhaseDeleting
		conditionsv1alpha1.MarkFalse(lc, corev1alpha1.WorkspaceContentDeleted, corev1alpha1.SomeResourcesRemainReason, conditionsv1alpha1.ConditionSeverityInfo, "two configmaps")
	})
	if result := h.mustStep(t); result.RequeueAfter == 0 {
		t.Error("nobody comes back if the end of the cluster is missed")
	}
	ws := h.workspace(t)
	if ws.Status.Phase != corev1alpha1.LogicalClusterPhaseDeleting || conditionsv1alpha1.GetMessage(ws, corev1alpha1.WorkspaceContentDeleted) != "two configmaps" {
		t.Errorf("phase %s, conditions %v", ws.Status.Phase, ws.Status.Conditions)
	}
	gone := h.cluster(t, first())
	h.changeCluster(t, first(), func(lc *corev1alpha1.LogicalCluster) { lc.Finalizers = nil })
	if keys := clienttest.Keys(t)(h.reconciler().keysOfLogicalCluster(t.Context(), client.Event{Type: client.Deleted, Object: gone})); !slices.Equal(keys, []client.Key{key}) {
		t.Errorf("the end of the cluster leads to %v", keys)
	}
	h.mustStep(t)
	if h.has(t, workspaces, key) {
		t.Error("the workspace is still there")
	}
}

// TestFinalize_StoppedProvisioning deletes a workspace whose provisioning stopped after each of its writes.
func TestFinalize_StoppedProvisioning(t *testing.T) {
	writes := len(ready(t).Writes())
	for stop := range writes {
		h := newHouse(shard("root", nil), newWorkspace())
		h.stopAfter(stop)
		if _, err := h.step(t); err == nil {
			t.Fatal("not stopped")
		}
		h.Intercept(nil)
		h.delete(t)
		h.mustStep(t)
		if stop == 0 {
			if h.has(t, workspaces, key) {
				t.Error("nothing was made, and the workspace is still there")
			}
			continue
		}
		if h.cluster(t, first()).DeletionTimestamp == nil {
			t.Errorf("stopped after %d writes, the LogicalCluster stays for ever", stop)
		}
	}
}

func TestFinalize_LeavesClustersOfOthersAlone(t *testing.T) {
	h := newHouse(shard("root", nil), newWorkspace(func(ws *tenancyv1alpha1.Workspace) { ws.Spec.Cluster = "root" }))
	h.mustStep(t)
	h.delete(t)
	h.mustStep(t)
	if h.has(t, workspaces, key) {
		t.Error("the workspace is still there")
	}
	if h.cluster(t, logicalcluster.Root).DeletionTimestamp != nil {
		t.Error("root is being deleted")
	}
}

// TestFinalize_AsksTwice has a cache that does not know the LogicalCluster yet.
func TestFinalize_AsksTwice(t *testing.T) {
	h := ready(t)
	h.delete(t)
	r := h.reconciler()
	r.Client = blindClient{h.Fake}
	if _, err := r.reconcile(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if !h.has(t, workspaces, key) {
		t.Error("the workspace went before its logical cluster")
	}
}

// blindClient does not see LogicalClusters when it reads.
type blindClient struct{ client.Client }

func (c blindClient) Get(ctx context.Context, gr schema.GroupResource, k client.Key) (client.Object, error) {
	if gr == logicalClusters {
		return nil, apierrors.NewNotFound(gr, k.Name)
	}
	return c.Client.Get(ctx, gr, k)
}
