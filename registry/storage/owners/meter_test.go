package owners

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/core/limits"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
)

var configMaps = schema.GroupResource{Resource: "configmaps"}

func configMap(name string) layout.Key {
	return layout.Key{Resource: configMaps, Cluster: "c1", Namespace: "ns", Name: name}
}

// newMetered returns a house with a cluster that has a namespace, put there past the Client.
func newMetered(t *testing.T, etcd *kubernetes.Client, limits limits.Limits) *house {
	h := newHouse(t, etcd)
	h.Limits, h.Stored = limits, h.count
	h.known[clusterKey] = h.store(clusterKey, "uid", false)
	h.known[namespaceKey] = h.store(namespaceKey, "uid", false)
	return h
}

// another returns the Client of another process.
func (h *house) another() *Client {
	c := h.Config
	c.KV = h.etcd.KV
	return New(c)
}

// count is Config.Stored.
func (h *house) count(ctx context.Context, cluster logicalcluster.Name) (sum limits.Amount, err error) {
	resp, err := h.etcd.KV.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return sum, err
	}
	for _, kv := range resp.Kvs {
		k, err := layout.Parse(strings.TrimPrefix(string(kv.Key), prefix))
		if err != nil {
			return sum, err
		}
		if k.Cluster == cluster && isMetered(k) && k != MeterKey(cluster) && k.Resource != Gates {
			sum = sum.Plus(limits.Amount{Objects: 1, Bytes: int64(len(kv.Value))})
		}
	}
	return sum, nil
}

func (h *house) create(k layout.Key, size int) error {
	resp, err := h.OptimisticPut(h.t.Context(), h.path(k), []byte(strings.Repeat("x", size)), 0, kubernetes.PutOptions{})
	if err == nil && !resp.Succeeded {
		return errors.New("the name is taken")
	}
	return err
}

func (h *house) update(k layout.Key, size int) error {
	h.t.Helper()
	resp, err := h.OptimisticPut(h.t.Context(), h.path(k), []byte(strings.Repeat("y", size)), h.revision(k), kubernetes.PutOptions{})
	if err == nil && !resp.Succeeded {
		h.t.Fatalf("updating %s: conflict", k)
	}
	return err
}

func (h *house) delete(k layout.Key) {
	h.t.Helper()
	if resp, err := h.OptimisticDelete(h.t.Context(), h.path(k), h.revision(k), kubernetes.DeleteOptions{}); err != nil || !resp.Succeeded {
		h.t.Fatalf("deleting %s: %v", k, err)
	}
}

func (h *house) revision(k layout.Key) int64 {
	h.t.Helper()
	resp, err := h.etcd.KV.Get(h.t.Context(), h.path(k))
	if err != nil || len(resp.Kvs) == 0 {
		h.t.Fatalf("reading %s: %v", k, err)
	}
	return resp.Kvs[0].ModRevision
}

// shows returns what the meter shows; empty if there is none.
func (h *house) shows() string {
	h.t.Helper()
	resp, err := h.etcd.KV.Get(h.t.Context(), h.meterPath("c1"))
	if err != nil {
		h.t.Fatal(err)
	}
	if len(resp.Kvs) == 0 {
		return ""
	}
	return string(resp.Kvs[0].Value)
}

// isRight fails the test unless the meter shows what is stored.
func (h *house) isRight() {
	h.t.Helper()
	sum, err := h.count(h.t.Context(), "c1")
	if err != nil {
		h.t.Fatal(err)
	}
	if got := h.shows(); got != sum.String() {
		h.t.Errorf("the meter shows %s, and %s is stored", got, sum)
	}
}

func (h *house) refused(err error, message string) {
	h.t.Helper()
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), message) {
		h.t.Errorf("got %v, want Forbidden with %q", err, message)
	}
}

func TestMeter_LimitsObjects(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{Objects: 4})
	for _, name := range []string{"a", "b", "c"} { // beside the namespace
		if err := h.create(configMap(name), 10); err != nil {
			t.Fatal(err)
		}
	}
	h.refused(h.create(configMap("d"), 10), `logical cluster "c1" has reached its total object count limit (4/4 objects)`)
	if err := h.update(configMap("a"), 5000); err != nil {
		t.Errorf("updating: %v", err)
	}
	h.delete(configMap("b"))
	if err := h.create(configMap("d"), 10); err != nil {
		t.Errorf("after a deletion: %v", err)
	}
	h.isRight()
	// Another process deletes: what this one has in memory refuses nothing.
	another := h.another()
	if _, err := another.OptimisticDelete(t.Context(), h.path(configMap("c")), h.revision(configMap("c")), kubernetes.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := h.create(configMap("e"), 10); err != nil {
		t.Errorf("after another process has deleted: %v", err)
	}
	h.isRight()
}

