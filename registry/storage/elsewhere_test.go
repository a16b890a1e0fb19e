package storage

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

// apart is a Backend over three etcds: the main one, one with configmaps, and one with widgets.
type apart struct {
	*Backend
	t                               *testing.T
	etcds                           [3]*kubernetes.Client
	namespaces, configMaps, widgets *store
}

func startApart(t *testing.T, etcds [3]*kubernetes.Client) *apart {
	t.Helper()
	b, err := NewBackend(Config{Client: etcds[0], Codec: coreCodec(t), CompactionInterval: -1, Elsewhere: []Elsewhere{
		{Client: etcds[1], Roots: []string{layout.TypedRoot(configMaps)}},
		{Client: etcds[2], Roots: []string{layout.ShardRoot(layout.ShardOf(widgets))}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Destroy)
	a := &apart{Backend: b, t: t, etcds: etcds, namespaces: namespaceStore(t, b), configMaps: configMapStore(t, b), widgets: widgetStore(t, b)}
	waitReady(t, b)
	return a
}

func threeEtcds(t *testing.T) [3]*kubernetes.Client {
	t.Helper()
	return [3]*kubernetes.Client{runEtcd(t), runEtcd(t), runEtcd(t)}
}

// put writes an owner past the Backend, as another process would.
func (a *apart) put(k layout.Key, uid string, deleting bool) {
	a.t.Helper()
	timestamp := ""
	if deleting {
		timestamp = `,"deletionTimestamp":"2026-01-01T00:00:00Z"`
	}
	if _, err := a.etcds[0].KV.Put(a.t.Context(), DefaultPrefix+k.String(), `{"metadata":{"name":"`+k.Name+`","uid":"`+uid+`"`+timestamp+`}}`); err != nil {
		a.t.Fatal(err)
	}
}

var definition = layout.Key{Resource: owners.Definitions, Cluster: "c1", Name: "widgets.example.com"}

func (a *apart) context() context.Context {
	return WithOwner(in(a.t.Context(), "c1"), owners.Owner{Resource: owners.Definitions, Name: definition.Name, UID: "crd"})
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "ns"}}
}

// furnish makes the cluster c1 with a namespace and a definition.
func (a *apart) furnish() {
	a.t.Helper()
	a.put(owners.ClusterKey("c1"), "lc", false)
	a.put(definition, "crd", false)
	create(a.t, a.context(), a.namespaces, namespace("default"))
}

// keys returns all keys of an etcd.
func keysIn(t *testing.T, client *kubernetes.Client) []string {
	t.Helper()
	resp, err := client.KV.Get(t.Context(), DefaultPrefix+"/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, kv := range resp.Kvs {
		all = append(all, string(kv.Key))
	}
	return all
}

func (a *apart) expectKeys(etcd int, want ...string) {
	a.t.Helper()
	if got := keysIn(a.t, a.etcds[etcd]); !slices.Equal(got, want) && len(got)+len(want) > 0 {
		a.t.Errorf("etcd %d has %q, want %q", etcd, got, want)
	}
}

const (
	clusterGate    = "/annex/annex.dev/gates/c1/logicalclusters/cluster"
	namespaceGate  = "/annex/annex.dev/gates/c1/namespaces/default"
	definitionGate = "/annex/annex.dev/gates/c1/customresourcedefinitions/widgets.example.com"
)

func TestElsewhere_EverythingHasItsPlace(t *testing.T) {
	t.Parallel()
	a := startApart(t, threeEtcds(t))
	a.furnish()
	ctx := a.context()
	w := startWatch(t, everywhere(t.Context()), a.configMaps, a.configMaps.root, apistorage.ListOptions{Recursive: true, Predicate: apistorage.Everything})
	create(t, ctx, a.configMaps, configMap("default", "a"))
	create(t, ctx, a.widgets, widget("default", "w", "red"))
	update(t, ctx, a.widgets, widget("default", "w", ""), setColor("blue"))
	expect(t, w, "ADDED c1|default/a")
	// A create costs one revision once its owners have been seen.
	before, err := a.etcds[1].KV.Get(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	create(t, ctx, a.configMaps, configMap("default", "b"))
	after, err := a.etcds[1].KV.Get(t.Context(), "/")
	if err != nil || after.Header.Revision != before.Header.Revision+1 {
		t.Errorf("a create costs %d revisions, %v", after.Header.Revision-before.Header.Revision, err)
	}

	remove(t, ctx, a.configMaps, configMap("default", "b"))
	a.expectKeys(0, "/annex/apiextensions.k8s.io/customresourcedefinitions/c1/widgets.example.com", "/annex/core.kcp.io/logicalclusters/c1/cluster", "/annex/core/namespaces/c1/default")
	a.expectKeys(1, clusterGate, namespaceGate, "/annex/core/configmaps/c1/default/a")
	a.expectKeys(2, definitionGate, clusterGate, namespaceGate, "/annex/cr/8/example.com/widgets/crd/c1/default/w")
	for _, s := range []*store{a.configMaps, a.widgets} {
		if found, _ := list(t, everywhere(t.Context()), s, s.root, recursive); len(found) != 1 {
			t.Errorf("a list of all clusters has %v", found)
		}
	}
	heads, err := a.Heads(t.Context(), HeadScope{Cluster: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	of := func(h head.Head) string { return h.Resource.String() + " " + h.Namespace + "/" + h.Name }
	var names []string
	for _, h := range heads {
		names = append(names, of(h))
		if h.Rendered {
			t.Errorf("%s counts as rendered", of(h))
		}
	}
	if want := []string{"configmaps default/a", "namespaces /default", "widgets.example.com default/w"}; !slices.Equal(names, want) {
		t.Errorf("heads %v, want %v", names, want)
	}
	if _, err := a.Purge(t.Context(), "c1"); err != nil {
		t.Fatal(err)
	}
	a.expectKeys(1)
	a.expectKeys(2)
}

// What is deleted at one server takes nothing more at another, which has not heard of it.
func TestElsewhere_NothingIsCreatedInWhatIsBeingDeleted(t *testing.T) {
	t.Parallel()
	etcds := threeEtcds(t)
	a := startApart(t, etcds)
	other := startApart(t, etcds)
	a.furnish()
	ctx := a.context()
	create(t, ctx, a.configMaps, configMap("default", "a"))
	create(t, ctx, a.widgets, widget("default", "a", "red"))
	create(t, ctx, other.widgets, widget("default", "b", "red"))
	create(t, ctx, other.configMaps, configMap("default", "b"))

	remove(t, ctx, other.namespaces, namespace("default"))
	for _, e := range []int{1, 2} {
		if slices.Contains(keysIn(t, etcds[e]), namespaceGate) {
			t.Errorf("etcd %d still has the gate of a namespace whose deletion was answered", e)
		}
	}
	late, tardy := configMap("default", "late"), widget("default", "late", "red")
	if err := a.configMaps.Create(ctx, keyFor(a.configMaps, late), late, &corev1.ConfigMap{}, 0); !apierrors.IsNotFound(err) {
		t.Errorf("creating in a namespace that is gone: %v", err)
	}
	if err := a.widgets.Create(ctx, keyFor(a.widgets, tardy), tardy, newWidget(), 0); !apierrors.IsNotFound(err) {
		t.Errorf("creating in a namespace that is gone: %v", err)
	}
	// The new one is another.
	create(t, ctx, other.namespaces, namespace("default"))
	create(t, ctx, a.configMaps, late)
	create(t, ctx, other.widgets, tardy)

	// Somebody else, who had no time to shut the gates, has begun to delete the cluster: the first look of whoever goes on does.
	a.put(owners.ClusterKey("c1"), "lc", true)
	if _, err := a.Heads(t.Context(), HeadScope{Cluster: "c1"}); err != nil {
		t.Fatal(err)
	}
	for _, e := range []int{1, 2} {
		if slices.Contains(keysIn(t, etcds[e]), clusterGate) {
			t.Errorf("etcd %d still has the gate of a cluster that is being deleted", e)
		}
	}
	later := widget("default", "later", "red")
	for _, s := range []*store{a.widgets, other.widgets} {
		if err := s.Create(ctx, keyFor(s, later), later, newWidget(), 0); !apierrors.IsForbidden(err) {
			t.Errorf("creating in a cluster that is being deleted: %v", err)
		}
	}
	if _, err := other.Purge(t.Context(), "c1"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*store{a.widgets, other.widgets} {
		if err := s.Create(ctx, keyFor(s, later), later, newWidget(), 0); !apierrors.IsForbidden(err) {
			t.Errorf("creating in a cluster that is gone: %v", err)
		}
	}
	for e := range etcds {
		a.expectKeys(e, keysOfNobody(keysIn(t, etcds[e]))...)
	}
}

// Whatever creates are under way when a deletion begins, at whatever server: the look after that sees all that there will be.
func TestElsewhere_LateCreates(t *testing.T) {
	t.Parallel()
	etcds := threeEtcds(t)
	servers := []*apart{startApart(t, etcds), startApart(t, etcds)}
	servers[0].put(owners.ClusterKey("c1"), "lc", false)
	servers[0].put(definition, "crd", false)
	hasty := namespaceStore(t, newTestBackend(t, etcds[0], coreCodec(t)))
	const rounds, writers = 40, 4
	created := 0
	for round := range rounds {
		name := fmt.Sprint("ns", round)
		ctx := servers[0].context()
		create(t, ctx, servers[0].namespaces, namespace(name))
		end := make(chan struct{})
		var all sync.WaitGroup
		var made atomic.Int64
		for i := range writers {
			all.Go(func() {
				server := servers[i%len(servers)]
				for n := 0; ; n++ {
					select {
					case <-end:
						return
					default:
					}
					obj, s := object(configMap(name, fmt.Sprintf("%d-%d", i, n))), server.configMaps
					if i >= len(servers) {
						obj, s = widget(name, fmt.Sprintf("%d-%d", i, n), "red"), server.widgets
					}
					switch err := s.Create(ctx, keyFor(s, obj), obj, s.newFunc(), 0); {
					case err == nil:
						made.Add(1)
					case !apierrors.IsForbidden(err):
						t.Errorf("round %d: %v", round, err)
						return
					}
				}
			})
		}
		for made.Load() < int64(round%8) { // the deletion begins before the first create, or later
			runtime.Gosched()
		}
		// The server that begins the deletion may end before it has shut a gate.
		update(t, ctx, []*store{hasty, servers[1].namespaces}[round%2], namespace(name), func(o object) {
			o.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
		})
		heads, err := servers[round/2%2].Heads(t.Context(), HeadScope{Cluster: "c1", Namespace: name})
		if err != nil {
			t.Fatal(err)
		}
		before := made.Load()
		for range 20 {
			runtime.Gosched()
		}
		close(end)
		all.Wait()
		var keys []string
		for _, e := range etcds[1:] {
			keys = append(keys, slices.DeleteFunc(keysIn(t, e), func(key string) bool { return !strings.Contains(key, "/c1/"+name+"/") })...)
		}
		if len(keys) != len(heads) || made.Load() != int64(len(heads)) {
			t.Errorf("round %d: the look after the deletion began saw %d objects, but %d were created, %d of them before it ended, and %d are there",
				round, len(heads), made.Load(), before, len(keys))
		}
		created += len(heads)
	}
	t.Logf("%d objects in %d rounds", created, rounds)
	for e, client := range etcds[1:] {
		for _, key := range keysIn(t, client) {
			if strings.Contains(key, "/gates/c1/namespaces/") {
				t.Errorf("etcd %d has kept %s", e+1, key)
			}
		}
	}
}

// keysOfNobody drops the definition, which the test has put past the caches.
func keysOfNobody(keys []string) []string {
	return slices.DeleteFunc(keys, func(key string) bool { return key != DefaultPrefix+definition.String() })
}
