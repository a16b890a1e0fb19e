package storage

import (
	"bytes"
	"context"
	"errors"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/apis/example"
	examplev1 "k8s.io/apiserver/pkg/apis/example/v1"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
	"github.com/annex-dev/annex/registry/storage/watchcache"
)

// shim lets upstream's tests run on the workspace storage: they use bare contexts, keys of their own, and compare with
// objects that carry no cluster. It adds a cluster, changes the first segment of keys, and hides the annotation. Nothing
// else is changed.
type shim struct {
	apistorage.Interface
	shimOf
	t      testing.TB
	client *kubernetes.Client
	// caches are what Compaction waits for.
	caches     apistorage.Interface
	root       string
	codec      runtime.Codec
	withoutTTL bool
	renames    bool                             // a write may have another name than its key, which is kept in a label instead
	moved      map[string]string                // other keys that are meant
	failing    atomic.Bool                      // what is stored cannot be decoded
	below      atomic.Pointer[transformerBelow] // between the guard and etcd
	namespaces sync.Map                         // that exist
}

// shimOf says on what upstream's tests run.
type shimOf struct {
	custom   bool // custom resources
	filtered bool // by a filter that shows everything
	owned    bool // objects belong to a LogicalCluster with limits, a namespace and a definition, as in a server
	wildcard bool // lists and watches are for all clusters

	clusterScoped bool // keys hold no namespace
	transformed   bool // stored bytes have a prefix
}

func (of shimOf) String() string {
	name := map[bool]string{false: "typed", true: "custom"}[of.custom]
	for _, part := range []struct {
		name string
		is   bool
	}{{"with a filter", of.filtered}, {"with owners", of.owned}, {"over all clusters", of.wildcard}} {
		if part.is {
			name += " " + part.name
		}
	}
	return name
}

const (
	shimPods    = "/pods"
	shimCluster = "c1"
)

func (s *shim) ctx(ctx context.Context) context.Context {
	ctx = in(ctx, shimCluster)
	if s.filtered {
		ctx = WithFilter(ctx, showing(func(head.Head) bool { return true }))
	}
	if s.owned {
		ctx = WithOwner(ctx, shimDefinition)
	}
	return ctx
}

// many is the context of lists and watches.
func (s *shim) many(ctx context.Context) context.Context {
	ctx = s.ctx(ctx)
	if s.wildcard {
		return logicalcluster.WithWildcard(ctx)
	}
	return ctx
}

func (s *shim) key(key string) string {
	if meant, ok := s.moved[key]; ok {
		key = meant
	}
	rest, ok := strings.CutPrefix(key, shimPods)
	if !ok {
		return key
	}
	if s.clusterScoped { // upstream has objects without a namespace below an empty one
		rest = strings.Replace(rest, "//", "/", 1)
	}
	return s.root + rest
}

var shimDefinition = owners.Owner{Resource: owners.Definitions, Name: "pods.example.com", UID: "definition"}

// shimNamespaces are there from the beginning.
var shimNamespaces = []string{"default", "first", "ns", "ns1", "ns2", "paging", "second", "test", "test-ns", "third"}

// makeOwners stores what objects in s belong to.
func (s *shim) makeOwners(t *testing.T) {
	t.Helper()
	s.put(t.Context(), t, owners.ClusterKey(shimCluster), "cluster")
	s.put(t.Context(), t, layout.Key{Resource: shimDefinition.Resource, Cluster: shimCluster, Name: shimDefinition.Name}, string(shimDefinition.UID))
	for _, name := range shimNamespaces {
		s.makeNamespace(t.Context(), t, name)
	}
}

// makeNamespace does nothing if the namespace exists.
func (s *shim) makeNamespace(ctx context.Context, t testing.TB, name string) {
	if _, there := s.namespaces.LoadOrStore(name, true); !there && name != "" {
		s.put(ctx, t, owners.NamespaceKey(shimCluster, name), "namespace-"+name)
	}
}

func (s *shim) put(ctx context.Context, t testing.TB, k layout.Key, uid string) {
	t.Helper()
	if _, err := s.client.KV.Put(ctx, DefaultPrefix+k.String(), `{"metadata":{"uid":"`+uid+`"}}`); err != nil {
		t.Fatal(err)
	}
}

