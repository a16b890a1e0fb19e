package owners

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/client/v3/kubernetes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/core/quota"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// newWhole is newMetered with the namespace in which quotas can be for the cluster, and with another one.
func newWhole(t *testing.T) *house {
	t.Helper()
	h := newMetered(t, runEtcd(t), limits.Limits{})
	for _, name := range []string{quota.ClusterNamespace, "other"} {
		k := NamespaceKey("c1", name)
		h.known[k] = h.store(k, "uid", false)
	}
	return h
}

// wholeKey is the key of a quota in the namespace in which it can be for the cluster.
var wholeKey = layout.Key{Resource: quota.Resource, Cluster: "c1", Namespace: quota.ClusterNamespace, Name: "w"}

// wholeQuota returns that quota as it is stored; it is for the cluster if scoped is "true".
func wholeQuota(t *testing.T, scoped string, pairs ...string) []byte {
	t.Helper()
	q := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: wholeKey.Name, Namespace: quota.ClusterNamespace, Annotations: map[string]string{quota.ClusterScopedAnnotationKey: scoped}},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{}},
	}
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

// setWhole creates or updates the quota w for the cluster; for its namespace if scoped is not "true".
func (h *house) setWhole(scoped string, pairs ...string) {
	h.t.Helper()
	var revision int64
	if h.has(wholeKey) {
		revision = h.revision(wholeKey)
	}
	resp, err := h.OptimisticPut(h.t.Context(), h.path(wholeKey), wholeQuota(h.t, scoped, pairs...), revision, kubernetes.PutOptions{})
	if err != nil || !resp.Succeeded {
		h.t.Fatalf("writing the quota: %+v, %v", resp, err)
	}
}

func in(namespace, name string) layout.Key {
	k := configMap(name)
	k.Namespace = namespace
	return k
}

func exceeds(err error, quota string) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: "+quota+",")
}

func TestCharge_OfAWholeCluster(t *testing.T) {
	h := newWhole(t)
	mustCreate := func(k layout.Key) {
		t.Helper()
		if err := h.create(k, 10); err != nil {
			t.Errorf("creating %s: %v", k, err)
		}
	}
	mustExceed := func(k layout.Key, quota string) {
		t.Helper()
		if err := h.create(k, 10); !exceeds(err, quota) {
			t.Errorf("creating %s: %v", k, err)
		}
	}
	role := func(name string) layout.Key {
		return layout.Key{Resource: schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}, Cluster: "c1", Name: name}
	}
	mustCreate(in("ns", "before"))
	h.setWhole("true", "configmaps", "3", "count/clusterroles.rbac.authorization.k8s.io", "1", "count/namespaces", "4")
	mustCreate(in("other", "a"))
	mustCreate(in("admin", "a"))
	err := h.create(in("ns", "b"), 10)
	if want := `configmaps "b" is forbidden: exceeded quota: w, requested: configmaps=1, used: configmaps=3, limited: configmaps=3`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := h.Exceeded(t.Context(), in("ns", "b")); err == nil || h.Exceeded(t.Context(), layout.Key{Resource: configMaps, Cluster: "c2", Namespace: "ns"}) != nil {
		t.Error("a dry run says something else:", err)
	}
	mustCreate(role("r"))
	mustExceed(role("s"), "w")
	mustCreate(NamespaceKey("c1", "more"))
	mustExceed(NamespaceKey("c1", "too-many"), "w")
	// Another cluster knows nothing of it.
	elsewhere := in("ns", "b")
	elsewhere.Cluster = "c2"
	h.known[ClusterKey("c2")], h.known[NamespaceKey("c2", "ns")] = h.store(ClusterKey("c2"), "uid", false), h.store(NamespaceKey("c2", "ns"), "uid", false)
	mustCreate(elsewhere)
	// What is deleted makes room in all namespaces, for all processes.
	other := &house{t: t, etcd: h.etcd, Client: h.another(), known: h.known}
	other.delete(in("other", "a"))
	other.delete(NamespaceKey("c1", "more"))
	mustCreate(in("ns", "b"))
	mustExceed(in("ns", "c"), "w")
	mustCreate(NamespaceKey("c1", "more"))
	// A namespace with a quota of its own has to heed both.
	h.setWhole("true", "configmaps", "5")
	h.setQuota("q", "configmaps", "3")
	mustCreate(in("ns", "c"))
	mustExceed(in("ns", "d"), "q")
	mustCreate(in("other", "d"))
	mustExceed(in("other", "e"), "w")
	mustExceed(in("ns", "e"), "q")
	h.delete(in("ns", "c"))
	mustCreate(in("other", "e"))
	mustExceed(in("ns", "e"), "w")
	// A refusal by one quota uses nothing of the other.
	for _, k := range []layout.Key{in("ns", "before"), in("ns", "b")} {
		h.delete(k)
	}
	mustCreate(in("ns", "f"))
	mustCreate(in("ns", "g"))
	mustExceed(in("ns", "h"), "w")
	// Without the annotation it is a quota of its namespace.
	h.setWhole("false", "configmaps", "1")
	mustCreate(in("other", "i"))
	mustExceed(in("admin", "i"), "w")
	h.setWhole("true", "configmaps", "1")
	mustExceed(in("other", "j"), "w")
	h.delete(wholeKey)
	h.delete(quotaKey("q"))
	if h.quotaKeys() != 0 {
		t.Errorf("%d keys are left of quotas that are gone", h.quotaKeys())
	}
	if err := other.create(in("other", "j"), 10); err != nil {
		t.Error(err)
	}
}

