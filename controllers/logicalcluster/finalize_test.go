package logicalcluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/workspace"
)

const id logicalcluster.Name = "orgid"

var (
	key        = client.Key{Cluster: id, Name: "cluster"}
	owner      = client.Key{Cluster: "root", Name: "org"}
	configMaps = corev1.Resource("configmaps")
)

func newCluster(changes ...func(*corev1alpha1.LogicalCluster)) *corev1alpha1.LogicalCluster {
	lc := clienttest.In(id, &corev1alpha1.LogicalCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "cluster", Finalizers: []string{corev1alpha1.LogicalClusterDeletionFinalizer}},
		Spec: corev1alpha1.LogicalClusterSpec{Owner: &corev1alpha1.LogicalClusterOwner{
			APIVersion: "tenancy.kcp.io/v1alpha1", Resource: "workspaces", Name: "org", Cluster: "root", UID: "uid",
		}},
		Status: corev1alpha1.LogicalClusterStatus{Phase: corev1alpha1.LogicalClusterPhaseReady},
	})
	for _, change := range changes {
		change(lc)
	}
	return lc
}

func newOwner() *tenancyv1alpha1.Workspace {
	return clienttest.In("root", &tenancyv1alpha1.Workspace{
		ObjectMeta: metav1.ObjectMeta{Name: "org", UID: "uid", Finalizers: []string{corev1alpha1.LogicalClusterFinalizer}},
		Spec:       tenancyv1alpha1.WorkspaceSpec{Cluster: string(id)},
	})
}

// filled is what a workspace holds.
func filled() []client.Object {
	return []client.Object{
		newOwner(), newCluster(),
		clienttest.In(id, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}),
		clienttest.In(id, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}}),
		clienttest.In(id, &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "tenancy"}}),
		clienttest.In(id, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "role"}}),
		clienttest.In(id, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "workspace-admin"}}),
		clienttest.In("other", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}}),
	}
}

type house struct {
	*clienttest.Fake
	reconciler *reconciler
	content    *clienttest.Content
	clock      *testingclock.FakeClock
}

func newHouse(objects ...client.Object) *house {
	fake := clienttest.NewFake(objects...)
	h := &house{Fake: fake, content: clienttest.NewContent(fake), clock: testingclock.NewFakeClock(time.Now())}
	h.restart()
	return h
}

// restart makes a process that remembers nothing.
func (h *house) restart() {
	h.reconciler = &reconciler{Config: Config{Config: multicluster.Config{Client: h.Fake, Content: h.content}, Clock: h.clock}}
}

func (h *house) step(t *testing.T) (reconcile.Result, error) {
	t.Helper()
	result, err := h.reconciler.reconcile(t.Context(), key)
	if changed := h.Mutated(); len(changed) > 0 {
		t.Fatalf("shared objects were changed: %v", changed)
	}
	return result, err
}

func (h *house) delete(t *testing.T) {
	t.Helper()
	if err := h.Delete(t.Context(), logicalClusters, key, nil); err != nil {
		t.Fatal(err)
	}
}

