package owners

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/core/quota"
	"github.com/annex-dev/annex/registry/storage/layout"
)

func quotaKey(name string) layout.Key {
	return layout.Key{Resource: quota.Resource, Cluster: "c1", Namespace: "ns", Name: name}
}

// quotaOf returns a ResourceQuota of names and quantities, as it is stored.
func quotaOf(t *testing.T, name string, pairs ...string) []byte {
	t.Helper()
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{}}}
	for i := 0; i < len(pairs); i += 2 {
		q.Spec.Hard[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	body, err := q.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	envelope := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "ResourceQuota"}, Raw: body}
	value, err := envelope.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("k8s\x00"), value...)
}

// setQuota creates or updates a quota in the namespace.
func (h *house) setQuota(name string, pairs ...string) {
	h.t.Helper()
	var revision int64
	if h.has(quotaKey(name)) {
		revision = h.revision(quotaKey(name))
	}
	resp, err := h.OptimisticPut(h.t.Context(), h.path(quotaKey(name)), quotaOf(h.t, name, pairs...), revision, kubernetes.PutOptions{})
	if err != nil || !resp.Succeeded {
		h.t.Fatalf("writing quota %s: %+v, %v", name, resp, err)
	}
}

// isCounted fails the test unless the stored room for ConfigMaps is what so many, which are there, leave.
func (h *house) isCounted(want, most int64) {
	h.t.Helper()
	c := h.another()
	resp, err := h.etcd.KV.Get(h.t.Context(), h.hardPath(namespace{"c1", "ns"}))
	if err == nil {
		_, err = c.learnHard(namespace{"c1", "ns"}, resp.Kvs)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	known := c.hard(namespace{"c1", "ns"})
	all, same, err := c.look(h.t.Context(), known, known.of(c, configMap("")), configMap(""))
	if err != nil || !same {
		h.t.Fatal(same, err)
	}
	room, counted := roomIn(all, known.revision)
	there, err := h.objects(h.t.Context(), configMap(""))
	if err != nil || !counted || most-room != there || there != want {
		h.t.Errorf("%d are counted (%t), %d are there, want %d: %v", most-room, counted, there, want, err)
	}
}

func (h *house) quotaKeys() int64 {
	h.t.Helper()
	resp, err := h.etcd.KV.Get(h.t.Context(), prefix+layout.TypedRoot(Quotas)+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.Count
}

func isOver(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: q, requested: configmaps=1, used: configmaps=")
}

func TestCharge_RefusesWhatExceeds(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	for _, name := range []string{"a", "b"} {
		if err := h.create(configMap(name), 10); err != nil {
			t.Fatal(err)
		}
	}
	h.setQuota("q", "configmaps", "3", "pods", "0")
	if err := h.create(configMap("c"), 10); err != nil {
		t.Fatal(err)
	}
	h.isCounted(3, 3)
	err := h.create(configMap("d"), 10)
	if want := `configmaps "d" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=3, limited: configmaps=3`; err == nil || err.Error() != want || !apierrors.IsForbidden(err) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := h.update(configMap("a"), 20); err != nil {
		t.Errorf("updates are not charged: %v", err)
	}
	for _, k := range []layout.Key{
		{Resource: Events, Cluster: "c1", Namespace: "ns", Name: "e"}, {Resource: configMaps, Cluster: "c2", Namespace: "ns", Name: "d"},
		{Resource: configMaps, Cluster: "c1", Namespace: "other", Name: "d"},
	} {
		h.known[ClusterKey(k.Cluster)] = h.store(ClusterKey(k.Cluster), "uid", false)
		h.known[NamespaceKey(k.Cluster, k.Namespace)] = h.store(NamespaceKey(k.Cluster, k.Namespace), "uid", false)
		if err := h.create(k, 10); err != nil {
			t.Errorf("the quota is not for %s: %v", k, err)
		}
	}
	other := &house{t: t, etcd: h.etcd, Client: h.another(), known: h.known}
	other.delete(configMap("a"))
	if err := h.create(configMap("d"), 10); err != nil {
		t.Errorf("another process has deleted one: %v", err)
	}
	if err := other.create(configMap("e"), 10); !isOver(err) {
		t.Errorf("got %v", err)
	}
	other.setQuota("q", "configmaps", "4")
	if err := h.create(configMap("e"), 10); err != nil {
		t.Errorf("another process has raised the quota: %v", err)
	}
	other.setQuota("r", "count/configmaps", "1")
	if err := h.create(configMap("f"), 10); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota: q,") {
		t.Errorf("got %v", err)
	}
	h.delete(quotaKey("q"))
	if err := h.create(configMap("f"), 10); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota: r, requested: count/configmaps=1, used: count/configmaps=4, limited: count/configmaps=1") {
		t.Errorf("got %v", err)
	}
	h.delete(quotaKey("r"))
	if h.quotaKeys() != 0 {
		t.Error("keys are left of quotas that are gone")
	}
	if err := other.create(configMap("f"), 10); err != nil {
		t.Errorf("the quotas are gone: %v", err)
	}
}

