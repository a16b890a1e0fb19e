package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/core/clustername"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const uid types.UID = "0d0e9b2a-3c1f-4a55-9f0e-5b8d7c6a1f00"

var key = client.Key{Cluster: "root", Name: "org"}

// house is a server in memory with root in it.
type house struct {
	*clienttest.Fake
	binder *binder
	clock  *testingclock.FakeClock
}

// binder makes bindings that are bound, unless unready.
type binder struct {
	unready bool
	err     error
}

func (b *binder) FinalBinding(_ context.Context, _ logicalcluster.Name, wanted typeresolution.DefaultBinding) (client.Object, error) {
	if b.err != nil {
		return nil, b.err
	}
	binding := &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: wanted.Export + "-abcde"}}
	binding.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Path: wanted.Path.String(), Name: wanted.Export}
	binding.Status.Phase = apisv1alpha2.APIBindingPhaseBound
	if b.unready {
		binding.Status.Phase = apisv1alpha2.APIBindingPhaseBinding
	}
	return binding, nil
}

// paths resolves what the tests use.
type paths map[logicalcluster.Path]logicalcluster.Name

func (p paths) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	name, found := p[path]
	return name, found, nil
}

func newHouse(objects ...client.Object) *house {
	universal := clienttest.In("root", &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: "universal", Annotations: map[string]string{logicalcluster.PathAnnotationKey: "root"}}})
	universal.Spec.DefaultAPIBindings = []tenancyv1alpha1.APIExportReference{{Path: "root", Export: "tenancy.kcp.io"}, {Path: "root", Export: "topology.kcp.io"}}
	organization := clienttest.In("root", &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: "organization", Annotations: map[string]string{logicalcluster.PathAnnotationKey: "root"}}})
	organization.Spec.Extend.With = []tenancyv1alpha1.WorkspaceTypeReference{{Name: "universal", Path: "root"}}
	root := clienttest.In("root", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster", Annotations: map[string]string{logicalcluster.PathAnnotationKey: "root"}}})
	root.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
	return &house{
		Fake:   clienttest.NewFake(append([]client.Object{root, universal, organization}, objects...)...),
		binder: &binder{},
		clock:  testingclock.NewFakeClock(time.Now()),
	}
}

