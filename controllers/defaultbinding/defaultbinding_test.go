package defaultbinding

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// paths resolves what the tests use.
type paths map[logicalcluster.Path]logicalcluster.Name

func (p paths) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	name, found := p[path]
	return name, found, nil
}

// house is a server in memory, where a type maintains a binding to an export with a claim.
type house struct {
	*clienttest.Fake
	paths paths
	r     *reconciler
}

const export = "widgets"

func claimOn(resource string) apisv1alpha2.PermissionClaim {
	return apisv1alpha2.PermissionClaim{GroupResource: apisv1alpha2.GroupResource{Resource: resource}, Verbs: []string{"get"}}
}

func newType(in logicalcluster.Name, path, name string, mode tenancyv1alpha1.APIBindingLifecycleMode, exports ...string) *tenancyv1alpha1.WorkspaceType {
	t := &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{logicalcluster.PathAnnotationKey: path}}}
	t.Spec.DefaultAPIBindingLifecycle = &mode
	for _, e := range exports {
		t.Spec.DefaultAPIBindings = append(t.Spec.DefaultAPIBindings, tenancyv1alpha1.APIExportReference{Path: "root:provider", Export: e})
	}
	return clienttest.In(in, t)
}

func newCluster(in logicalcluster.Name, typ string, changes ...func(*corev1alpha1.LogicalCluster)) *corev1alpha1.LogicalCluster {
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster", Annotations: map[string]string{corev1alpha1.LogicalClusterTypeAnnotationKey: typ}}}
	lc.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
	for _, change := range changes {
		change(lc)
	}
	return clienttest.In(in, lc)
}

func newHouse(objects ...client.Object) *house {
	provided := &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: export}}
	provided.Spec.PermissionClaims = []apisv1alpha2.PermissionClaim{claimOn("secrets")}
	h := &house{
		Fake: clienttest.NewFake(append([]client.Object{
			clienttest.In("provider", provided),
			newType("root", "root", "kept", tenancyv1alpha1.APIBindingLifecycleModeMaintain, export),
			newType("root", "root", "once", tenancyv1alpha1.APIBindingLifecycleModeInitializeOnly, export),
		}, objects...)...),
		paths: paths{"root": "root", "root:provider": "provider"},
	}
	h.r = newReconciler(Config{Config: multicluster.Config{Client: h.Fake, Live: h.Fake, Resolver: h.paths}})
	return h
}

func (h *house) step(t *testing.T) time.Duration {
	t.Helper()
	result, err := h.r.reconcile(t.Context(), keyOf("w"))
	if err != nil {
		t.Fatal(err)
	}
	if changed := h.Mutated(); len(changed) > 0 {
		t.Fatalf("shared objects were changed: %v", changed)
	}
	return result.RequeueAfter
}