func TestCharge_QuotasCountThemselves(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	h.setQuota("q", "resourcequotas", "2")
	h.setQuota("r", "pods", "2")
	_, err := h.OptimisticPut(t.Context(), h.path(quotaKey("s")), quotaOf(t, "s", "secrets", "1"), 0, kubernetes.PutOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("got %v", err)
	}
	h.delete(quotaKey("r"))
	h.setQuota("s", "secrets", "1")
}

// Neither reads nor revisions are added where there is no quota.
func TestCharge_CostsNothingWithoutQuotas(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	if _, revisions, err := h.put(t.Context(), configMap("a")); err != nil || revisions != 1 || h.txns != 1 {
		t.Errorf("%d revisions and %d transactions: %v", revisions, h.txns, err)
	}
	if h.delete(configMap("a")); h.txns != 2 || h.quotaKeys() != 0 {
		t.Errorf("%d transactions, %d keys", h.txns, h.quotaKeys())
	}
	h.setQuota("q", "configmaps", "5")
	if _, _, err := h.put(t.Context(), configMap("a")); err != nil {
		t.Fatal(err)
	}
	h.txns = 0
	if _, revisions, err := h.put(t.Context(), configMap("b")); err != nil || revisions != 1 || h.txns != 1 {
		t.Errorf("with a quota: %d revisions and %d transactions: %v", revisions, h.txns, err)
	}
}

// failing answers that a transaction has failed, though it is committed.
type failing struct {
	clientv3.KV
	fails *atomic.Bool
}

type failingTxn struct {
	clientv3.Txn
	fails *atomic.Bool
}

func (f failing) Txn(ctx context.Context) clientv3.Txn { return &failingTxn{f.KV.Txn(ctx), f.fails} }

func (f *failingTxn) If(c ...clientv3.Cmp) clientv3.Txn  { f.Txn = f.Txn.If(c...); return f }
func (f *failingTxn) Then(o ...clientv3.Op) clientv3.Txn { f.Txn = f.Txn.Then(o...); return f }
func (f *failingTxn) Else(o ...clientv3.Op) clientv3.Txn { f.Txn = f.Txn.Else(o...); return f }
func (f *failingTxn) Commit() (*clientv3.TxnResponse, error) {
	resp, err := f.Txn.Commit()
	if f.fails.CompareAndSwap(true, false) {
		return nil, errors.New("the connection is lost")
	}
	return resp, err
}

func TestCharge_AfterALostAnswer(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	var fails atomic.Bool
	h.KV = failing{h.KV, &fails}
	h.setQuota("q", "configmaps", "3")
	if err := h.create(configMap("a"), 10); err != nil {
		t.Fatal(err)
	}
	fails.Store(true)
	if err := h.create(configMap("b"), 10); err == nil {
		t.Fatal("nothing is lost")
	}
	if err := h.create(configMap("c"), 10); err != nil {
		t.Fatal(err)
	}
	h.isCounted(3, 3)
	if err := h.create(configMap("d"), 10); !isOver(err) {
		t.Errorf("got %v", err)
	}
}

func TestCharge_NothingIsLeft(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	for what, k := range map[string]layout.Key{"the namespace": namespaceKey, "the LogicalCluster": clusterKey} {
		h.setQuota("q", "configmaps", "3")
		if err := h.create(configMap(what), 10); err != nil || h.quotaKeys() != 2 {
			t.Fatalf("%d keys: %v", h.quotaKeys(), err)
		}
		if h.delete(k); h.quotaKeys() != 0 {
			t.Errorf("deleting %s leaves %d keys", what, h.quotaKeys())
		}
		if h.Forget("c1"); h.hard(namespace{"c1", "ns"}) != unlimited {
			t.Errorf("deleting %s leaves something in memory", what)
		}
		h.known[k] = h.store(k, "uid", false)
		h.remove(quotaKey("q"))
	}
}

