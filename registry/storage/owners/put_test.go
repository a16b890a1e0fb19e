package owners

import (
	"context"
	"fmt"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/registry/storage/layout"
)

const prefix = "/annex"

var (
	clusterKey    = ClusterKey("c1")
	namespaceKey  = NamespaceKey("c1", "ns")
	definitionKey = layout.Key{Resource: Definitions, Cluster: "c1", Name: "widgets.example.com"}
	bindingKey    = layout.Key{Resource: Bindings, Cluster: "c1", Name: "b"}

	widgets   = schema.GroupResource{Group: "example.com", Resource: "widgets"}
	widgetKey = layout.Key{Resource: widgets, Custom: true, Bucket: layout.LocalBucket, Cluster: "c1", Namespace: "ns", Name: "w"}
	boundKey  = layout.Key{Resource: widgets, Custom: true, Bucket: "id", Cluster: "c1", Namespace: "ns", Name: "w"}
)

// house is an etcd that counts transactions, and a Client that knows what learn has told it.
type house struct {
	*Client
	t    *testing.T
	etcd *kubernetes.Client
	// before is called once, before the next transaction.
	before func()
	txns   int
	known  map[layout.Key]int64
	// annotations are those of the LogicalCluster.
	annotations map[string]string
}

type counting struct {
	clientv3.KV
	house *house
}

func (c counting) Txn(ctx context.Context) clientv3.Txn {
	c.house.txns++
	if before := c.house.before; before != nil {
		c.house.before = nil
		before()
	}
	return c.KV.Txn(ctx)
}

func runEtcd(t *testing.T) *kubernetes.Client {
	t.Helper()
	etcd := testserver.RunEtcd(t, nil)
	t.Cleanup(func() { _ = etcd.Close() })
	return etcd
}

// newHouse empties the etcd.
func newHouse(t *testing.T, etcd *kubernetes.Client) *house {
	t.Helper()
	if _, err := etcd.KV.Delete(t.Context(), "/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, etcd: etcd, known: map[layout.Key]int64{}}
	h.Client = New(Config{
		Interface: etcd.Kubernetes, KV: counting{etcd.KV, h}, Prefix: prefix,
		Cached: func(_ context.Context, k layout.Key) (Seen, bool) {
			revision, ok := h.known[k]
			return Seen{UID: "uid", Revision: revision, Annotations: h.annotations}, ok
		},
	})
	return h
}

// store writes an owner past the Client, as another process would.
func (h *house) store(k layout.Key, uid string, deleting bool) int64 {
	h.t.Helper()
	timestamp := ""
	if deleting {
		timestamp = `,"deletionTimestamp":"2026-01-01T00:00:00Z"`
	}
	resp, err := h.etcd.KV.Put(h.t.Context(), h.path(k), fmt.Sprintf(`{"metadata":{"uid":%q%s}}`, uid, timestamp))
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.Header.Revision
}

// storeLeaving writes the APIBinding past the Client, with resources that are leaving.
func (h *house) storeLeaving(resources string) {
	h.t.Helper()
	value := fmt.Sprintf(`{"metadata":{"uid":"uid","annotations":{%q:%q}}}`, apisv1alpha2.LeavingResourcesAnnotationKey, resources)
	if _, err := h.etcd.KV.Put(h.t.Context(), h.path(bindingKey), value); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) remove(k layout.Key) {
	h.t.Helper()
	if _, err := h.etcd.KV.Delete(h.t.Context(), h.path(k)); err != nil {
		h.t.Fatal(err)
	}
}

// put creates an object and returns how many revisions that cost.
func (h *house) put(ctx context.Context, k layout.Key) (kubernetes.PutResponse, int64, error) {
	h.t.Helper()
	revision := func() int64 {
		resp, err := h.etcd.KV.Get(h.t.Context(), "/")
		if err != nil {
			h.t.Fatal(err)
		}
		return resp.Header.Revision
	}
	before := revision()
	resp, err := h.OptimisticPut(ctx, h.path(k), []byte(`{"apiVersion":"example.com/v1","metadata":{"uid":"new"}}`), 0, kubernetes.PutOptions{})
	return resp, revision() - before, err
}

func (h *house) has(k layout.Key) bool {
	h.t.Helper()
	resp, err := h.etcd.KV.Get(h.t.Context(), h.path(k))
	if err != nil {
		h.t.Fatal(err)
	}
	return len(resp.Kvs) > 0
}

func local(ctx context.Context) context.Context {
	return With(ctx, Owner{Resource: Definitions, Name: "widgets.example.com", UID: "uid"})
}

func bound(ctx context.Context) context.Context {
	return With(ctx, Owner{Resource: Bindings, Name: "b", UID: "uid"})
}

func isNotServed(err error) bool { return apierrors.IsNotFound(err) }

func isClosing(err error) bool {
	return apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, corev1alpha1.LogicalClusterTerminatingCause)
}