// transformerBelow transforms what the guard writes, and what it reads.
type transformerBelow struct{ value.Transformer }

// around is a transformer that consists of the guard and what is below it.
type around struct {
	guard value.Transformer
	s     *shim
}

func (a around) TransformFromStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	data, stale, err := a.s.below.Load().TransformFromStorage(ctx, data, dataCtx)
	if err != nil {
		return nil, false, err
	}
	data, guardStale, err := a.guard.TransformFromStorage(ctx, data, dataCtx)
	return data, stale || guardStale, err
}

func (a around) TransformToStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, error) {
	data, err := a.guard.TransformToStorage(ctx, data, dataCtx)
	if err != nil {
		return nil, err
	}
	return a.s.below.Load().TransformToStorage(ctx, data, dataCtx)
}

// UpdatePrefixTransformer implements storagetesting.InterfaceWithPrefixTransformer.
func (s *shim) UpdatePrefixTransformer(modify storagetesting.PrefixTransformerModifier) func() {
	before := s.below.Load()
	changed := *before.Transformer.(*storagetesting.PrefixTransformer)
	s.below.Store(&transformerBelow{modify(&changed)})
	return func() { s.below.Store(before) }
}

// failingCodec fails to decode while the shim says so.
type failingCodec struct {
	runtime.Codec
	failing *atomic.Bool
}

func (c failingCodec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if c.failing.Load() {
		return nil, nil, errors.New("this test does not decode")
	}
	return c.Codec.Decode(data, defaults, into)
}

// checkStored checks what etcd has under a key: an object that says nothing that its key and revision say.
func (s *shim) checkStored(ctx context.Context, t *testing.T, key string) {
	t.Helper()
	base := strings.TrimSuffix(s.root, "/")
	if s.custom {
		base += "/" + LocalBucket
	}
	resp, err := s.client.KV.Get(ctx, DefaultPrefix+base+"/"+shimCluster+strings.TrimPrefix(s.key(key), s.root))
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Kvs) != 1 {
		t.Fatalf("%d objects are stored under %s", len(resp.Kvs), key)
	}
	obj, _, err := s.codec.Decode(bytes.TrimPrefix(resp.Kvs[0].Value, []byte(shimPrefix)), nil, nil)
	if err != nil {
		t.Fatalf("decoding what is stored under %s: %v", key, err)
	}
	if pod := obj.(*example.Pod); pod.ResourceVersion != "" || pod.Name == "" {
		t.Errorf("stored under %s: name %q and resourceVersion %q", key, pod.Name, pod.ResourceVersion)
	}
}

// shimPrefix is what stored bytes begin with if they are transformed.
const shimPrefix = "test!"

// Create outlives the deadline of its test: one of upstream's writes 100 objects within the 3 seconds that its watch has, and
// fails on a busy machine for the write that the deadline meets. It returns when the cache has the object, as another of
// upstream's tests gives the event 150 milliseconds to arrive.
func (s *shim) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	ctx = s.ctx(context.WithoutCancel(ctx))
	if accessor, err := meta.Accessor(obj); err == nil && s.owned && !s.clusterScoped {
		s.makeNamespace(ctx, s.t, accessor.GetNamespace())
	}
	err := s.Interface.Create(ctx, s.key(key), obj, out, ttl)
	if created, accessErr := meta.Accessor(out); err == nil && accessErr == nil {
		fresh := apistorage.GetOptions{ResourceVersion: created.GetResourceVersion(), IgnoreNotFound: true}
		err = s.Interface.Get(ctx, s.key(key), fresh, &example.Pod{})
	}
	return hide(err, obj, out)
}

func (s *shim) Delete(ctx context.Context, key string, out runtime.Object, preconditions *apistorage.Preconditions,
	validate apistorage.ValidateObjectFunc, cached runtime.Object, opts apistorage.DeleteOptions) error {
	err := s.Interface.Delete(s.ctx(ctx), s.key(key), out, preconditions, validate, cached, opts)
	return hide(err, out)
}