func (h *house) get(t *testing.T) *corev1alpha1.LogicalCluster {
	t.Helper()
	obj, err := h.Get(t.Context(), logicalClusters, key)
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

func (h *house) change(t *testing.T, gr schema.GroupResource, key client.Key, change func(client.Object)) {
	t.Helper()
	obj, err := h.Get(t.Context(), gr, key)
	if err != nil {
		t.Fatal(err)
	}
	copied := obj.DeepCopyObject().(client.Object)
	change(copied)
	if _, err := h.Update(t.Context(), gr, key.Cluster, copied); err != nil {
		t.Fatal(err)
	}
}

func hold(obj client.Object)    { obj.SetFinalizers([]string{"example.com/hold"}) }
func release(obj client.Object) { obj.SetFinalizers(nil) }

func TestFinalize_TakesEverythingInOrder(t *testing.T) {
	h := newHouse(filled()...)
	h.delete(t)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	if h.has(t, logicalClusters, key) {
		t.Error("the LogicalCluster is still there")
	}
	position := func(part string) int {
		i := slices.IndexFunc(h.Writes(), func(w string) bool { return strings.HasPrefix(w, "delete "+part) })
		if i < 0 {
			t.Errorf("no delete of %s in %v", part, h.Writes())
		}
		return i
	}
	order := []int{
		position("configmaps orgid|"), position("apibindings"), position("clusterroles"),
	}
	if !slices.IsSorted(order) || position("namespaces") > order[1] || position("clusterrolebindings") < order[1] {
		t.Errorf("wrong order: %v", h.Writes())
	}
	if !h.has(t, configMaps, client.Key{Cluster: "other", Namespace: "default", Name: "a"}) {
		t.Error("another cluster was emptied")
	}
}

// A terminator of a child workspace works for a type in this cluster, which says what it may do.
func TestFinalize_TypesStayForTheTerminatorsOfChildren(t *testing.T) {
	child := clienttest.In(id, &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "child", Finalizers: []string{corev1alpha1.LogicalClusterFinalizer}}})
	kind := clienttest.In(id, &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: "team"}})
	h := newHouse(append(filled(), child, kind)...)
	h.delete(t)
	for range 2 {
		if _, err := h.step(t); err != nil {
			t.Fatal(err)
		}
	}
	at := client.Key{Cluster: id, Name: "team"}
	if !h.has(t, workspaceTypes, at) || h.has(t, configMaps, client.Key{Cluster: id, Namespace: "default", Name: "a"}) {
		t.Errorf("beside a child that is being deleted, these were written: %v", h.Writes())
	}
	h.change(t, workspaces, client.Key{Cluster: id, Name: "child"}, release)
	for range 2 {
		if _, err := h.step(t); err != nil {
			t.Fatal(err)
		}
	}
	if h.has(t, workspaceTypes, at) || h.has(t, logicalClusters, key) {
		t.Errorf("without the child, these were written: %v", h.Writes())
	}
}

// waiting returns a namespace and a binding as the server makes them, with the finalizers of their controllers.
func waiting() (*corev1.Namespace, *apisv1alpha2.APIBinding) {
	return clienttest.In(id, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}}}),
		clienttest.In(id, &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "b", Finalizers: []string{apisv1alpha2.APIBindingFinalizer}}})
}

func TestFinalize_NamespacesAndBindingsWaitForNobody(t *testing.T) {
	ns, binding := waiting()
	h := newHouse(append(filled(), ns, binding)...)
	h.delete(t)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	if h.has(t, logicalClusters, key) {
		t.Errorf("one step is not enough: %v", h.Writes())
	}
	for _, want := range []string{"update namespaces orgid|ns", "delete namespaces orgid|ns", "update apibindings.apis.kcp.io orgid|b", "delete apibindings.apis.kcp.io orgid|b"} {
		if !slices.Contains(h.Writes(), want) {
			t.Errorf("no %q in %v", want, h.Writes())
		}
	}
}

func TestFinalize_FinalizersOfOthersHoldNamespacesAndBindings(t *testing.T) {
	ns, binding := waiting()
	ns.Finalizers, binding.Finalizers = []string{"example.com/hold"}, append(binding.Finalizers, "example.com/hold")
	h := newHouse(append(filled(), ns, binding)...)
	h.delete(t)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	nsKey, bindingKey := client.Key{Cluster: id, Name: "ns"}, client.Key{Cluster: id, Name: "b"}
	obj, err := h.Get(t.Context(), namespaces, nsKey)
	if err != nil || len(obj.(*corev1.Namespace).Spec.Finalizers) > 0 || len(obj.GetFinalizers()) != 1 {
		t.Fatalf("the namespace is %+v, %v", obj, err)
	}
	if obj, err := h.Get(t.Context(), apiBindings, bindingKey); err != nil || obj.GetDeletionTimestamp() != nil {
		t.Fatalf("the binding went before the namespace: %+v, %v", obj, err)
	}
	before := len(h.Writes())
	if _, err := h.step(t); err != nil || len(h.Writes()) > before {
		t.Errorf("waiting writes %v, %v", h.Writes()[before:], err)
	}
	h.change(t, namespaces, nsKey, release)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	if obj, err := h.Get(t.Context(), apiBindings, bindingKey); err != nil || !slices.Equal(obj.GetFinalizers(), []string{"example.com/hold"}) {
		t.Fatalf("the binding is %+v, %v", obj, err)
	}
	h.change(t, apiBindings, bindingKey, release)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	if h.has(t, logicalClusters, key) {
		t.Error("the LogicalCluster is still there")
	}
}