func TestMeter_LimitsBytes(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{Bytes: 10_000})
	used := int64(len(`{"metadata":{"uid":"uid"}}`))
	if err := h.create(configMap("a"), 4000); err != nil {
		t.Fatal(err)
	}
	h.refused(h.create(configMap("b"), 6000), fmt.Sprintf("total size limit (%d/10000 bytes): this write adds 6000 bytes", used+4000))
	if err := h.create(configMap("b"), 5900); err != nil {
		t.Fatal(err)
	}
	h.refused(h.update(configMap("a"), 4000+smallGrowthPlus), "this write adds")
	if err := h.update(configMap("a"), 4900); err != nil {
		t.Errorf("a small growth uses the reserve: %v", err)
	}
	h.refused(h.update(configMap("a"), 5400), "this write adds 500 bytes")
	// A conflict is none with the limit.
	if resp, err := h.OptimisticPut(t.Context(), h.path(configMap("a")), make([]byte, 20_000), 1, kubernetes.PutOptions{GetOnFailure: true}); err != nil || resp.Succeeded || resp.KV == nil {
		t.Errorf("an update of an old revision: %+v, %v", resp, err)
	}
	h.refused(h.create(configMap("c"), 1), "this write adds 1 bytes")
	h.isRight()
	if err := h.update(configMap("a"), 4800); err != nil {
		t.Errorf("shrinking: %v", err)
	}
	// Nothing keeps a workspace from being deleted.
	delete(h.known, clusterKey)
	h.recent.Clear()
	h.store(clusterKey, "uid", true)
	if err := h.update(configMap("a"), 9000); err != nil {
		t.Errorf("while the workspace is being deleted: %v", err)
	}
	h.isRight()
}

// smallGrowthPlus is too much for the reserve.
const smallGrowthPlus = 1<<10 + 1

func TestMeter_ComesAndGoesWithTheLimit(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	if err := h.create(configMap("a"), 10); err != nil || h.shows() != "" {
		t.Fatal(err, h.shows())
	}
	limit := func(n string) {
		h.annotations = map[string]string{corev1alpha1.MaxTotalObjectsAnnotationKey: n}
	}
	limit("3")
	if err := h.create(configMap("b"), 10); err != nil {
		t.Fatal(err)
	}
	h.isRight()
	h.refused(h.create(configMap("c"), 10), "(3/3 objects)")
	limit("0")
	if err := h.create(configMap("c"), 10); err != nil || h.shows() != "" {
		t.Errorf("without a limit: %v, the meter shows %q", err, h.shows())
	}
	h.delete(configMap("a"))
	limit("5")
	if err := h.create(configMap("d"), 10); err != nil {
		t.Fatal(err)
	}
	h.isRight()
	h.delete(clusterKey)
	if h.shows() != "" {
		t.Error("the meter outlives its workspace")
	}
}

// While objects are counted for the first time, other writers wait; none of their writes is counted twice or not at all.
func TestMeter_NothingIsWrittenWhileItCounts(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	for i := range 20 {
		if err := h.create(configMap(fmt.Sprint("old", i)), 10); err != nil {
			t.Fatal(err)
		}
	}
	h.Limits = limits.Limits{Objects: 100}
	another := h.another() // it has no meter in memory
	var writers sync.WaitGroup
	h.Stored = func(ctx context.Context, cluster logicalcluster.Name) (limits.Amount, error) {
		sum, err := h.count(ctx, cluster)
		for i := range 5 {
			k := configMap(fmt.Sprint("old", i))
			revision := h.revision(k)
			writers.Go(func() {
				if resp, err := another.OptimisticDelete(t.Context(), h.path(k), revision, kubernetes.DeleteOptions{}); err != nil || !resp.Succeeded {
					t.Errorf("deleting %s: %v", k, err)
				}
			})
		}
		return sum, err
	}
	if err := h.create(configMap("new"), 10); err != nil {
		t.Fatal(err)
	}
	writers.Wait()
	h.isRight()
}

