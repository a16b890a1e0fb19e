package garbage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// patience is how long tests wait for what must happen.
const patience = time.Minute

var secrets = schema.GroupResource{Resource: "secrets"}

// world is a collector over a fake.
type world struct {
	*clienttest.Fake
	t       *testing.T
	content *clienttest.Content
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	w := &world{Fake: clienttest.NewFake(objects...), t: t}
	w.content = clienttest.NewContent(w.Fake)
	for kind, resource := range map[string]schema.GroupResource{"ConfigMap": configMaps, "Secret": secrets} {
		w.content.Serve(schema.GroupVersionKind{Version: "v1", Kind: kind}, client.Kind{Resource: resource, Namespaced: true})
	}
	w.content.Serve(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, client.Kind{Resource: schema.GroupResource{Resource: "namespaces"}})
	return w
}

// run starts the collector, and stops it with the test at the latest.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := multicluster.Run(ctx, w.Fake, newCollector(multicluster.Config{Client: w.Fake, Content: w.content}).spec()); err != nil {
			w.t.Errorf("the collector ended with %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	w.t.Cleanup(stop)
	return stop
}

// configMap returns one whose UID is its name, in default, that the named ones own; with "!" those that it blocks.
func configMap(cluster logicalcluster.Name, name string, owners ...string) *corev1.ConfigMap {
	h := newHead(cluster, name, owners...)
	return clienttest.In(cluster, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), OwnerReferences: h.OwnerReferences}})
}

func withFinalizers[T client.Object](obj T, finalizers ...string) T {
	obj.SetFinalizers(finalizers)
	return obj
}

func key(cluster logicalcluster.Name, name string) client.Key {
	return client.Key{Cluster: cluster, Namespace: "default", Name: name}
}

func (w *world) remove(cluster logicalcluster.Name, name string, policy metav1.DeletionPropagation) {
	w.t.Helper()
	if err := w.DeleteWith(w.t.Context(), configMaps, key(cluster, name), &metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
		w.t.Fatal(err)
	}
}

// await waits until something is true for an object, which is nil while there is none.
func (w *world) await(cluster logicalcluster.Name, name string, until func(client.Object) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if obj, err := w.Await(ctx, configMaps, key(cluster, name), until); err != nil {
		w.t.Fatalf("%v: it is %v", err, obj)
	}
}

func isGone(obj client.Object) bool { return obj == nil }

func ownedBy(owners ...string) func(client.Object) bool {
	return func(obj client.Object) bool {
		if obj == nil {
			return false
		}
		var names []string
		for _, r := range obj.GetOwnerReferences() {
			names = append(names, r.Name)
		}
		return slices.Equal(names, owners)
	}
}

// settle waits until the collector has done what an object needs that is made now: with one queue, what was to be done before is done, too.
func (w *world) settle() {
	w.t.Helper()
	if _, err := w.Create(w.t.Context(), configMaps, "settle", configMap("settle", "settled", "nobody")); err != nil {
		w.t.Fatal(err)
	}
	w.await("settle", "settled", isGone)
}

// order returns where in the writes something comes; it fails if there is no such write.
func (w *world) order(write string) int {
	w.t.Helper()
	at := slices.Index(w.Writes(), write)
	if at < 0 {
		w.t.Fatalf("no %q among %q", write, w.Writes())
	}
	return at
}

func TestCollector_Background(t *testing.T) {
	w := newWorld(t, configMap("c1", "o"), configMap("c2", "o"), configMap("c1", "p"))
	w.run()
	for _, obj := range []*corev1.ConfigMap{configMap("c1", "a", "o"), configMap("c1", "b", "o", "p"), configMap("c1", "c", "a"), configMap("c2", "a", "o")} {
		// The fake gives objects UIDs of its own, unless they are there from the beginning.
		obj.UID = ""
		if _, err := w.Create(t.Context(), configMaps, logicalcluster.From(obj), obj); err != nil {
			t.Fatal(err)
		}
	}
	w.await("c1", "c", isGone) // its owner is another object
	w.settle()
	w.remove("c1", "o", metav1.DeletePropagationBackground)
	w.await("c1", "a", isGone)
	w.await("c1", "b", ownedBy("p"))
	w.settle()
	w.await("c2", "a", ownedBy("o"))
	w.await("c2", "o", func(obj client.Object) bool { return obj != nil })
	if mutated := w.Mutated(); len(mutated) > 0 {
		t.Errorf("shared objects were changed: %v", mutated)
	}
}

