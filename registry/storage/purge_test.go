package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

// keysOf returns every key of a cluster that etcd has.
func keysOf(t *testing.T, client *kubernetes.Client, cluster logicalcluster.Name) []string {
	t.Helper()
	resp, err := client.KV.Get(t.Context(), DefaultPrefix+"/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, kv := range resp.Kvs {
		if k, err := layout.Parse(strings.TrimPrefix(string(kv.Key), DefaultPrefix)); err == nil && k.Cluster == cluster {
			keys = append(keys, string(kv.Key))
		}
	}
	return keys
}

func TestPurge_TakesEveryKeyOfTheClusterAndNoOther(t *testing.T) {
	client := runEtcd(t)
	before := newTestBackend(t, client, coreCodec(t))
	for _, s := range []*store{configMapStore(t, before), namespaceStore(t, before), widgetStore(t, before)} {
		for _, cluster := range []string{"c1", "c11", "c2"} {
			for i := range 3 {
				obj := object(configMap("default", fmt.Sprint("n", i)))
				if s.root == layout.CustomResourceRoot(widgets) {
					obj = widget("default", fmt.Sprint("n", i), "red")
				} else if !s.namespaced {
					continue
				}
				create(t, in(t.Context(), cluster), s, obj)
			}
		}
	}
	exported := widgetStore(t, before)
	create(t, WithBucket(in(t.Context(), "c1"), "identity"), exported, widget("default", "x", "red"))
	before.Destroy()

	// A store that this process never made, as of a resource that a later version dropped, counts too.
	b := newTestBackend(t, client, coreCodec(t))
	custom := widgetStore(t, b)
	waitReady(t, b)
	// As does what another replica wrote an instant ago, in a bucket that was never seen.
	create(t, WithBucket(in(t.Context(), "c1"), "new"), custom, widget("default", "x", "red"))

	// A meter is no object, nor is what quotas limit, nor a version that is retired.
	for _, cluster := range []logicalcluster.Name{"c1", "c2"} {
		for _, k := range []layout.Key{owners.MeterKey(cluster), owners.HardKey(cluster, "default"), owners.RetiredKey(layout.Key{Resource: widgets, Bucket: "crd", Cluster: cluster}, "v1")} {
			if _, err := client.KV.Put(t.Context(), DefaultPrefix+k.String(), "{}"); err != nil {
				t.Fatal(err)
			}
		}
	}

	count := func(cluster logicalcluster.Name) int { return len(keysOf(t, client, cluster)) }
	if got := count("c1"); got != 11 {
		t.Errorf("c1 has %d keys, want 11", got)
	}
	start, err := client.KV.Get(t.Context(), "/annex/")
	if err != nil {
		t.Fatal(err)
	}
	n, err := b.Purge(t.Context(), "c1")
	if err != nil || n != 8 {
		t.Errorf("purging c1: %d keys, %v; want 8", n, err)
	}
	if got := count("c1"); got != 0 {
		t.Errorf("c1 has %d keys after it was purged", got)
	}
	for cluster, want := range map[logicalcluster.Name]int{"c2": 9, "c11": 6} {
		if got := count(cluster); got != want {
			t.Errorf("%s has %d keys, want %d", cluster, got, want)
		}
	}
	end, err := client.KV.Get(t.Context(), "/annex/", clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	if got := end.Header.Revision - start.Header.Revision; got != 9 {
		t.Errorf("11 keys went in %d revisions: one must never hold two", got)
	}
	if n, err := b.Purge(t.Context(), "c1"); err != nil || n != 0 {
		t.Errorf("purging again: %d keys, %v", n, err)
	}
	for _, cluster := range []logicalcluster.Name{"c1/", ""} {
		if _, err := b.Purge(t.Context(), cluster); err == nil {
			t.Errorf("cluster %q was purged", cluster)
		}
	}
}

// failingKV refuses to delete one key.
type failingKV struct {
	clientv3.KV
	key string
}

func (f failingKV) Delete(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.DeleteResponse, error) {
	if key == f.key {
		return nil, errors.New("no")
	}
	return f.KV.Delete(ctx, key, opts...)
}

// Whoever sees to the deletion of a cluster begins anew with its LogicalCluster: without it the rest would stay for good.
func TestPurge_LeavesTheLogicalClusterWhileAnythingElseStays(t *testing.T) {
	client := runEtcd(t)
	const lc, held = "/annex/core.kcp.io/logicalclusters/c1/cluster", "/annex/zzz/things/c1/held"
	kv := client.KV
	for _, key := range []string{lc, held, "/annex/core/configmaps/c1/default/x"} {
		if _, err := kv.Put(t.Context(), key, "{}"); err != nil {
			t.Fatal(err)
		}
	}
	b := newTestBackend(t, client, coreCodec(t))
	waitReady(t, b)
	client.KV = failingKV{kv, held}
	if _, err := b.Purge(t.Context(), "c1"); err == nil {
		t.Error("a key that stays is no error")
	}
	if resp, err := kv.Get(t.Context(), lc); err != nil || resp.Count != 1 {
		t.Errorf("the LogicalCluster is gone: %v, %v", resp, err)
	}
	client.KV = kv
	if _, err := b.Purge(t.Context(), "c1"); err != nil {
		t.Error(err)
	}
	if left := keysOf(t, client, "c1"); len(left) != 0 {
		t.Errorf("these keys stay: %q", left)
	}
}

func TestHeads_OfCustomResourcesNeedNoSchema(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	ctx := t.Context()
	held := widget("default", "held", "red")
	held.SetFinalizers([]string{"example.com/hold"})
	held.SetLabels(map[string]string{"a": "b"})
	held.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "o", UID: "u"}})
	stamp := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	held.SetDeletionTimestamp(&stamp)
	created := create(t, in(ctx, "c1"), s, held)
	create(t, WithBucket(in(ctx, "c1"), "identity"), s, widget("other", "plain", "red"))
	create(t, in(ctx, "c2"), s, widget("default", "foreign", "red"))
	create(t, in(ctx, "c1"), s, widget("default2", "near", "red"))
	if _, err := client.KV.Put(ctx, "/annex/cr/8/example.com/widgets/crd/c1/default/damaged", "{not json"); err != nil {
		t.Fatal(err)
	}

	names := func(namespace string) []string {
		t.Helper()
		found, err := b.Heads(ctx, HeadScope{Cluster: "c1", Namespace: namespace})
		if err != nil {
			t.Fatal(err)
		}
		all := []string{}
		for _, o := range found {
			all = append(all, fmt.Sprintf("%s %s %s/%s damaged=%v", o.Resource, o.Bucket, o.Namespace, o.Name, o.Damaged))
		}
		slices.Sort(all)
		return all
	}
	want := []string{
		"widgets.example.com crd default/damaged damaged=true",
		"widgets.example.com crd default/held damaged=false",
		"widgets.example.com crd default2/near damaged=false",
		"widgets.example.com identity other/plain damaged=false",
	}
	if got := names(""); !slices.Equal(got, want) {
		t.Errorf("c1 holds %q, want %q", got, want)
	}
	if got := names("default"); !slices.Equal(got, want[:2]) {
		t.Errorf("default of c1 holds %q, want %q", got, want[:2])
	}
	found, err := b.Heads(ctx, HeadScope{Cluster: "c1", Namespace: "default"})
	if err != nil {
		t.Fatal(err)
	}
	known := found[slices.IndexFunc(found, func(o head.Head) bool { return o.Name == "held" })]
	if !slices.Equal(known.Finalizers, held.GetFinalizers()) || known.Labels["a"] != "b" || known.UID != held.GetUID() ||
		known.ResourceVersion != created.GetResourceVersion() || !known.DeletionTimestamp.Equal(&stamp) ||
		len(known.OwnerReferences) != 1 || known.OwnerReferences[0].UID != "u" || known.Cluster != "c1" {
		t.Errorf("the head is %+v", known)
	}

	// The damaged object is nobody's problem but its own resource's in its own cluster.
	if _, _, err := tryList(in(ctx, "c1"), s, s.root, recursive); err == nil {
		t.Error("a list with a damaged object says nothing of it")
	}
	if got, _ := list(t, in(ctx, "c2"), s, s.root, recursive); len(got) != 1 {
		t.Errorf("c2 holds %v", got)
	}
	b.Destroy()
	b = newTestBackend(t, client, coreCodec(t))
	waitReady(t, b)
	if n, err := b.Purge(ctx, "c1"); err != nil || n != 4 {
		t.Errorf("purged %d keys, %v; want 4", n, err)
	}
}

