package storage

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/generic"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

var (
	configMaps = schema.GroupResource{Resource: "configmaps"}
	namespaces = schema.GroupResource{Resource: "namespaces"}
	widgets    = schema.GroupResource{Group: "example.com", Resource: "widgets"}
)

// patience is how long tests wait for what must happen; nothing waits that long when it works.
const patience = 2 * time.Minute

// coreCodec stores core/v1 as protobuf and reads it back as itself.
func coreCodec(tb testing.TB) func(schema.GroupResource) (runtime.Codec, error) {
	tb.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		tb.Fatal(err)
	}
	internal := schema.GroupVersion{Version: runtime.APIVersionInternal}
	scheme.AddKnownTypes(internal, &corev1.ConfigMap{}, &corev1.ConfigMapList{}, &corev1.Namespace{}, &corev1.NamespaceList{})
	proto := protobuf.NewSerializer(scheme, scheme)
	codec := serializer.NewCodecFactory(scheme).CodecForVersions(proto, proto, corev1.SchemeGroupVersion, internal)
	return func(schema.GroupResource) (runtime.Codec, error) { return codec, nil }
}

// newTestBackend starts a Backend, which stops with the test, over an etcd that the test shares between several.
func newTestBackend(tb testing.TB, client *kubernetes.Client, codec func(schema.GroupResource) (runtime.Codec, error)) *Backend {
	tb.Helper()
	b, err := NewBackend(Config{Orphans: true, Client: client, Codec: codec, CompactionInterval: -1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Destroy)
	return b
}

func waitReady(tb testing.TB, b *Backend) {
	tb.Helper()
	var last error
	if err := wait.PollUntilContextTimeout(tb.Context(), 5*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = b.Ready()
		return last == nil, nil
	}); err != nil {
		tb.Fatalf("not ready: %v", last)
	}
}

// store is a storage as stores use it: keys without cluster.
type store struct {
	apistorage.Interface
	root       string
	namespaced bool
	newFunc    func() runtime.Object
	newList    func() runtime.Object
	backend    *Backend
}

func decorate(tb testing.TB, getter generic.RESTOptionsGetter, gr schema.GroupResource, namespaced bool, newFunc, newList func() runtime.Object, attrs apistorage.AttrFunc) *store {
	tb.Helper()
	opts, err := getter.GetRESTOptions(gr, newFunc())
	if err != nil {
		tb.Fatal(err)
	}
	s := &store{root: opts.ResourcePrefix, namespaced: namespaced, newFunc: newFunc, newList: newList}
	keyOf := func(obj runtime.Object) (string, error) {
		return keyFor(s, obj.(metav1.Object)), nil
	}
	switch getter := getter.(type) {
	case typedOptions:
		s.backend = getter.backend
	case customOptions:
		s.backend = getter.backend
	}
	s.Interface, _, err = opts.Decorator(opts.StorageConfig, s.root, keyOf, newFunc, newList, attrs, nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func configMapStore(tb testing.TB, b *Backend) *store {
	return decorate(tb, b.RESTOptionsGetter(), configMaps, true,
		func() runtime.Object { return &corev1.ConfigMap{} }, func() runtime.Object { return &corev1.ConfigMapList{} }, apistorage.DefaultNamespaceScopedAttr)
}

func namespaceStore(tb testing.TB, b *Backend) *store {
	return decorate(tb, b.RESTOptionsGetter(), namespaces, false,
		func() runtime.Object { return &corev1.Namespace{} }, func() runtime.Object { return &corev1.NamespaceList{} }, apistorage.DefaultClusterScopedAttr)
}

func newWidget() runtime.Object {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"})
	return u
}

func newWidgetList() runtime.Object {
	l := &unstructured.UnstructuredList{}
	l.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "WidgetList"})
	return l
}

func widgetStore(tb testing.TB, b *Backend) *store {
	return decorate(tb, b.CustomResources(), widgets, true, newWidget, newWidgetList, widgetAttrs)
}

// widgetAttrs makes spec.color selectable.
func widgetAttrs(obj runtime.Object) (labels.Set, fields.Set, error) {
	l, f, err := apistorage.DefaultNamespaceScopedAttr(obj)
	if err != nil {
		return nil, nil, err
	}
	f["spec.color"], _, err = unstructured.NestedString(obj.(*unstructured.Unstructured).Object, "spec", "color")
	return l, f, err
}

func in(ctx context.Context, cluster string) context.Context {
	return WithBucket(logicalcluster.WithCluster(ctx, logicalcluster.Name(cluster)), LocalBucket)
}

func everywhere(ctx context.Context) context.Context {
	return WithBucket(logicalcluster.WithWildcard(ctx), LocalBucket)
}

func configMap(namespace, name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "00000000-0000-4000-8000-000000000000"}}
}

func widget(namespace, name, color string) *unstructured.Unstructured {
	u := newWidget().(*unstructured.Unstructured)
	u.SetNamespace(namespace)
	u.SetName(name)
	u.SetUID("00000000-0000-4000-8000-000000000000")
	u.Object["spec"] = map[string]any{"color": color}
	return u
}

// key returns a key as a store makes it.
func (s *store) key(parts ...string) string {
	k := s.root
	for _, p := range parts {
		k += "/" + p
	}
	return k
}

func keyFor(s *store, obj metav1.Object) string {
	if s.namespaced {
		return s.key(obj.GetNamespace(), obj.GetName())
	}
	return s.key(obj.GetName())
}

type object interface {
	runtime.Object
	metav1.Object
}

func create(tb testing.TB, ctx context.Context, s *store, obj object) object {
	tb.Helper()
	out := s.newFunc()
	if err := s.Create(ctx, keyFor(s, obj), obj, out, 0); err != nil {
		tb.Fatalf("creating %s/%s: %v", obj.GetNamespace(), obj.GetName(), err)
	}
	return out.(object)
}