func TestFinalize_FinalizersOfOthersHoldTheLogicalCluster(t *testing.T) {
	h := newHouse(append(filled(), newCluster(func(lc *corev1alpha1.LogicalCluster) {
		lc.Finalizers = append(lc.Finalizers, "example.com/hold")
	}))...)
	h.delete(t)
	if result, err := h.step(t); err != nil || result.RequeueAfter == 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	if !h.has(t, logicalClusters, key) {
		t.Fatal("the LogicalCluster is gone in spite of a finalizer")
	}
	if h.has(t, configMaps, client.Key{Cluster: id, Namespace: "default", Name: "a"}) {
		t.Error("its content waits, too")
	}
	if !h.has(t, clusterRoles, client.Key{Cluster: id, Name: "role"}) {
		t.Error("nobody may remove the finalizer any more")
	}
	h.clock.Step(2 * quiet)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	condition := conditionsv1alpha1.Get(h.get(t), corev1alpha1.WorkspaceContentDeleted)
	if condition == nil || !strings.Contains(condition.Message, "example.com/hold") {
		t.Errorf("nothing says what it waits for: %+v", condition)
	}
	h.change(t, logicalClusters, key, func(lc client.Object) { lc.SetFinalizers([]string{corev1alpha1.LogicalClusterDeletionFinalizer}) })
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	if h.has(t, logicalClusters, key) || h.has(t, clusterRoles, client.Key{Cluster: id, Name: "role"}) {
		t.Error("the LogicalCluster or its RBAC is still there")
	}
}

func TestStandBack(t *testing.T) {
	going := newCluster(func(lc *corev1alpha1.LogicalCluster) { lc.DeletionTimestamp = &metav1.Time{Time: time.Now()} })
	for name, tc := range map[string]struct {
		objects []client.Object
		age     time.Duration
		want    time.Duration
	}{
		"the cluster stays":      {[]client.Object{newCluster()}, 0, 0},
		"there is no cluster":    {nil, 0, 0},
		"the cluster goes":       {[]client.Object{going}, quiet / 4, quiet - quiet/4},
		"the cluster takes long": {[]client.Object{going}, quiet, 0},
	} {
		if got, err := StandBack(t.Context(), clienttest.NewFake(tc.objects...), id, tc.age); err != nil || got != tc.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, tc.want)
		}
	}
	broken := clienttest.NewFake(going)
	broken.Intercept(func(string, schema.GroupResource, client.Key) error { return errors.New("etcd is away") })
	if got, err := StandBack(t.Context(), broken, id, 0); err == nil {
		t.Errorf("%s although nobody knows", got)
	}
}

// TestReconcile_MissesNothingThatGoesMeanwhile has a held object go while the content is being looked at, after its own look.
func TestReconcile_MissesNothingThatGoesMeanwhile(t *testing.T) {
	failure := errors.New("etcd is away")
	for name, tc := range map[string]struct {
		meanwhile bool
		failure   error
		want      time.Duration
	}{
		"meanwhile":              {true, nil, atOnce},
		"never":                  {false, nil, soonest},
		"before the look fails":  {true, failure, atOnce},
		"never, the look failed": {false, failure, 0}, // the queue waits after an error
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(filled()...)
			h.content.Fail(tc.failure)
			h.change(t, configMaps, client.Key{Cluster: id, Namespace: "default", Name: "a"}, hold)
			h.delete(t)
			gone := client.HeadEvent{Type: client.Deleted, Head: client.Head{Resource: namespaces, Cluster: id, Name: "x"}}
			h.content.Before(func() {
				if !tc.meanwhile {
					return
				}
				if keys, err := h.reconciler.keysOfContent(t.Context(), gone); len(keys) > 0 || err != nil {
					t.Errorf("keys %v, %v of a cluster that is looked at", keys, err)
				}
			})
			if result, err := h.step(t); (err != nil) != (tc.want == 0) || result.RequeueAfter != tc.want {
				t.Errorf("comes back after %s, %v; want %s", result.RequeueAfter, err, tc.want)
			}
			if keys, err := h.reconciler.keysOfContent(t.Context(), gone); err != nil || !slices.Equal(keys, []client.Key{key}) {
				t.Errorf("keys %v, %v of a cluster that waits", keys, err)
			}
		})
	}
}