func (h *house) bindings(t *testing.T, cluster logicalcluster.Name) []*apisv1alpha2.APIBinding {
	t.Helper()
	all, err := client.List[apisv1alpha2.APIBinding](t.Context(), h, apiBindings, client.Scope{Cluster: cluster})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// keys returns what an event of an object leads to.
func (h *house) keys(t *testing.T, event client.EventType, obj client.Object) []client.Key {
	t.Helper()
	h.r.known.forget()
	switch obj.(type) {
	case *apisv1alpha2.APIBinding:
		return clienttest.Keys(t)(h.r.keysOfBinding(t.Context(), client.Event{Type: event, Object: obj}))
	case *corev1alpha1.LogicalCluster:
		return clienttest.Keys(t)(h.r.keysOfCluster(t.Context(), client.Event{Type: event, Object: obj}))
	}
	t.Fatalf("events of %T", obj)
	return nil
}

// write changes the only binding of a cluster.
func (h *house) write(t *testing.T, cluster logicalcluster.Name, change func(*apisv1alpha2.APIBinding)) *apisv1alpha2.APIBinding {
	t.Helper()
	binding := h.bindings(t, cluster)[0].DeepCopy()
	change(binding)
	written, err := h.Update(t.Context(), apiBindings, cluster, binding)
	if err != nil {
		t.Fatal(err)
	}
	return written.(*apisv1alpha2.APIBinding)
}

func TestMaintain_WhatIsMissingComesBack(t *testing.T) {
	lc := newCluster("w", "root:kept")
	h := newHouse(lc)
	want := []client.Key{keyOf("w")}
	if keys := h.keys(t, client.Added, lc); !slices.Equal(keys, want) {
		t.Errorf("a workspace without the binding leads to %v", keys)
	}
	h.step(t)
	all := h.bindings(t, "w")
	if len(all) != 1 || len(all[0].Spec.PermissionClaims) != 1 || all[0].Spec.PermissionClaims[0].State != apisv1alpha2.ClaimAccepted || !all[0].Spec.PermissionClaims[0].Selector.MatchAll {
		t.Fatalf("bindings: %+v", all)
	}
	binding := h.write(t, "w", func(b *apisv1alpha2.APIBinding) {
		b.Status.ExportPermissionClaims = []apisv1alpha2.PermissionClaim{claimOn("secrets")}
	})
	for event, obj := range map[client.EventType]client.Object{client.Modified: binding, client.Added: lc} {
		if keys := h.keys(t, event, obj); len(keys) > 0 {
			t.Errorf("a workspace that needs nothing leads to %v", keys)
		}
	}

	for what, change := range map[string]func(*apisv1alpha2.APIBinding){
		"rejected": func(b *apisv1alpha2.APIBinding) { b.Spec.PermissionClaims[0].State = apisv1alpha2.ClaimRejected },
		"removed":  func(b *apisv1alpha2.APIBinding) { b.Spec.PermissionClaims = nil },
		"another claim": func(b *apisv1alpha2.APIBinding) {
			b.Status.ExportPermissionClaims = append(b.Status.ExportPermissionClaims, claimOn("events"))
		},
		"more than the export claims": func(b *apisv1alpha2.APIBinding) {
			b.Spec.PermissionClaims = append(b.Spec.PermissionClaims, claims.AcceptAll([]apisv1alpha2.PermissionClaim{claimOn("leases")})...)
		},
		"another selector": func(b *apisv1alpha2.APIBinding) {
			b.Spec.PermissionClaims[0].Selector = apisv1alpha2.PermissionClaimSelector{LabelSelector: metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}
		},
	} {
		if keys := h.keys(t, client.Modified, h.write(t, "w", change)); !slices.Equal(keys, want) {
			t.Errorf("%s: leads to %v", what, keys)
		}
		for h.step(t) > 0 {
			continue
		}
		if got := h.bindings(t, "w")[0]; differs(got) || len(got.Spec.PermissionClaims) == 0 {
			t.Errorf("%s: %+v, of %+v", what, got.Spec.PermissionClaims, got.Status.ExportPermissionClaims)
		}
	}

	binding = h.bindings(t, "w")[0]
	if err := h.Delete(t.Context(), apiBindings, client.KeyOf(binding), nil); err != nil {
		t.Fatal(err)
	}
	for _, left := range h.bindings(t, "w") { // its finalizer goes
		h.write(t, "w", func(b *apisv1alpha2.APIBinding) { b.Finalizers = nil })
		_ = left
	}
	if keys := h.keys(t, client.Deleted, binding); !slices.Equal(keys, want) {
		t.Errorf("its deletion leads to %v", keys)
	}
	h.step(t)
	if all := h.bindings(t, "w"); len(all) != 1 || all[0].UID == binding.UID {
		t.Errorf("bindings: %+v", all)
	}
	obj, err := h.Get(t.Context(), logicalClusters, keyOf("w"))
	if err != nil || !conditionsv1alpha1.IsTrue(obj.(*corev1alpha1.LogicalCluster), corev1alpha1.APIBindingsReconciled) {
		t.Errorf("%+v, %v", obj, err)
	}
}

// What a user does to other bindings, and in other workspaces, is the user's.
func TestMaintain_WhatIsNotMaintained(t *testing.T) {
	deleted := metav1.Now()
	for what, lc := range map[string]*corev1alpha1.LogicalCluster{
		"of a type that does not maintain": newCluster("w", "root:once"),
		"of a type that does not exist":    newCluster("w", "root:none"),
		"without a type":                   newCluster("w", ""),
		"that is being created":            newCluster("w", "root:kept", func(lc *corev1alpha1.LogicalCluster) { lc.Status.Phase = corev1alpha1.LogicalClusterPhaseInitializing }),
		"that is being deleted": newCluster("w", "root:kept", func(lc *corev1alpha1.LogicalCluster) {
			lc.DeletionTimestamp, lc.Finalizers = &deleted, []string{"x/y"}
		}),
		"of a type in a workspace that has come since": newCluster("w", "root:team:kept", func(lc *corev1alpha1.LogicalCluster) {
			lc.Annotations[corev1alpha1.TypeClustersAnnotationKey] = "teamid"
		}),
		"of an earlier version": newCluster("w", "root:team:kept"),
	} {
		h := newHouse(lc, newType("squatter", "root:team", "kept", tenancyv1alpha1.APIBindingLifecycleModeMaintain, export))
		h.paths["root:team"] = "squatter"
		binding := clienttest.In("w", &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "widgets-xxxxx"}})
		binding.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Path: "root:provider", Name: export}
		if keys := append(h.keys(t, client.Added, lc), h.keys(t, client.Deleted, binding)...); len(keys) > 0 {
			t.Errorf("%s: leads to %v", what, keys)
		}
		h.step(t)
		if writes := h.Writes(); len(writes) > 0 {
			t.Errorf("%s: wrote %v", what, writes)
		}
	}
	lc := newCluster("w", "root:team:kept", func(lc *corev1alpha1.LogicalCluster) {
		lc.Annotations[corev1alpha1.TypeClustersAnnotationKey] = "teamid"
	})
	h := newHouse(lc, newType("teamid", "root:team", "kept", tenancyv1alpha1.APIBindingLifecycleModeMaintain, export))
	h.paths["root:team"] = "teamid"
	h.step(t)
	if len(h.bindings(t, "w")) != 1 {
		t.Error("the type of the workspace is not followed")
	}
}