func (s *shim) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool,
	preconditions *apistorage.Preconditions, try apistorage.UpdateFunc, cached runtime.Object) error {
	hiding := func(input runtime.Object, res apistorage.ResponseMeta) (runtime.Object, *uint64, error) {
		if err := hide(nil, input); err != nil {
			return nil, nil, err
		}
		output, ttl, err := try(input.DeepCopyObject(), res)
		if err != nil {
			return nil, nil, err
		}
		if pod, ok := output.(*example.Pod); ok && s.renames && pod.Name != path.Base(key) {
			pod.Labels = map[string]string{"renamed": pod.Name}
			pod.Name = path.Base(key)
		}
		if accessor, err := meta.Accessor(output); err == nil && s.owned && !s.clusterScoped {
			s.makeNamespace(ctx, s.t, accessor.GetNamespace())
		}
		if s.withoutTTL {
			ttl = nil
		}
		return output.DeepCopyObject(), ttl, nil
	}
	err := s.Interface.GuaranteedUpdate(s.ctx(ctx), s.key(key), out, ignoreNotFound, preconditions, hiding, cached)
	return hide(err, out)
}

func (s *shim) Get(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error {
	return hide(s.Interface.Get(s.ctx(ctx), s.key(key), opts, out), out)
}

func (s *shim) GetList(ctx context.Context, key string, opts apistorage.ListOptions, list runtime.Object) error {
	err := s.Interface.GetList(s.many(ctx), s.key(key), opts, list)
	pods, ok := list.(*example.PodList)
	if !ok {
		return err
	}
	for i := range pods.Items {
		if err := hide(err, &pods.Items[i]); err != nil {
			return err
		}
	}
	return err
}

// patient is the context of a watch that upstream gives 3 seconds, in which a bookmark must come: one is sent with two seconds
// left. It lasts until the bookmark has come.
type patient struct{ context.Context }

// Deadline makes the bookmark due soon.
func (patient) Deadline() (time.Time, bool) { return time.Now().Add(2500 * time.Millisecond), true }

// newPatient returns the context, and what is called when the bookmark has come.
func newPatient(ctx context.Context) (context.Context, func()) {
	longer, end := context.WithTimeout(context.WithoutCancel(ctx), patience)
	come, here := context.WithCancel(longer)
	go func() {
		<-ctx.Done()
		<-come.Done()
		end()
	}()
	return patient{longer}, here
}

func (s *shim) Watch(ctx context.Context, key string, opts apistorage.ListOptions) (watch.Interface, error) {
	bookmarkHere := func() {}
	if _, limited := ctx.Deadline(); limited && opts.Predicate.AllowWatchBookmarks {
		ctx, bookmarkHere = newPatient(ctx)
	}
	w, err := s.Interface.Watch(s.many(ctx), s.key(key), opts)
	if err != nil {
		return nil, err
	}
	return watch.Filter(w, func(event watch.Event) (watch.Event, bool) {
		if event.Type == watch.Bookmark {
			bookmarkHere()
		}
		if c, ok := event.Object.(runtime.CacheableObject); ok {
			event.Object = c.GetObject()
		}
		_ = hide(nil, event.Object) // a Status has no metadata to hide
		return event, true
	}), nil
}

// hide removes the cluster annotation, without touching a map that caches may hold.
func hide(err error, objects ...runtime.Object) error {
	for _, obj := range objects {
		accessor, accessErr := meta.Accessor(obj)
		if obj == nil || accessErr != nil {
			continue
		}
		var rest map[string]string
		for k, v := range accessor.GetAnnotations() {
			if k != logicalcluster.AnnotationKey {
				if rest == nil {
					rest = map[string]string{}
				}
				rest[k] = v
			}
		}
		accessor.SetAnnotations(rest)
	}
	return err
}

// compact compacts etcd and waits until the caches have seen it.
func (s *shim) compact(ctx context.Context, t *testing.T, resourceVersion string) {
	t.Helper()
	rv, err := strconv.ParseInt(resourceVersion, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for version, compacted := int64(0), int64(0); compacted < rv; {
		if version, _, compacted, err = etcd3.Compact(ctx, s.client.Client, version, rv); err != nil {
			t.Fatal(err)
		}
	}
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return s.caches.CompactRevision() >= rv, nil
	}); err != nil {
		t.Fatalf("compaction of %d was not seen, but %d: %v", rv, s.caches.CompactRevision(), err)
	}
}