func TestFinalize_DirectDeletionTakesTheOwner(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*tenancyv1alpha1.Workspace)
		want   bool
	}{
		"its own":              {func(*tenancyv1alpha1.Workspace) {}, true},
		"one of the same name": {func(ws *tenancyv1alpha1.Workspace) { ws.UID = "another" }, false},
		"one on its way out":   {func(ws *tenancyv1alpha1.Workspace) { ws.DeletionTimestamp = &metav1.Time{Time: time.Now()} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			ws := newOwner()
			tc.change(ws)
			h := newHouse(ws, newCluster())
			h.delete(t)
			if _, err := h.step(t); err != nil {
				t.Fatal(err)
			}
			obj, err := h.Get(t.Context(), workspaces, owner)
			if err != nil {
				t.Fatal(err)
			}
			if got := obj.GetDeletionTimestamp() != nil; got != tc.want {
				t.Errorf("the Workspace is deleted: %v, want %v", got, tc.want)
			}
		})
	}
}

func TestFinalize_SaysWhatRemains(t *testing.T) {
	h := newHouse(filled()...)
	held := client.Key{Cluster: id, Namespace: "default", Name: "a"}
	h.change(t, configMaps, held, hold)
	h.delete(t)
	result, err := h.step(t)
	if err != nil || result.RequeueAfter != soonest {
		t.Errorf("result %v, %v", result, err)
	}
	if c := conditionsv1alpha1.Get(h.get(t), corev1alpha1.WorkspaceContentDeleted); c != nil {
		t.Errorf("a young deletion is complained about: %v", c)
	}
	if phase := h.get(t).Status.Phase; phase != corev1alpha1.LogicalClusterPhaseDeleting {
		t.Errorf("phase is %s", phase)
	}
	if !h.has(t, apiBindings, client.Key{Cluster: id, Name: "tenancy"}) || !h.has(t, clusterRoles, client.Key{Cluster: id, Name: "role"}) {
		t.Error("bindings or RBAC went before the content")
	}

	h.clock.Step(20 * time.Second)
	if result, err = h.step(t); err != nil || result.RequeueAfter <= soonest || result.RequeueAfter > latest {
		t.Errorf("result %v, %v", result, err)
	}
	c := conditionsv1alpha1.Get(h.get(t), corev1alpha1.WorkspaceContentDeleted)
	if c == nil || c.Reason != corev1alpha1.SomeResourcesRemainReason || !strings.Contains(c.Message, "configmaps has 1") || !strings.Contains(c.Message, "example.com/hold") {
		t.Errorf("condition %+v", c)
	}
	before := len(h.Writes())
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	if extra := h.Writes()[before:]; len(extra) > 0 {
		t.Errorf("waiting writes %v", extra)
	}

	h.change(t, configMaps, held, release)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	if h.has(t, logicalClusters, key) {
		t.Error("the LogicalCluster is still there")
	}
}

// TestFinalize_AsksWhatAppearsLate has an object appear in a resource that was empty while another holds the deletion up: it
// goes before the end, and its finalizer counts.
func TestFinalize_AsksWhatAppearsLate(t *testing.T) {
	h := newHouse(filled()...)
	held := client.Key{Cluster: id, Namespace: "default", Name: "a"}
	h.change(t, configMaps, held, hold)
	h.delete(t)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	late := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "late", Finalizers: []string{"example.com/hold"}}}
	if _, err := h.Create(t.Context(), corev1.Resource("secrets"), id, late); err != nil {
		t.Fatal(err)
	}
	h.change(t, configMaps, held, release)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	secret := client.Key{Cluster: id, Namespace: "default", Name: "late"}
	if !h.has(t, corev1.Resource("secrets"), secret) || !h.has(t, logicalClusters, key) {
		t.Fatal("the finalizer of the late object was ignored")
	}
	h.change(t, corev1.Resource("secrets"), secret, release)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	if h.has(t, logicalClusters, key) {
		t.Error("the LogicalCluster is still there")
	}
}

func TestFinalize_HeldBindingKeepsRBAC(t *testing.T) {
	h := newHouse(filled()...)
	h.change(t, apiBindings, client.Key{Cluster: id, Name: "tenancy"}, hold)
	h.delete(t)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	if h.has(t, configMaps, client.Key{Cluster: id, Namespace: "default", Name: "a"}) {
		t.Error("content is still there")
	}
	if !h.has(t, clusterRoleBindings, client.Key{Cluster: id, Name: "workspace-admin"}) {
		t.Error("the administrator was locked out before the end")
	}
}