// A change of a type reaches the workspaces that need something, few at a time, and nobody else.
func TestMaintain_TypesReachExistingWorkspaces(t *testing.T) {
	const all = few + 20
	var objects []client.Object
	for i := range all {
		objects = append(objects, newCluster(logicalcluster.Name(fmt.Sprintf("w%04d", i)), "root:once"), newCluster(logicalcluster.Name(fmt.Sprintf("v%04d", i)), "root:other"))
	}
	h := newHouse(objects...)
	obj, err := h.Get(t.Context(), workspaceTypes, client.Key{Cluster: "root", Name: "once"})
	if err != nil {
		t.Fatal(err)
	}
	once := obj.(*tenancyv1alpha1.WorkspaceType)
	if keys := clienttest.Keys(t)(h.r.noteType(t.Context(), client.Event{Type: client.Modified, Object: once})); len(keys) > 0 || len(h.r.dirty) > 0 {
		t.Error("a type that does not maintain makes all workspaces be looked at")
	}
	changed := once.DeepCopy()
	*changed.Spec.DefaultAPIBindingLifecycle = tenancyv1alpha1.APIBindingLifecycleModeMaintain
	stored, err := h.Update(t.Context(), workspaceTypes, "root", changed)
	if err != nil {
		t.Fatal(err)
	}
	clienttest.Keys(t)(h.r.noteType(t.Context(), client.Event{Type: client.Modified, Object: stored}))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	keys := make(chan client.Key, all)
	go h.r.feed(ctx, func(key client.Key, _ time.Duration) { keys <- key })
	for range all {
		select {
		case key := <-keys:
			if len(keys) > few {
				t.Fatalf("%d workspaces wait at once", len(keys))
			}
			if _, err := h.r.reconcile(ctx, key); err != nil {
				t.Fatal(err)
			}
		case <-time.After(2 * time.Minute):
			t.Fatal("not all workspaces are queued")
		}
	}
	if made := len(h.bindings(t, "")); made != all {
		t.Errorf("%d bindings, want %d", made, all)
	}
}

func TestMaintain_SaysWhatIsRefused(t *testing.T) {
	ws := clienttest.In("root", &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "w", UID: "u"}})
	h := newHouse(ws, newCluster("w", "root:kept", func(lc *corev1alpha1.LogicalCluster) {
		lc.Spec.Owner = &corev1alpha1.LogicalClusterOwner{APIVersion: "tenancy.kcp.io/v1alpha1", Resource: "workspaces", Name: "w", Cluster: "root", UID: "u"}
	}))
	h.Intercept(func(verb string, gr schema.GroupResource, key client.Key) error {
		if verb == "create" && gr == apiBindings {
			return apierrors.NewForbidden(gr, key.Name, fmt.Errorf("no room"))
		}
		return nil
	})
	if again := h.step(t); again != later {
		t.Errorf("tried again after %s", again)
	}
	condition := func() *conditionsv1alpha1.Condition {
		obj, err := h.Get(t.Context(), workspaces, client.Key{Cluster: "root", Name: "w"})
		if err != nil {
			t.Fatal(err)
		}
		return conditionsv1alpha1.Get(obj.(*tenancyv1alpha1.Workspace), corev1alpha1.APIBindingsReconciled)
	}
	if c := condition(); c == nil || c.Status != "False" || c.Reason != corev1alpha1.APIBindingErrorsReason {
		t.Errorf("condition %+v", c)
	}
	h.Intercept(nil)
	h.step(t)
	if c := condition(); c == nil || c.Status != "True" {
		t.Errorf("condition %+v", c)
	}
}