func shard(name string, labels map[string]string, annotations ...string) *corev1alpha1.Shard {
	s := clienttest.In("root", &corev1alpha1.Shard{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	for _, key := range annotations {
		s.Annotations[key] = ""
	}
	return s
}

// newWorkspace is a Workspace as admission and the strategy leave it.
func newWorkspace(changes ...func(*tenancyv1alpha1.Workspace)) *tenancyv1alpha1.Workspace {
	owner, err := json.Marshal(authenticationv1.UserInfo{Username: "alice", Groups: []string{"system:authenticated"}})
	if err != nil {
		panic(err)
	}
	ws := clienttest.In("root", &tenancyv1alpha1.Workspace{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "org",
			UID:         uid,
			Labels:      map[string]string{tenancyv1alpha1.WorkspacePhaseLabel: "Scheduling"},
			Annotations: map[string]string{tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey: string(owner)},
			Finalizers:  []string{corev1alpha1.LogicalClusterFinalizer},
		},
		Spec:   tenancyv1alpha1.WorkspaceSpec{Type: &tenancyv1alpha1.WorkspaceTypeReference{Name: "organization", Path: "root"}},
		Status: tenancyv1alpha1.WorkspaceStatus{Phase: corev1alpha1.LogicalClusterPhaseScheduling},
	})
	for _, change := range changes {
		change(ws)
	}
	return ws
}

func (h *house) reconciler() *reconciler {
	return &reconciler{targets: multicluster.NewTargets(), Config: Config{Config: multicluster.Config{Client: h.Fake, Live: h.Fake, Content: clienttest.NewContent(h.Fake), Resolver: paths{"root": "root"}}, Binder: h.binder, Clock: h.clock}}
}

// step reconciles the workspace once, as a process that has just started would.
func (h *house) step(t *testing.T) (reconcile.Result, error) {
	t.Helper()
	return h.reconciler().reconcile(t.Context(), key)
}

func (h *house) mustStep(t *testing.T) reconcile.Result {
	t.Helper()
	result, err := h.step(t)
	if err != nil {
		t.Fatal(err)
	}
	if changed := h.Mutated(); len(changed) > 0 {
		t.Fatalf("shared objects were changed: %v", changed)
	}
	return result
}

func (h *house) workspace(t *testing.T) *tenancyv1alpha1.Workspace {
	t.Helper()
	obj, err := h.Get(t.Context(), workspaces, key)
	if err != nil {
		t.Fatal(err)
	}
	return obj.(*tenancyv1alpha1.Workspace)
}

func (h *house) cluster(t *testing.T, name logicalcluster.Name) *corev1alpha1.LogicalCluster {
	t.Helper()
	obj, err := h.Get(t.Context(), logicalClusters, client.Key{Cluster: name, Name: "cluster"})
	if err != nil {
		t.Fatal(err)
	}
	return obj.(*corev1alpha1.LogicalCluster)
}

func (h *house) has(t *testing.T, gr schema.GroupResource, key client.Key) bool {
	t.Helper()
	_, err := h.Get(t.Context(), gr, key)
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

// change updates the workspace as a user would.
func (h *house) change(t *testing.T, change func(*tenancyv1alpha1.Workspace)) {
	t.Helper()
	ws := h.workspace(t).DeepCopy()
	change(ws)
	if _, err := h.Update(t.Context(), workspaces, key.Cluster, ws); err != nil {
		t.Fatal(err)
	}
}

func (h *house) changeCluster(t *testing.T, name logicalcluster.Name, change func(*corev1alpha1.LogicalCluster)) {
	t.Helper()
	lc := h.cluster(t, name).DeepCopy()
	change(lc)
	if _, err := h.Update(t.Context(), logicalClusters, name, lc); err != nil {
		t.Fatal(err)
	}
}

var errStopped = errors.New("the process stopped")

// stopAfter lets n writes pass and fails all that follow.
func (h *house) stopAfter(n int) {
	h.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
		if verb == "get" || verb == "list" {
			return nil
		}
		if n--; n < 0 {
			return errStopped
		}
		return nil
	})
}

// objects returns names and important content of everything there is, for comparison.
func (h *house) objects(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, gr := range []schema.GroupResource{workspaces, logicalClusters, apiBindings, namespaces, clusterRoleBindings} {
		all, err := h.List(t.Context(), gr, client.Scope{})
		if err != nil {
			t.Fatal(err)
		}
		for _, obj := range all {
			copied := obj.DeepCopyObject().(client.Object)
			copied.SetResourceVersion("")
			copied.SetCreationTimestamp(metav1.Time{})
			copied.SetGeneration(0)
			copied.SetUID("")
			raw, err := json.Marshal(copied)
			if err != nil {
				t.Fatal(err)
			}
			var tree map[string]any
			if err := json.Unmarshal(raw, &tree); err != nil {
				t.Fatal(err)
			}
			dropTimes(tree)
			if raw, err = json.Marshal(tree); err != nil {
				t.Fatal(err)
			}
			found[gr.String()+" "+client.KeyOf(obj).String()] = string(raw)
		}
	}
	return found
}

func dropTimes(node any) {
	switch typed := node.(type) {
	case map[string]any:
		delete(typed, "lastTransitionTime")
		for _, k := range slices.Sorted(maps.Keys(typed)) {
			dropTimes(typed[k])
		}
	case []any:
		for _, item := range typed {
			dropTimes(item)
		}
	}
}

// first is the name that the workspace gets unless it is taken.
func first() logicalcluster.Name { return clustername.FromUID(uid, 0) }