func TestCollector_Foreground(t *testing.T) {
	w := newWorld(t, configMap("c1", "o"), withFinalizers(configMap("c1", "a", "!o"), "example.com/hold"), configMap("c1", "b", "!a"), configMap("c1", "c", "o"))
	stop := w.run()
	w.remove("c1", "o", metav1.DeletePropagationForeground)
	w.await("c1", "b", isGone)
	w.await("c1", "c", isGone)
	w.await("c1", "a", func(obj client.Object) bool {
		return obj.GetDeletionTimestamp() != nil && slices.Equal(obj.GetFinalizers(), []string{"example.com/hold"})
	})
	w.settle()
	w.await("c1", "o", func(obj client.Object) bool { return obj != nil && obj.GetDeletionTimestamp() != nil })
	// Another server goes on with what is half done.
	stop()
	w.run()
	w.settle()
	if err := w.content.Update(t.Context(), client.Head{Resource: configMaps, Cluster: "c1", Namespace: "default", Name: "a", UID: "a"}, func(obj client.Object) { obj.SetFinalizers(nil) }); err != nil {
		t.Fatal(err)
	}
	w.await("c1", "o", isGone)
	if w.order("delete configmaps c1|default/o") < w.order("delete configmaps c1|default/a") || w.order("delete configmaps c1|default/a") < w.order("delete configmaps c1|default/b") {
		t.Errorf("the order is %q", w.Writes())
	}
}

func TestCollector_ForegroundInACircle(t *testing.T) {
	w := newWorld(t, configMap("c1", "a", "!c"), configMap("c1", "b", "!a"), configMap("c1", "c", "!b"))
	w.run()
	w.settle()
	w.await("c1", "a", func(obj client.Object) bool { return obj != nil })
	w.remove("c1", "b", metav1.DeletePropagationForeground)
	for _, name := range []string{"a", "b", "c"} {
		w.await("c1", name, isGone)
	}
}

func TestCollector_Orphan(t *testing.T) {
	const many = 3 * orphansAtOnce
	objects := []client.Object{configMap("c1", "o"), configMap("c2", "o"), configMap("c2", "a", "o")}
	for i := range many {
		objects = append(objects, configMap("c1", fmt.Sprint("n", i), "o"))
	}
	w := newWorld(t, objects...)
	w.run()
	w.remove("c1", "o", metav1.DeletePropagationOrphan)
	w.await("c1", "o", isGone)
	w.settle()
	for i := range many {
		w.await("c1", fmt.Sprint("n", i), ownedBy())
	}
	w.await("c2", "a", ownedBy("o"))
}

// Finalizers stay as long as the dependents cannot be changed, and other clusters do not wait for that.
func TestCollector_GoesOnAfterErrors(t *testing.T) {
	w := newWorld(t, configMap("c1", "o"), configMap("c1", "a", "o"), configMap("c1", "b", "gone"), configMap("c2", "b", "gone"))
	refused := make(chan struct{}, 1000)
	w.Intercept(func(verb string, _ schema.GroupResource, key client.Key) error {
		if key.Cluster == "c1" && (verb == "update" || verb == "delete") && key.Name != "o" {
			select {
			case refused <- struct{}{}:
			default:
			}
			return errors.New("etcd is away")
		}
		return nil
	})
	w.run()
	w.remove("c1", "o", metav1.DeletePropagationOrphan)
	for range 4 {
		<-refused
	}
	w.await("c2", "b", isGone)
	w.await("c1", "o", func(obj client.Object) bool { return obj != nil })
	w.Intercept(nil)
	w.await("c1", "o", isGone)
	w.await("c1", "a", ownedBy())
	w.await("c1", "b", isGone)
}

