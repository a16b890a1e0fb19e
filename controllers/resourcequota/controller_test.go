package resourcequota

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/core/quota"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// counter counts ConfigMaps.
type counter struct {
	mu      sync.Mutex
	counts  map[client.Key]int64
	changed func(logicalcluster.Name, string)
	ready   chan struct{}
	err     error
}

func (c *counter) QuotaCounts(_ context.Context, cluster logicalcluster.Name, namespace string, _ []*corev1.ResourceQuota) (quota.Counts, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[schema.GroupResource]int64{{Resource: "configmaps"}: c.counts[client.Key{Cluster: cluster, Namespace: namespace}]}
	return quota.Counts{Namespace: counts}, c.err
}

func (c *counter) WatchQuotaCounts(ctx context.Context, changed func(logicalcluster.Name, string)) {
	c.changed = changed
	close(c.ready)
	<-ctx.Done()
}

func (c *counter) set(cluster logicalcluster.Name, n int64) {
	c.mu.Lock()
	c.counts[client.Key{Cluster: cluster, Namespace: "ns"}] = n
	c.mu.Unlock()
	<-c.ready
	c.changed(cluster, "ns")
}

func limited(cluster logicalcluster.Name, name, to string) *corev1.ResourceQuota {
	return clienttest.In(cluster, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceConfigMaps: resource.MustParse(to), corev1.ResourcePods: resource.MustParse("1")}},
	})
}

func TestController_KeepsTheStatus(t *testing.T) {
	fake := clienttest.NewFake(limited("a", "q", "5"), limited("b", "q", "5"))
	counts := &counter{counts: map[client.Key]int64{{Cluster: "a", Namespace: "ns"}: 2}, ready: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	go func() {
		done <- multicluster.Run(running, fake, Specs(Config{Config: multicluster.Config{Client: fake}, Counts: counts})[0])
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	await := func(cluster logicalcluster.Name, name, hard, used string) {
		t.Helper()
		if _, err := fake.Await(ctx, quota.Resource, client.Key{Cluster: cluster, Namespace: "ns", Name: name}, func(object client.Object) bool {
			status := object.(*corev1.ResourceQuota).Status
			return status.Hard.Name(corev1.ResourceConfigMaps, "").String() == hard && status.Used.Name(corev1.ResourceConfigMaps, "").String() == used &&
				status.Used.Name(corev1.ResourcePods, "x").String() == "0" && len(status.Used) == 2
		}); err != nil {
			t.Fatalf("%s in %s does not show %s/%s: %v", name, cluster, used, hard, err)
		}
	}
	await("a", "q", "5", "2")
	await("b", "q", "5", "0")
	counts.set("b", 4)
	await("b", "q", "5", "4")
	if _, err := fake.Create(ctx, quota.Resource, "b", limited("b", "r", "9")); err != nil {
		t.Fatal(err)
	}
	await("b", "r", "9", "4")
	await("a", "q", "5", "2")
	// Somebody writes what is not so.
	read, err := fake.Get(ctx, quota.Resource, client.Key{Cluster: "a", Namespace: "ns", Name: "q"})
	if err != nil {
		t.Fatal(err)
	}
	forged := read.(*corev1.ResourceQuota).DeepCopy()
	forged.Status.Used[corev1.ResourceConfigMaps] = resource.MustParse("0")
	if _, err := fake.Update(ctx, quota.Resource, "a", forged); err != nil {
		t.Fatal(err)
	}
	await("a", "q", "5", "2")
	if got := fake.Mutated(); len(got) != 0 {
		t.Errorf("shared objects were changed: %v", got)
	}
}

func TestReconcile_WritesFewAtATime(t *testing.T) {
	var objects []client.Object
	for i := range 25 {
		objects = append(objects, limited("a", fmt.Sprint("q-", i), "5"))
	}
	fake := clienttest.NewFake(objects...)
	counts := &counter{counts: map[client.Key]int64{}, ready: make(chan struct{})}
	reconcile := Specs(Config{Config: multicluster.Config{Client: fake}, Counts: counts})[0].Reconcile
	key := client.Key{Cluster: "a", Namespace: "ns"}
	for i, want := range []int{10, 20, 25, 25} {
		result, err := reconcile(t.Context(), key)
		if err != nil || len(fake.Writes()) != want || (result.RequeueAfter > 0) != (i < 2) {
			t.Errorf("pass %d: %d writes, again after %v: %v", i, len(fake.Writes()), result.RequeueAfter, err)
		}
	}
	counts.err = errors.New("broken")
	if _, err := reconcile(t.Context(), key); !errors.Is(err, counts.err) {
		t.Errorf("got %v", err)
	}
}