func TestFinalize_FailureIsSaidAndTriedAgain(t *testing.T) {
	h := newHouse(filled()...)
	h.content.Fail(errors.New("storage is away"))
	h.delete(t)
	if _, err := h.step(t); err == nil {
		t.Error("no error")
	}
	if reason := conditionsv1alpha1.GetReason(h.get(t), corev1alpha1.WorkspaceContentDeleted); reason != corev1alpha1.ContentDeletionFailedReason {
		t.Errorf("reason is %q", reason)
	}
	h.content.Fail(nil)
	if _, err := h.step(t); err != nil {
		t.Fatal(err)
	}
	if h.has(t, logicalClusters, key) {
		t.Error("the LogicalCluster is still there")
	}
}

// TestFinalize_StoppedAnywhereGoesOn stops the process after each write of a deletion and starts it again.
func TestFinalize_StoppedAnywhereGoesOn(t *testing.T) {
	whole := newHouse(filled()...)
	whole.delete(t)
	if _, err := whole.step(t); err != nil {
		t.Fatal(err)
	}
	for stop := range len(whole.Writes()) {
		h := newHouse(filled()...)
		h.delete(t)
		n := stop
		h.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
			if verb == "get" || verb == "list" {
				return nil
			}
			if n--; n < 0 {
				return errors.New("stopped")
			}
			return nil
		})
		_, _ = h.step(t)
		h.Intercept(nil)
		h.restart()
		if _, err := h.step(t); err != nil {
			t.Fatalf("stopped after %d writes: %v", stop, err)
		}
		if h.has(t, logicalClusters, key) {
			t.Errorf("stopped after %d writes, the LogicalCluster is still there", stop)
		}
		if obj, err := h.Get(t.Context(), workspaces, owner); err != nil || obj.GetDeletionTimestamp() == nil {
			t.Errorf("stopped after %d writes, the owner is not being deleted: %v", stop, err)
		}
	}
}

func TestReconcile_InactiveByAnnotation(t *testing.T) {
	off := func(lc *corev1alpha1.LogicalCluster) {
		lc.Annotations[corev1alpha1.LogicalClusterInactiveAnnotationKey] = "true"
	}
	legacy := func(lc *corev1alpha1.LogicalCluster) {
		lc.Annotations[corev1alpha1.LegacyLogicalClusterInactiveAnnotationKey] = "true"
	}
	in := func(phase corev1alpha1.LogicalClusterPhaseType) func(*corev1alpha1.LogicalCluster) {
		return func(lc *corev1alpha1.LogicalCluster) { lc.Status.Phase = phase }
	}
	for name, tc := range map[string]struct {
		changes []func(*corev1alpha1.LogicalCluster)
		want    corev1alpha1.LogicalClusterPhaseType
	}{
		"stays on":         {nil, corev1alpha1.LogicalClusterPhaseReady},
		"goes off":         {[]func(*corev1alpha1.LogicalCluster){off}, corev1alpha1.LogicalClusterPhaseInactive},
		"goes off, legacy": {[]func(*corev1alpha1.LogicalCluster){legacy}, corev1alpha1.LogicalClusterPhaseInactive},
		"comes back":       {[]func(*corev1alpha1.LogicalCluster){in(corev1alpha1.LogicalClusterPhaseInactive)}, corev1alpha1.LogicalClusterPhaseReady},
		"is not ready yet": {[]func(*corev1alpha1.LogicalCluster){off, in(corev1alpha1.LogicalClusterPhaseInitializing)}, corev1alpha1.LogicalClusterPhaseInitializing},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(newCluster(tc.changes...))
			if _, err := h.step(t); err != nil {
				t.Fatal(err)
			}
			if got := h.get(t).Status.Phase; got != tc.want {
				t.Errorf("phase is %s, want %s", got, tc.want)
			}
		})
	}
}

type noPaths struct{}

func (noPaths) Resolve(context.Context, logicalcluster.Path) (logicalcluster.Name, bool, error) {
	return "", false, nil
}