func TestCollector_DeletesOnlyWhatItHasExamined(t *testing.T) {
	w := newWorld(t, configMap("c1", "a", "gone"), configMap("c1", "o"))
	changed := false
	w.Intercept(func(verb string, _ schema.GroupResource, k client.Key) error {
		if verb != "delete" || k != key("c1", "a") || changed {
			return nil
		}
		changed = true
		obj, err := w.Get(t.Context(), configMaps, k)
		if err != nil {
			return err
		}
		next := obj.DeepCopyObject().(client.Object)
		next.SetOwnerReferences(configMap("c1", "a", "o").OwnerReferences)
		_, err = w.Update(t.Context(), configMaps, "c1", next)
		return err
	})
	w.run()
	w.await("c1", "a", ownedBy("o"))
	w.settle()
	w.await("c1", "a", ownedBy("o"))
}

func TestCollector_LeavesWhatItDoesNotKnow(t *testing.T) {
	unserved := configMap("c1", "unserved", "gone", "also-gone")
	unserved.OwnerReferences[0].APIVersion, unserved.OwnerReferences[0].Kind = "example.com/v1", "Widget"
	senseless := configMap("c1", "senseless", "gone")
	senseless.OwnerReferences[0].APIVersion = "a/b/c"
	deleting := withFinalizers(configMap("c1", "deleting", "gone"), "example.com/hold")
	deleting.DeletionTimestamp = new(metav1.Now())
	w := newWorld(t, unserved, senseless, deleting)
	w.run()
	w.settle()
	if writes := w.Writes(); slices.ContainsFunc(writes, func(write string) bool { return strings.Contains(write, "c1|") }) {
		t.Errorf("it wrote %q", writes)
	}
	w.content.Serve(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}, client.Kind{Resource: schema.GroupResource{Group: "example.com", Resource: "widgets"}, Namespaced: true})
	w.settle()
	w.await("c1", "unserved", func(obj client.Object) bool { return obj != nil })
	definition := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"}}
	if _, err := w.Create(t.Context(), definitions, "c1", definition); err != nil {
		t.Fatal(err)
	}
	w.await("c1", "unserved", isGone)
}

