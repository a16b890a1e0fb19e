package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
)

// counting counts what is read of etcd; a transaction counts as a read.
type counting struct {
	clientv3.KV
	reads *atomic.Int64
}

func (c counting) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	c.reads.Add(1)
	return c.KV.Get(ctx, key, opts...)
}

func (c counting) Txn(ctx context.Context) clientv3.Txn {
	c.reads.Add(1)
	return c.KV.Txn(ctx)
}

func headNames(t *testing.T, b *Backend, scope HeadScope) []string {
	t.Helper()
	heads, err := b.Heads(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, h := range heads {
		names = append(names, fmt.Sprintf("%s %s %s|%s/%s", h.Resource, h.Bucket, h.Cluster, h.Namespace, h.Name))
	}
	return names
}

func TestHeads_TypedAndCustomOfAScope(t *testing.T) {
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	typed, cluster, custom := configMapStore(t, b), namespaceStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	for _, in := range []context.Context{in(t.Context(), "c1"), in(t.Context(), "c2")} {
		create(t, in, typed, configMap("default", "a"))
		create(t, in, typed, configMap("other", "a"))
		create(t, in, cluster, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", UID: "uid"}})
		create(t, in, custom, widget("default", "a", "red"))
	}
	c1 := []string{
		"configmaps  c1|default/a", "configmaps  c1|other/a", "namespaces  c1|/default", "widgets.example.com crd c1|default/a",
	}
	for name, tt := range map[string]struct {
		scope HeadScope
		want  []string
	}{
		"a cluster":   {HeadScope{Cluster: "c1"}, c1},
		"a namespace": {HeadScope{Cluster: "c1", Namespace: "default"}, []string{c1[0], c1[3]}},
		"a resource":  {HeadScope{Cluster: "c1", Wanted: func(gr schema.GroupResource, bucket string) bool { return gr == configMaps && bucket == "" }}, c1[:2]},
		"a bucket":    {HeadScope{Cluster: "c1", Wanted: func(_ schema.GroupResource, bucket string) bool { return bucket == LocalBucket }}, c1[3:]},
		"nothing":     {HeadScope{Cluster: "c3"}, nil},
	} {
		if got := headNames(t, b, tt.scope); !slices.Equal(got, tt.want) {
			t.Errorf("%s holds %q, want %q", name, got, tt.want)
		}
	}
	if got := headNames(t, b, HeadScope{}); len(got) != 2*len(c1) {
		t.Errorf("everything is %q", got)
	}
	for _, scope := range []HeadScope{{Namespace: "default"}, {Cluster: "c1/"}, {Cluster: "c1", Namespace: "a/b"}} {
		if _, err := b.Heads(t.Context(), scope); err == nil {
			t.Errorf("%+v is a scope", scope)
		}
	}
	var cached []string
	heads, err := b.Cached(t.Context(), configMaps, "c1")
	for _, h := range heads {
		cached = append(cached, string(h.Cluster)+"|"+h.Namespace+"/"+h.Name)
	}
	if want := []string{"c1|default/a", "c1|other/a"}; err != nil || !slices.Equal(cached, want) {
		t.Errorf("cached is %q, %v; want %q", cached, err, want)
	}
	for cluster, resource := range map[logicalcluster.Name]schema.GroupResource{"": configMaps, "c1/": configMaps, "c1": {Resource: "secrets"}} {
		if heads, err := b.Cached(t.Context(), resource, cluster); err == nil {
			t.Errorf("%s are cached in %q: %v", resource, cluster, heads)
		}
	}
}

// However many kinds others make, a look at one cluster reads only those that it stores, and etcd once.
func TestHeads_ReadOnlyTheKindsThatTheClusterStores(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	const kinds = 300
	for i := range kinds {
		ctx := WithBucket(in(t.Context(), fmt.Sprint("tenant", i)), fmt.Sprint("bucket", i))
		create(t, ctx, s, widget("default", "w", "red"))
	}
	create(t, in(t.Context(), "c1"), s, widget("default", "mine", "red"))
	for range 2 { // the first one may have to find out what is in etcd
		if n, err := b.Purge(t.Context(), "c2"); err != nil || n != 0 {
			t.Fatalf("purged %d, %v", n, err)
		}
	}
	reads := &atomic.Int64{}
	client.KV = counting{client.KV, reads}
	if got := headNames(t, b, HeadScope{Cluster: "c1"}); !slices.Equal(got, []string{"widgets.example.com crd c1|default/mine"}) {
		t.Errorf("c1 holds %q", got)
	}
	if n := reads.Load(); n != 1 {
		t.Errorf("a look at a cluster takes %d reads of etcd, want 1", n)
	}
	if n, err := b.Purge(t.Context(), "c2"); err != nil || n != 0 || reads.Load() != 3 {
		t.Errorf("a purge of nothing deletes %d keys with %d requests to etcd, want one that reads, and one for the meter: %v", n, reads.Load()-1, err)
	}
	// Two clusters may share a bit.
	if n := len(b.parts(HeadScope{Cluster: "c1"})); n < 1 || n > 3 {
		t.Errorf("a look at a cluster that stores one kind reads %d", n)
	}
	if n := len(b.parts(HeadScope{})); n != kinds+1 {
		t.Errorf("a look at everything reads %d kinds of %d", n, kinds+1)
	}
}

func TestContents_AreWhatIsStored(t *testing.T) {
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	typed, custom := configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	for _, ctx := range []context.Context{in(t.Context(), "c1"), in(t.Context(), "c2"), WithBucket(in(t.Context(), "c1"), "other")} {
		create(t, ctx, custom, widget("default", "a", "red"))
	}
	create(t, in(t.Context(), "c1"), typed, configMap("default", "a"))
	contents := func(scope HeadScope) (found []string, err error) {
		err = b.Contents(t.Context(), scope, func(h head.Head, data []byte) error {
			if !strings.Contains(string(data), `"color":"red"`) {
				t.Errorf("%s has the bytes %s", h.Name, data)
			}
			found = append(found, fmt.Sprintf("%s %s|%s/%s", h.Bucket, h.Cluster, h.Namespace, h.Name))
			return nil
		})
		return found, err
	}
	other := func(_ schema.GroupResource, bucket string) bool { return bucket == "other" }
	for _, tt := range []struct {
		scope HeadScope
		want  []string
	}{
		{HeadScope{Cluster: "c1"}, []string{"crd c1|default/a", "other c1|default/a"}},
		{HeadScope{Cluster: "c1", Wanted: other}, []string{"other c1|default/a"}},
		{HeadScope{Cluster: "c2", Wanted: other}, nil},
		{HeadScope{}, []string{"crd c1|default/a", "crd c2|default/a", "other c1|default/a"}},
	} {
		if got, err := contents(tt.scope); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%v has %q, %v; want %q", tt.scope, got, err, tt.want)
		}
	}
	if _, err := contents(HeadScope{Namespace: "default"}); err == nil {
		t.Error("a namespace without a cluster is no error")
	}
	ended := errors.New("ended")
	visits := 0
	if err := b.Contents(t.Context(), HeadScope{}, func(head.Head, []byte) error { visits++; return ended }); !errors.Is(err, ended) || visits != 1 {
		t.Errorf("%d visits, %v", visits, err)
	}
}