func isTerminating(err error) bool {
	return apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

func TestOptimisticPut_ComparesWhatTheObjectBelongsTo(t *testing.T) {
	etcd := runEtcd(t)
	for name, tc := range map[string]struct {
		created layout.Key
		owner   layout.Key
		in      func(context.Context) context.Context
		// What is answered if the owner is gone, is being deleted, or is another object of that name; nil if that is fine.
		gone, deleting, remade func(error) bool
	}{
		"LogicalCluster":           {widgetKey, clusterKey, local, isClosing, isClosing, nil},
		"Namespace":                {widgetKey, namespaceKey, local, apierrors.IsNotFound, isTerminating, nil},
		"CustomResourceDefinition": {widgetKey, definitionKey, local, isNotServed, apierrors.IsMethodNotSupported, isNotServed},
		"APIBinding":               {boundKey, bindingKey, bound, isNotServed, apierrors.IsMethodNotSupported, isNotServed},
	} {
		t.Run(name, func(t *testing.T) {
			all := []layout.Key{clusterKey, namespaceKey, definitionKey, bindingKey}
			for event, step := range map[string]struct {
				do       func(h *house)
				want     func(error) bool
				wantTxns int
			}{
				"nothing happens":      {func(*house) {}, nil, 1},
				"it changes":           {func(h *house) { h.store(tc.owner, "uid", false) }, nil, 3},
				"it goes":              {func(h *house) { h.remove(tc.owner) }, tc.gone, 2},
				"its deletion begins":  {func(h *house) { h.store(tc.owner, "uid", true) }, tc.deleting, 2},
				"it is made anew":      {func(h *house) { h.remove(tc.owner); h.store(tc.owner, "other", false) }, tc.remade, 3},
				"it goes and changes":  {func(h *house) { h.store(tc.owner, "uid", false); h.remove(tc.owner) }, tc.gone, 2},
				"another one changes":  {func(h *house) { h.store(bindingKey, "uid", false); h.store(definitionKey, "uid", false) }, nil, -1},
				"a namesake elsewhere": {func(h *house) { k := tc.owner; k.Cluster = "c2"; h.store(k, "uid", true) }, nil, 1},
			} {
				if event == "it is made anew" && tc.remade != nil {
					step.wantTxns = 2
				}
				t.Run(event, func(t *testing.T) {
					h := newHouse(t, etcd)
					for _, k := range all {
						h.known[k] = h.store(k, "uid", false)
					}
					var during int64
					h.before = func() {
						before := h.store(layout.Key{Resource: widgets, Cluster: "mark", Name: "a"}, "x", false)
						step.do(h)
						during = h.store(layout.Key{Resource: widgets, Cluster: "mark", Name: "b"}, "x", false) - before + 1
					}
					resp, revisions, err := h.put(tc.in(t.Context()), tc.created)
					if step.wantTxns > 0 && h.txns != step.wantTxns {
						t.Errorf("%d transactions, want %d", h.txns, step.wantTxns)
					}
					if step.want != nil {
						if !step.want(err) || h.has(tc.created) || revisions != during {
							t.Errorf("got %v, stored: %t, revisions: %d", err, h.has(tc.created), revisions-during)
						}
						return
					}
					if err != nil || !resp.Succeeded || !h.has(tc.created) || revisions != during+1 {
						t.Errorf("got %+v, %v; revisions: %d", resp, err, revisions-during)
					}
				})
			}
		})
	}
}

// A resource that leaves a binding takes no new object from the moment that this is stored, whatever is in memory; others do.
func TestOptimisticPut_ResourceIsLeaving(t *testing.T) {
	etcd := runEtcd(t)
	for name, tc := range map[string]struct {
		leaving string
		refused bool
	}{
		"it": {"widgets.example.com", true}, "one of two": {"gadgets.example.com,widgets.example.com", true},
		"another": {"gadgets.example.com", false}, "none": {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, etcd)
			for _, k := range []layout.Key{clusterKey, namespaceKey, bindingKey} {
				h.known[k] = h.store(k, "uid", false)
			}
			h.before = func() { h.storeLeaving(tc.leaving) }
			_, _, err := h.put(bound(t.Context()), boundKey)
			if refused := apierrors.IsMethodNotSupported(err); refused != tc.refused || !refused && err != nil || h.has(boundKey) == tc.refused {
				t.Errorf("got %v, stored: %t", err, h.has(boundKey))
			}
			// It is known now, and costs no transaction.
			before := h.txns
			another := boundKey
			another.Name = "another"
			if _, _, err := h.put(bound(t.Context()), another); apierrors.IsMethodNotSupported(err) != tc.refused || h.txns-before != 1 {
				t.Errorf("after %d transactions: %v", h.txns-before, err)
			}
		})
	}
}

// What is in memory refuses nothing: etcd is asked before.
func TestOptimisticPut_AsksEtcdBeforeItRefuses(t *testing.T) {
	h := newHouse(t, runEtcd(t))
	for _, k := range []layout.Key{clusterKey, namespaceKey, definitionKey} {
		h.store(k, "uid", false)
	}
	if _, _, err := h.put(local(t.Context()), widgetKey); err != nil || h.txns != 2 {
		t.Errorf("after %d transactions: %v", h.txns, err)
	}
	// And it remembers the answer.
	another := widgetKey
	another.Name = "another"
	if _, _, err := h.put(local(t.Context()), another); err != nil || h.txns != 3 {
		t.Errorf("after %d transactions: %v", h.txns, err)
	}
}