// The first sum is there for the next request if the one that counts gives up.
func TestMeter_CountsThoughTheRequestEnds(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{Objects: 5})
	ctx, stop := context.WithCancel(t.Context())
	h.Stored = func(ctx context.Context, cluster logicalcluster.Name) (limits.Amount, error) {
		stop()
		return h.count(ctx, cluster)
	}
	if _, err := h.OptimisticPut(ctx, h.path(configMap("a")), []byte("x"), 0, kubernetes.PutOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the request that gave up: %v", err)
	}
	h.isRight()
}

// Two processes write as much as they can.
func TestMeter_IsExact(t *testing.T) {
	const limit, names, writers, writes = 25, 60, 4, 60
	h := newMetered(t, runEtcd(t), limits.Limits{Objects: limit, Bytes: 20_000})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var group sync.WaitGroup
	for w := range writers * 2 {
		client := h.another()
		random := rand.New(rand.NewPCG(seed, uint64(w)))
		group.Go(func() {
			for range writes {
				k := h.path(configMap(fmt.Sprint(random.IntN(names))))
				there, err := client.Get(t.Context(), k, kubernetes.GetOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				value := []byte(strings.Repeat("z", random.IntN(2000)))
				switch {
				case there.KV == nil:
					_, err = client.OptimisticPut(t.Context(), k, value, 0, kubernetes.PutOptions{})
				case random.IntN(3) == 0:
					_, err = client.OptimisticDelete(t.Context(), k, there.KV.ModRevision, kubernetes.DeleteOptions{})
				default:
					_, err = client.OptimisticPut(t.Context(), k, value, there.KV.ModRevision, kubernetes.PutOptions{})
				}
				if err != nil && !apierrors.IsForbidden(err) {
					t.Error(err)
				}
				sum, err := h.count(t.Context(), "c1")
				if err != nil || sum.Objects > limit || sum.Bytes > 20_000*9/8 {
					t.Errorf("%s is stored, %v", sum, err)
				}
			}
		})
	}
	group.Wait()
	h.isRight()
}

func TestMeter_EventsCountApart(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{Objects: 3})
	event := func(name string) layout.Key {
		return layout.Key{Resource: Events, Cluster: "c1", Namespace: "ns", Name: name}
	}
	h.refused(h.create(event("big"), limits.EventSize+1), "an Event may have at most 16384 bytes")
	for _, name := range []string{"a", "b", "c"} {
		if err := h.create(event(name), 10); err != nil {
			t.Fatal(err)
		}
	}
	h.refused(h.create(event("d"), 10), "limit of Events (3/3)")
	h.refused(h.update(event("a"), limits.EventSize+1), "an Event may have at most 16384 bytes")
	if err := h.update(event("a"), 100); err != nil {
		t.Error(err)
	}
	if err := h.create(configMap("a"), 10); err != nil {
		t.Errorf("an object beside the events: %v", err)
	}
	h.isRight()
}

// etcd would remove it, and no transaction would subtract it.
func TestMeter_RefusesWhatExpires(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	_, err := h.OptimisticPut(t.Context(), h.path(configMap("a")), []byte("x"), 0, kubernetes.PutOptions{LeaseID: 1})
	if !apierrors.IsInternalError(err) || h.has(configMap("a")) {
		t.Errorf("got %v", err)
	}
}

// A workspace without a limit pays one comparison.
func TestMeter_WithoutLimitOneTransactionEach(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{})
	if err := h.create(configMap("a"), 10); err != nil {
		t.Fatal(err)
	}
	if err := h.update(configMap("a"), 20); err != nil {
		t.Fatal(err)
	}
	h.delete(configMap("a"))
	if h.txns != 3 || h.meters.Len() != 0 {
		t.Errorf("%d transactions for 3 writes, %d meters", h.txns, h.meters.Len())
	}
}

// A create that comes when its cluster is gone leaves no meter behind.
func TestMeter_OfAClusterThatIsGone(t *testing.T) {
	h := newMetered(t, runEtcd(t), limits.Limits{Objects: 5})
	h.before = func() { h.remove(clusterKey) }
	if err := h.create(configMap("late"), 10); !isClosing(err) || h.has(MeterKey("c1")) {
		t.Errorf("got %v, a meter: %t", err, h.has(MeterKey("c1")))
	}
	h.known[clusterKey] = h.store(clusterKey, "uid", false)
	h.before = func() { h.store(clusterKey, "uid", false) } // it only changes
	if err := h.create(configMap("a"), 10); err != nil || !h.has(MeterKey("c1")) {
		t.Errorf("got %v, a meter: %t", err, h.has(MeterKey("c1")))
	}
}