func (s *shim) increaseRV(ctx context.Context, t *testing.T) int64 {
	t.Helper()
	resp, err := s.client.KV.Put(ctx, "increaseRV", "ok")
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Revision
}

func (s *shim) recorder() *storagetesting.KubernetesRecorder {
	return s.client.Kubernetes.(*storagetesting.KubernetesRecorder)
}

func podCodec(tb testing.TB, asJSON bool) runtime.Codec {
	tb.Helper()
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, metav1.SchemeGroupVersion)
	for _, add := range []func(*runtime.Scheme) error{example.AddToScheme, examplev1.AddToScheme} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	codecs := serializer.NewCodecFactory(scheme)
	if asJSON {
		return codecs.LegacyCodec(examplev1.SchemeGroupVersion)
	}
	proto := protobuf.NewSerializer(scheme, scheme)
	return codecs.CodecForVersions(proto, proto, examplev1.SchemeGroupVersion, nil)
}

func podAttrs(obj runtime.Object) (labels.Set, fields.Set, error) {
	pod := obj.(*example.Pod)
	return pod.Labels, fields.Set{
		"metadata.name":      pod.Name,
		"metadata.namespace": pod.Namespace,
		"spec.nodeName":      pod.Spec.NodeName,
		"spec.restartPolicy": string(pod.Spec.RestartPolicy),
		"status.phase":       string(pod.Status.Phase),
	}, nil
}

// inVersion says in which version custom resources are stored, as what is above a storage does.
type inVersion struct{ apistorage.Interface }

// Create implements storage.Interface.
func (i inVersion) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	return i.Interface.Create(WithVersion(ctx, "v1"), key, obj, out, ttl)
}

// GuaranteedUpdate implements storage.Interface.
func (i inVersion) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool, preconditions *apistorage.Preconditions,
	try apistorage.UpdateFunc, cached runtime.Object) error {
	return i.Interface.GuaranteedUpdate(WithVersion(ctx, "v1"), key, destination, ignoreNotFound, preconditions, try, cached)
}

// newShim returns a storage of pods.
func newShim(t *testing.T, of shimOf) *shim {
	t.Helper()
	s := &shim{shimOf: of, t: t, client: runEtcd(t), codec: podCodec(t, of.custom)}
	codec := failingCodec{Codec: s.codec, failing: &s.failing}
	config := Config{
		Orphans: !of.owned, Client: s.client, Codec: func(schema.GroupResource) (runtime.Codec, error) { return codec, nil }, CompactionInterval: -1,
		Limits: limits.Limits{Objects: 1 << 20, Bytes: 1 << 30},
	}
	b, err := newBackend(config, func(c *watchcache.Config) {
		if of.transformed {
			s.below.Store(&transformerBelow{storagetesting.NewPrefixTransformer([]byte(shimPrefix), false)})
			c.Transform = func(guard value.Transformer) value.Transformer { return around{guard: guard, s: s} }
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Destroy)
	gr := schema.GroupResource{Resource: "pods"}
	getter := b.RESTOptionsGetter()
	if of.custom {
		gr.Group, getter = "example.com", b.CustomResources()
	}
	opts, err := getter.GetRESTOptions(gr, &example.Pod{})
	if err != nil {
		t.Fatal(err)
	}
	if of.custom {
		opts.StorageConfig.Codec = codec
	}
	s.root = opts.ResourcePrefix
	keyOf := func(obj runtime.Object) (string, error) {
		pod := obj.(*example.Pod)
		if !of.clusterScoped {
			return s.root + "/" + pod.Namespace + "/" + pod.Name, nil
		}
		return s.root + "/" + pod.Name, nil
	}
	s.Interface, _, err = opts.Decorator(opts.StorageConfig, s.root, keyOf,
		func() runtime.Object { return &example.Pod{} }, func() runtime.Object { return &example.PodList{} }, podAttrs, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.caches = s.Interface
	if of.custom {
		s.Interface = inVersion{s.Interface}
	}
	waitReady(t, b)
	if of.owned { // after the caches are filled: watches begin at the first revision
		s.makeOwners(t)
	}
	return s
}