// What this process wrote a moment ago costs no second look, though the watch caches do not know it yet.
func TestOptimisticPut_RemembersWhatItWrote(t *testing.T) {
	h := newHouse(t, runEtcd(t))
	object := layout.Key{Resource: schema.GroupResource{Resource: "configmaps"}, Cluster: "c1", Namespace: "ns", Name: "x"}
	for _, k := range []layout.Key{clusterKey, namespaceKey, object} {
		if _, _, err := h.put(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	if h.txns != 3 {
		t.Errorf("%d transactions for 3 objects", h.txns)
	}
	resp, err := h.etcd.KV.Get(t.Context(), h.path(namespaceKey))
	if err != nil {
		t.Fatal(err)
	}
	done, err := h.OptimisticPut(t.Context(), h.path(namespaceKey), []byte(`{"metadata":{"uid":"new","labels":{"a":"b"}}}`), resp.Kvs[0].ModRevision, kubernetes.PutOptions{})
	if err != nil || !done.Succeeded {
		t.Fatal(done, err)
	}
	object.Name = "y"
	if _, _, err := h.put(t.Context(), object); err != nil || h.txns != 5 {
		t.Errorf("after %d transactions: %v", h.txns, err)
	}
}

func TestOptimisticPut_NameIsTaken(t *testing.T) {
	h := newHouse(t, runEtcd(t))
	for _, k := range []layout.Key{clusterKey, namespaceKey, definitionKey} {
		h.known[k] = h.store(k, "uid", false)
	}
	h.store(widgetKey, "theirs", false)
	resp, revisions, err := h.put(local(t.Context()), widgetKey)
	if err != nil || resp.Succeeded || resp.KV != nil || revisions != 0 || h.txns != 1 {
		t.Errorf("got %+v, %v", resp, err)
	}
	// An update that may create needs to know what is there.
	resp, err = h.OptimisticPut(local(t.Context()), h.path(widgetKey), []byte(`{"apiVersion":"example.com/v1"}`), 0, kubernetes.PutOptions{GetOnFailure: true})
	if err != nil || resp.Succeeded || resp.KV == nil || len(resp.KV.Value) == 0 {
		t.Errorf("got %+v, %v", resp, err)
	}
}

func TestOptimisticPut_RefusesWithoutOwner(t *testing.T) {
	h := newHouse(t, runEtcd(t))
	for _, k := range []layout.Key{clusterKey, namespaceKey, definitionKey, bindingKey} {
		h.known[k] = h.store(k, "uid", false)
	}
	workspace := layout.Key{Resource: schema.GroupResource{Group: "tenancy.kcp.io", Resource: "workspaces"}, Cluster: "c1", Name: "w"}
	for name, tc := range map[string]struct {
		ctx context.Context
		key layout.Key
	}{
		"custom resource":              {t.Context(), widgetKey},
		"bound custom resource":        {t.Context(), boundKey},
		"bound typed resource":         {t.Context(), workspace},
		"an owner without UID":         {With(t.Context(), Owner{Resource: Definitions, Name: "widgets.example.com"}), widgetKey},
		"an owner that serves nothing": {With(t.Context(), Owner{Resource: Namespaces, Name: "ns", UID: "uid"}), widgetKey},
	} {
		if _, _, err := h.put(tc.ctx, tc.key); !apierrors.IsInternalError(err) || h.has(tc.key) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if h.txns != 0 {
		t.Errorf("etcd was asked %d times", h.txns)
	}
	if _, err := h.OptimisticPut(t.Context(), prefix+"/what", nil, 0, kubernetes.PutOptions{}); !apierrors.IsInternalError(err) {
		t.Errorf("a key that names no object: %v", err)
	}
}

// These are all the objects that belong to nothing.
func TestOf_Exceptions(t *testing.T) {
	for name, tc := range map[string]struct {
		key  layout.Key
		want []layout.Key
	}{
		"a LogicalCluster":             {clusterKey, nil},
		"in the server's own clusters": {layout.Key{Resource: Namespaces, Cluster: "system:admin", Name: "ns"}, nil},
		"in a namespace there":         {layout.Key{Resource: schema.GroupResource{Resource: "secrets"}, Cluster: "system:admin", Namespace: "ns", Name: "s"}, []layout.Key{NamespaceKey("system:admin", "ns")}},
		"a Namespace":                  {namespaceKey, []layout.Key{clusterKey}},
		"in root":                      {layout.Key{Resource: Namespaces, Cluster: "root", Name: "ns"}, []layout.Key{ClusterKey("root")}},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := of(t.Context(), tc.key)
			if err != nil || len(all) != len(tc.want) {
				t.Fatal(all, err)
			}
			for i := range all {
				if all[i].key != tc.want[i] {
					t.Errorf("got %v, want %v", all[i].key, tc.want[i])
				}
			}
		})
	}
}