// The annotation means something in one namespace only.
func TestCharge_OfAWholeClusterFromElsewhere(t *testing.T) {
	h := newWhole(t)
	k := quotaKey("w")
	value := []byte(strings.ReplaceAll(string(wholeQuota(t, "true", "configmaps", "0")), "admin", "other")) // of the same length
	if _, err := h.OptimisticPut(t.Context(), h.path(k), value, 0, kubernetes.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := h.create(in("other", "a"), 10); err != nil {
		t.Error(err)
	}
	if err := h.create(in("ns", "a"), 10); !exceeds(err, "w") {
		t.Errorf("got %v", err)
	}
}

func TestCharge_OfAWholeClusterLeavesNothing(t *testing.T) {
	h := newWhole(t)
	h.setWhole("true", "configmaps", "3")
	h.setQuota("q", "configmaps", "3")
	if err := h.create(in("ns", "a"), 10); err != nil || h.quotaKeys() != 4 {
		t.Fatalf("%d keys: %v", h.quotaKeys(), err)
	}
	// A namespace that goes takes what is counted in it, and nothing of the cluster.
	h.delete(in("ns", "a"))
	if h.delete(namespaceKey); h.quotaKeys() != 2 {
		t.Errorf("%d keys are left", h.quotaKeys())
	}
	if h.delete(clusterKey); h.quotaKeys() != 0 {
		t.Errorf("the LogicalCluster leaves %d keys", h.quotaKeys())
	}
}

// An older release has stored a quota, and an object past it.
func TestCharge_OfAWholeClusterIsAdopted(t *testing.T) {
	h := newWhole(t)
	if _, err := h.etcd.KV.Put(t.Context(), h.path(wholeKey), string(wholeQuota(t, "true", "configmaps", "2"))); err != nil {
		t.Fatal(err)
	}
	q, err := h.readQuota(t.Context(), &mvccpb.KeyValue{Value: wholeQuota(t, "true", "configmaps", "2")})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Adopt(t.Context(), "c1", "ns", nil); err != nil || h.quotaKeys() != 0 {
		t.Errorf("%d keys: %v", h.quotaKeys(), err)
	}
	if err := h.Adopt(t.Context(), "c1", quota.ClusterNamespace, []*corev1.ResourceQuota{q}); err != nil {
		t.Fatal(err)
	}
	for _, k := range []layout.Key{in("ns", "a"), in("other", "a")} {
		if err := h.create(k, 10); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.create(in("ns", "b"), 10); !exceeds(err, "w") {
		t.Errorf("got %v", err)
	}
	h.remove(in("ns", "a"))
	if n, err := h.Objects(t.Context(), in("", "")); n != 1 || err != nil {
		t.Errorf("%d objects, %v", n, err)
	}
	if err := h.create(in("ns", "b"), 10); err != nil {
		t.Error(err)
	}
	h.remove(wholeKey)
	if err := h.Adopt(t.Context(), "c1", quota.ClusterNamespace, nil); err != nil || h.quotaKeys() != 0 {
		t.Errorf("%d keys: %v", h.quotaKeys(), err)
	}
}

// Whatever several processes do at once in several namespaces, one of which has a quota of its own, neither quota is exceeded, nobody waits
// for ever, and in the end as many are there as are counted.
func TestCharge_OfAWholeClusterIsExact(t *testing.T) {
	h := newWhole(t)
	const most, ofNamespace = 40, 15
	h.setWhole("true", "configmaps", fmt.Sprint(most))
	h.setQuota("q", "configmaps", fmt.Sprint(ofNamespace))
	var created, inNamespace atomic.Int64
	var wg sync.WaitGroup
	for p := range 3 {
		process := &house{t: t, etcd: h.etcd, Client: h.another(), known: h.known}
		for w := range 4 {
			wg.Go(func() {
				for i := range 30 {
					k := in([]string{"ns", "other", "admin"}[(i+w)%3], fmt.Sprintf("p%d-%d-%d", p, w, i))
					err := process.create(k, 10)
					switch {
					case err != nil && !exceeds(err, "w") && !exceeds(err, "q"):
						t.Error(err)
					case err == nil && rand.IntN(6) == 0:
						process.delete(k)
					case err == nil:
						if created.Add(1); k.Namespace == "ns" {
							inNamespace.Add(1)
						}
					}
				}
			})
		}
	}
	wg.Wait()
	for i := range most {
		if h.create(in("other", fmt.Sprint("fill-", i)), 10) == nil {
			created.Add(1)
		}
	}
	if created.Load() != most || inNamespace.Load() > ofNamespace {
		t.Errorf("%d are left, %d of them in the namespace", created.Load(), inNamespace.Load())
	}
	for k, want := range map[layout.Key]int64{in("", ""): most, in("ns", ""): inNamespace.Load()} {
		if n, err := h.another().Objects(t.Context(), k); n != want || err != nil {
			t.Errorf("%q: %d are counted, want %d: %v", k.Namespace, n, want, err)
		}
	}
}

// Quotas are in the main etcd, and what they count may be in another one.
func TestCharge_OfAWholeClusterInAnotherEtcd(t *testing.T) {
	p := newPair(t, runEtcd(t), runEtcd(t))
	admin := NamespaceKey("c1", quota.ClusterNamespace)
	p.main.known[admin] = p.main.store(admin, "uid", false)
	create := func(name string) error {
		t.Helper()
		k := widgetKey
		k.Name = name
		_, _, err := p.put(local(t.Context()), k)
		return err
	}
	p.main.setWhole("true", "count/widgets.example.com", "1")
	if err := create("a"); err != nil {
		t.Fatal(err)
	}
	if err := create("b"); !exceeds(err, "w") {
		t.Errorf("got %v", err)
	}
	p.main.delete(wholeKey)
	if err := create("b"); err != nil || p.quotaKeys() != 0 {
		t.Errorf("%d keys: %v", p.quotaKeys(), err)
	}
}