// What an older release has stored counts once it is adopted, and what it has written since is corrected.
func TestCharge_AdoptsWhatOthersHaveStored(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	past := func(k layout.Key, value []byte) {
		t.Helper()
		if _, err := h.etcd.KV.Put(t.Context(), h.path(k), string(value)); err != nil {
			t.Fatal(err)
		}
	}
	past(quotaKey("q"), quotaOf(t, "q", "configmaps", "2"))
	past(configMap("a"), []byte("x"))
	q, err := h.readQuota(t.Context(), &mvccpb.KeyValue{Value: quotaOf(t, "q", "configmaps", "2")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Adopt(t.Context(), "c1", "ns", []*corev1.ResourceQuota{q}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.create(configMap("b"), 10); err != nil {
		t.Fatal(err)
	}
	if err := h.create(configMap("c"), 10); !isOver(err) {
		t.Errorf("got %v", err)
	}
	h.remove(configMap("a"))
	if err := h.create(configMap("c"), 10); !isOver(err) {
		t.Errorf("got %v", err)
	}
	if n, err := h.Objects(t.Context(), configMap("")); err != nil || n != 1 {
		t.Errorf("%d objects, %v", n, err)
	}
	if err := h.create(configMap("c"), 10); err != nil {
		t.Error(err)
	}
	h.isCounted(2, 2)
	h.remove(quotaKey("q"))
	if err := h.Adopt(t.Context(), "c1", "ns", nil); err != nil || h.quotaKeys() != 0 {
		t.Errorf("%d keys: %v", h.quotaKeys(), err)
	}
}

func TestCharge_BoundsWhatQuotasSay(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	names := func(n int) (pairs []string) {
		for i := range n {
			pairs = append(pairs, fmt.Sprintf("count/%032d.example.com", i), "1")
		}
		return pairs
	}
	h.setQuota("q", names(700)...)
	_, err := h.OptimisticPut(t.Context(), h.path(quotaKey("r")), quotaOf(t, "r", names(700)...), 0, kubernetes.PutOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "65536 bytes") {
		t.Errorf("got %v", err)
	}
	h.setQuota("q", "configmaps", "1")
	h.setQuota("r", names(700)...)
}

// Quotas are in the main etcd, and what they count may be in another one.
func TestCharge_InAnotherEtcd(t *testing.T) {
	p := newPair(t, runEtcd(t), runEtcd(t))
	widget := func(name string) layout.Key {
		k := widgetKey
		k.Name = name
		return k
	}
	create := func(name string) error {
		t.Helper()
		_, _, err := p.put(local(t.Context()), widget(name))
		return err
	}
	over := func(err error) bool {
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: q, requested: count/widgets.example.com=1")
	}
	if err := create("a"); err != nil {
		t.Fatal(err)
	}
	p.main.setQuota("q", "count/widgets.example.com", "2")
	if err := create("b"); err != nil {
		t.Fatal(err)
	}
	if err := create("c"); !over(err) {
		t.Errorf("got %v", err)
	}
	if n, err := p.Objects(t.Context(), widget("")); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	p.main.setQuota("q", "count/widgets.example.com", "3")
	if err := create("c"); err != nil {
		t.Error(err)
	}
	p.delete(widget("a"))
	if err := create("d"); err != nil {
		t.Error(err)
	}
	if err := create("e"); !over(err) {
		t.Errorf("got %v", err)
	}
	p.main.delete(quotaKey("q"))
	if err := create("e"); err != nil || p.quotaKeys() != 0 {
		t.Errorf("%d keys: %v", p.quotaKeys(), err)
	}
	// The other etcd was away when a quota was written.
	p.main.Elsewhere = nil
	p.main.setQuota("q", "count/widgets.example.com", "1")
	p.main.Elsewhere = []*Client{p.Client}
	q, err := p.main.readQuota(t.Context(), &mvccpb.KeyValue{Value: quotaOf(t, "q", "count/widgets.example.com", "1")})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.main.Adopt(t.Context(), "c1", "ns", []*corev1.ResourceQuota{q}); err != nil {
		t.Fatal(err)
	}
	if err := create("f"); !over(err) {
		t.Errorf("got %v", err)
	}
	if p.main.delete(namespaceKey); p.quotaKeys() != 0 {
		t.Errorf("%d keys are left of a namespace that is gone", p.quotaKeys())
	}
}