func update(tb testing.TB, ctx context.Context, s *store, obj object, change func(object)) object {
	tb.Helper()
	out := s.newFunc()
	if err := s.GuaranteedUpdate(ctx, keyFor(s, obj), out, false, nil, apistorage.SimpleUpdate(func(in runtime.Object) (runtime.Object, error) {
		change(in.(object))
		return in, nil
	}), nil); err != nil {
		tb.Fatalf("updating %s/%s: %v", obj.GetNamespace(), obj.GetName(), err)
	}
	return out.(object)
}

func remove(tb testing.TB, ctx context.Context, s *store, obj metav1.Object) {
	tb.Helper()
	if err := s.Delete(ctx, keyFor(s, obj), s.newFunc(), nil, apistorage.ValidateAllObjectFunc, nil, apistorage.DeleteOptions{}); err != nil {
		tb.Fatalf("deleting %s/%s: %v", obj.GetNamespace(), obj.GetName(), err)
	}
}

func setColor(color string) func(object) {
	return func(o object) { o.(*unstructured.Unstructured).Object["spec"] = map[string]any{"color": color} }
}

// list returns "cluster|namespace/name" of what a list holds, and the list's metadata.
func list(tb testing.TB, ctx context.Context, s *store, key string, opts apistorage.ListOptions) ([]string, metav1.ListInterface) {
	tb.Helper()
	found, accessor, err := tryList(ctx, s, key, opts)
	if err != nil {
		tb.Fatalf("listing %s: %v", key, err)
	}
	return found, accessor
}

func tryList(ctx context.Context, s *store, key string, opts apistorage.ListOptions) ([]string, metav1.ListInterface, error) {
	if opts.Predicate.Label == nil {
		opts.Predicate.Label = labels.Everything()
	}
	if opts.Predicate.Field == nil {
		opts.Predicate.Field = fields.Everything()
	}
	out := s.newList()
	if err := s.GetList(ctx, key, opts, out); err != nil {
		return nil, nil, err
	}
	found := []string{}
	if err := eachItem(out, func(o object) { found = append(found, id(o)) }); err != nil {
		return nil, nil, err
	}
	return found, out.(metav1.ListInterface), nil
}

func eachItem(list runtime.Object, fn func(object)) error {
	switch l := list.(type) {
	case *unstructured.UnstructuredList:
		for i := range l.Items {
			fn(&l.Items[i])
		}
	case *corev1.ConfigMapList:
		for i := range l.Items {
			fn(&l.Items[i])
		}
	case *corev1.NamespaceList:
		for i := range l.Items {
			fn(&l.Items[i])
		}
	default:
		return fmt.Errorf("unknown list %T", list)
	}
	return nil
}

func id(o metav1.Object) string {
	return fmt.Sprintf("%s|%s/%s", logicalcluster.From(o), o.GetNamespace(), o.GetName())
}

var recursive = apistorage.ListOptions{Recursive: true}

// selecting returns options with a field selector.
func selecting(tb testing.TB, selector string, attrs apistorage.AttrFunc) apistorage.ListOptions {
	tb.Helper()
	f, err := fields.ParseSelector(selector)
	if err != nil {
		tb.Fatal(err)
	}
	return apistorage.ListOptions{Recursive: true, Predicate: apistorage.SelectionPredicate{Label: labels.Everything(), Field: f, GetAttrs: attrs}}
}

// next returns the next event that is no bookmark, its object out of the cache's wrapping.
func next(tb testing.TB, w watch.Interface) watch.Event {
	tb.Helper()
	for {
		event := nextAny(tb, w)
		if event.Type != watch.Bookmark {
			return event
		}
	}
}

func nextAny(tb testing.TB, w watch.Interface) watch.Event {
	tb.Helper()
	select {
	case event, ok := <-w.ResultChan():
		if !ok {
			tb.Fatal("the watch ended")
		}
		if c, ok := event.Object.(runtime.CacheableObject); ok {
			event.Object = c.GetObject()
		}
		return event
	case <-time.After(patience):
		tb.Fatal("no event")
	}
	return watch.Event{}
}

// said returns an event as text: type and id, and for errors the message.
func said(event watch.Event) string {
	if status, ok := event.Object.(*metav1.Status); ok {
		return fmt.Sprintf("%s %s", event.Type, status.Reason)
	}
	return fmt.Sprintf("%s %s", event.Type, id(event.Object.(metav1.Object)))
}

func expect(tb testing.TB, w watch.Interface, want ...string) {
	tb.Helper()
	for _, want := range want {
		if got := said(next(tb, w)); got != want {
			tb.Fatalf("event %q, want %q", got, want)
		}
	}
}

func startWatch(tb testing.TB, ctx context.Context, s *store, key string, opts apistorage.ListOptions) watch.Interface {
	tb.Helper()
	w, err := s.Watch(ctx, key, opts)
	if err != nil {
		tb.Fatalf("watching %s: %v", key, err)
	}
	tb.Cleanup(w.Stop)
	return w
}

var starting sync.Mutex

// runEtcd starts an etcd of its own. The client closes before it, as etcd waits for open streams.
func runEtcd(tb testing.TB) *kubernetes.Client {
	tb.Helper()
	starting.Lock() // until it listens on ports that were free a moment before
	defer starting.Unlock()
	config := testserver.NewTestConfig(tb)
	config.TickMs, config.ElectionMs = 10, 100 // it is elected after some ticks; by default it takes half a second
	client := testserver.RunEtcd(tb, config)
	tb.Cleanup(func() { _ = client.Close() })
	return client
}