// TestControllers_DeletionIsRecursive runs this controller beside the one of workspaces: a tree of workspaces is made, then
// its top deleted, and nothing of it must be left.
func TestControllers_DeletionIsRecursive(t *testing.T) {
	root := clienttest.In("root", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster", Annotations: map[string]string{logicalcluster.PathAnnotationKey: "root"}}})
	root.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
	fake := clienttest.NewFake(root, clienttest.In("root", &corev1alpha1.Shard{ObjectMeta: metav1.ObjectMeta{Name: "root"}}))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	specs := append(Specs(Config{Config: multicluster.Config{Client: fake, Content: clienttest.NewContent(fake)}}),
		workspace.Specs(workspace.Config{Config: multicluster.Config{Client: fake, Live: fake, Content: clienttest.NewContent(fake), Resolver: noPaths{}}})...)
	for _, spec := range specs {
		go func() {
			if err := multicluster.Run(ctx, fake, spec); err != nil && ctx.Err() == nil {
				t.Errorf("controller %s: %v", spec.Name, err)
			}
		}()
	}
	parent := logicalcluster.Root
	var clusters []logicalcluster.Name
	for _, name := range []string{"org", "team", "project"} {
		ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{corev1alpha1.LogicalClusterFinalizer}}}
		if _, err := fake.Create(ctx, workspaces, parent, ws); err != nil {
			t.Fatal(err)
		}
		obj, err := fake.Await(ctx, workspaces, client.Key{Cluster: parent, Name: name}, func(obj client.Object) bool {
			ws, ok := obj.(*tenancyv1alpha1.Workspace)
			return ok && ws.Status.Phase == corev1alpha1.LogicalClusterPhaseReady
		})
		if err != nil {
			t.Fatal(err)
		}
		parent = logicalcluster.Name(obj.(*tenancyv1alpha1.Workspace).Spec.Cluster)
		clusters = append(clusters, parent)
	}
	top := client.Key{Cluster: "root", Name: "org"}
	if err := fake.Delete(ctx, workspaces, top, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := fake.Await(ctx, workspaces, top, func(obj client.Object) bool { return obj == nil }); err != nil {
		t.Fatal(err)
	}
	for _, gr := range []schema.GroupResource{workspaces, logicalClusters, namespaces} {
		for _, cluster := range clusters {
			left, err := fake.List(ctx, gr, client.Scope{Cluster: cluster})
			if err != nil {
				t.Fatal(err)
			}
			if len(left) > 0 {
				t.Errorf("%d %s are left in %s", len(left), gr, cluster)
			}
		}
	}
}

// Terminators have the content to themselves: nothing is deleted, and nobody looks, until the last one has removed itself.
func TestFinalize_WaitsForTerminators(t *testing.T) {
	objects := filled()
	for _, obj := range objects {
		if lc, ok := obj.(*corev1alpha1.LogicalCluster); ok {
			lc.Status.Terminators = []corev1alpha1.LogicalClusterTerminator{"root:x"}
			lc.Finalizers = append(lc.Finalizers, corev1alpha1.LogicalClusterHasTerminatorsFinalizer)
		}
	}
	h := newHouse(objects...)
	h.delete(t)
	for range 3 {
		result, err := h.step(t)
		if err != nil || result.RequeueAfter != 0 {
			t.Fatalf("result %+v, %v", result, err)
		}
		h.clock.Step(time.Hour)
	}
	if phase := h.get(t).Status.Phase; phase != corev1alpha1.LogicalClusterPhaseTerminating {
		t.Errorf("phase is %s", phase)
	}
	for gr, name := range map[schema.GroupResource]string{{Resource: "configmaps"}: "default/a", namespaces: "default", apiBindings: "tenancy"} {
		at := client.Key{Cluster: id, Name: name}
		if namespace, in, found := strings.Cut(name, "/"); found {
			at = client.Key{Cluster: id, Namespace: namespace, Name: in}
		}
		obj, err := h.Get(t.Context(), gr, at)
		if err != nil || obj.GetDeletionTimestamp() != nil {
			t.Errorf("%s %s is %v, %v", gr, name, obj, err)
		}
	}
	if obj, err := h.Get(t.Context(), workspaces, owner); err != nil || obj.GetDeletionTimestamp() == nil {
		t.Errorf("the Workspace stays: %v", err)
	}
	h.change(t, logicalClusters, key, func(obj client.Object) {
		lc := obj.(*corev1alpha1.LogicalCluster)
		lc.Status.Terminators, lc.Finalizers = nil, []string{corev1alpha1.LogicalClusterDeletionFinalizer}
	})
	for range 10 {
		if _, err := h.step(t); err != nil {
			t.Fatal(err)
		}
	}
	if h.has(t, logicalClusters, key) {
		t.Errorf("it stays: %+v", h.get(t).Status)
	}
}