func TestCollector_Namespaces(t *testing.T) {
	elsewhere := configMap("c1", "elsewhere")
	elsewhere.Namespace = "other"
	clusterScoped := clienttest.In("c1", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "cluster-scoped", OwnerReferences: configMap("c1", "x", "o", "gone").OwnerReferences}})
	byNamespace := configMap("c1", "by-namespace", "other")
	byNamespace.OwnerReferences[0].Kind = "Namespace"
	other := clienttest.In("c1", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other", UID: "other"}})
	w := newWorld(t, elsewhere, other, configMap("c1", "a", "elsewhere"), configMap("c1", "o"), clusterScoped, byNamespace)
	w.run()
	w.await("c1", "a", isGone)
	w.settle()
	w.await("c1", "by-namespace", ownedBy("other"))
	if _, err := w.Get(t.Context(), schema.GroupResource{Resource: "namespaces"}, client.Key{Cluster: "c1", Name: "cluster-scoped"}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	want := map[string]string{
		"a":              `ownerRef [v1/ConfigMap, namespace: default, name: elsewhere, uid: elsewhere] does not exist in namespace "default"`,
		"cluster-scoped": `ownerRef [v1/ConfigMap, namespace: , name: o, uid: o] does not exist in namespace ""`,
	}
	for ctx.Err() == nil && len(want) > 0 {
		all, err := client.List[corev1.Event](ctx, w.Fake, events, client.Scope{Cluster: "c1"})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if e.Reason == "OwnerRefInvalidNamespace" && e.Type == corev1.EventTypeWarning && e.Namespace == "default" && e.Message == want[e.InvolvedObject.Name] && e.InvolvedObject.Kind != "" {
				delete(want, e.InvolvedObject.Name)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("no events %q", want)
	}
	if _, err := w.Get(t.Context(), configMaps, key("c1", "o")); apierrors.IsNotFound(err) {
		t.Error("the owner is gone")
	}
}

// Users may change a LogicalCluster whom nobody lets delete it.
func TestCollector_DeletesNoLogicalCluster(t *testing.T) {
	lc := clienttest.In("c1", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster", OwnerReferences: configMap("c1", "x", "gone").OwnerReferences}})
	namespace := lc.DeepCopy()
	owned := clienttest.In("c1", &corev1.Namespace{ObjectMeta: namespace.ObjectMeta})
	for i := range lc.OwnerReferences {
		lc.OwnerReferences[i].Kind, owned.OwnerReferences[i].Kind = "Namespace", "Namespace"
	}
	foreground := owned.DeepCopy()
	foreground.Name, foreground.UID, foreground.OwnerReferences = "owner", "owner", nil
	late := lc.DeepCopy()
	late.Name, late.OwnerReferences[0].UID, late.OwnerReferences[0].Name = "of-owner", "owner", "owner"
	w := newWorld(t, lc, owned, clienttest.In("c1", foreground), late)
	w.run()
	namespaces := schema.GroupResource{Resource: "namespaces"}
	policy := metav1.DeletePropagationForeground
	if err := w.DeleteWith(t.Context(), namespaces, client.Key{Cluster: "c1", Name: "owner"}, &metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, name := range []string{"cluster", "owner"} { // the namespaces
		if _, err := w.Await(ctx, namespaces, client.Key{Cluster: "c1", Name: name}, isGone); err != nil {
			t.Fatal(err)
		}
	}
	w.settle()
	for _, name := range []string{"cluster", "of-owner"} {
		if obj, err := w.Get(t.Context(), clusters, client.Key{Cluster: "c1", Name: name}); err != nil || len(obj.GetOwnerReferences()) != 1 || obj.GetDeletionTimestamp() != nil {
			t.Errorf("%s is %v, %v", name, obj, err)
		}
	}
}

// What a workspace refuses is no error of the server.
func TestCollector_RefusalsWait(t *testing.T) {
	w := newWorld(t, configMap("c1", "a", "gone"))
	c := newCollector(multicluster.Config{Client: w.Fake, Content: w.content})
	refused := apierrors.NewForbidden(configMaps, "a", errors.New("by a webhook"))
	w.content.Fail(refused)
	for _, k := range []client.Key{{Cluster: "c1", Namespace: toCheck, Name: idOf(configMap("c1", "a", "gone").OwnerReferences[0], "default").keyName()}, {Cluster: "c1"}} {
		f := &feeder{c.graph, t}
		f.handle(client.HeadEvent{Type: client.Added, Head: newHead("c1", "a", "gone")})
		f.handle(client.HeadEvent{Type: client.Added, Head: deletingHead(newHead("c1", "o"), metav1.FinalizerOrphanDependents)})
		if result, err := c.reconcile(t.Context(), k); err != nil || result.RequeueAfter != afterRefusal {
			t.Errorf("%v: %v, %v", k, result, err)
		}
	}
}

func TestCollector_ThousandsOfDependents(t *testing.T) {
	const many = 2000
	objects := []client.Object{configMap("c1", "o"), configMap("c2", "o")}
	for i := range many {
		objects = append(objects, configMap("c1", fmt.Sprint("n", i), "o"))
	}
	objects = append(objects, configMap("c2", "a", "o"))
	w := newWorld(t, objects...)
	w.run()
	w.remove("c1", "o", metav1.DeletePropagationBackground)
	w.remove("c2", "o", metav1.DeletePropagationBackground)
	for i := range many {
		w.await("c1", fmt.Sprint("n", i), isGone)
	}
	w.await("c2", "a", isGone)
}