func TestErrors_AreForClients(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s, custom := configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	ctx := in(t.Context(), "c1")
	big := string(make([]byte, 2<<20))
	fat := configMap("default", "fat")
	fat.BinaryData = map[string][]byte{"x": []byte(big)}
	if err := s.Create(ctx, keyFor(s, fat), fat, s.newFunc(), 0); !apierrors.IsRequestEntityTooLargeError(err) {
		t.Errorf("creating an object of 2 MiB: %v", err)
	}
	fatter := widget("default", "fat", string(slices.Repeat([]byte("x"), 2<<20)))
	if err := custom.Create(ctx, keyFor(custom, fatter), fatter, custom.newFunc(), 0); !apierrors.IsRequestEntityTooLargeError(err) {
		t.Errorf("creating a custom resource of 2 MiB: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, time.Nanosecond)
	defer cancel()
	<-short.Done()
	if err := s.Get(short, s.key("default", "a"), apistorage.GetOptions{}, s.newFunc()); !apierrors.IsTimeout(err) {
		t.Errorf("getting without time: %v", err)
	}
}

func TestBackend_RefusesConfigThatCannotWork(t *testing.T) {
	client := runEtcd(t)
	codec := coreCodec(t)
	for name, config := range map[string]Config{
		"no client":      {Codec: codec},
		"no codec":       {Client: client},
		"no slash":       {Client: client, Codec: codec, Prefix: "annex"},
		"slash at end":   {Client: client, Codec: codec, Prefix: "/annex/"},
		"little history": {Client: client, Codec: codec, EventsHistoryWindow: time.Second},
	} {
		if b, err := NewBackend(config); err == nil {
			b.Destroy()
			t.Errorf("%s: no error", name)
		}
	}
	b := newTestBackend(t, client, codec)
	waitReady(t, b)
	b.Destroy()
	b.Destroy()
	if err := b.Ready(); err == nil {
		t.Error("a backend that was destroyed is ready")
	}
	opts, err := b.RESTOptionsGetter().GetRESTOptions(configMaps, &corev1.ConfigMap{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := opts.Decorator(opts.StorageConfig, opts.ResourcePrefix, nil, func() runtime.Object { return &corev1.ConfigMap{} },
		func() runtime.Object { return &corev1.ConfigMapList{} }, apistorage.DefaultNamespaceScopedAttr, nil, nil); err == nil {
		t.Error("a backend that was destroyed starts a cache")
	}
}
