package storage

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// TestFootprint measures what an object costs in the watch caches and prints it. It is a measurement, run by
// ANNEX_FOOTPRINT=1, and checks only that the figures have not gone out of hand.
func TestFootprint(t *testing.T) {
	if os.Getenv("ANNEX_FOOTPRINT") == "" {
		t.Skip("set ANNEX_FOOTPRINT=1 to measure")
	}
	const clusters = 4000
	for _, c := range []struct {
		name  string
		store func(testing.TB, *Backend) *store
		make  func() object
		limit uint64 // bytes
	}{
		{"namespace default", namespaceStore, func() object {
			n := &corev1.Namespace{}
			n.Name, n.UID = "default", "00000000-0000-4000-8000-000000000000"
			n.Labels = map[string]string{"kubernetes.io/metadata.name": "default"}
			n.Spec.Finalizers = []corev1.FinalizerName{"kubernetes"}
			return n
		}, 2200},
		{"configmap kube-root-ca.crt of 1 KiB", configMapStore, func() object {
			m := configMap("default", "kube-root-ca.crt")
			m.Data = map[string]string{"ca.crt": string(make([]byte, 1024))}
			return m
		}, 3600},
		{"custom resource, no labels", widgetStore, func() object { return widget("default", "w", "red") }, 700},
		{"custom resource, one label", widgetStore, func() object {
			w := widget("default", "w", "red")
			w.SetLabels(map[string]string{"app": "x"})
			return w
		}, 900},
		{"bulky object with an equal spec of 20 KiB", namespaceStore, func() object {
			n := &corev1.Namespace{}
			n.Name, n.UID = "widgets.example.com", "00000000-0000-4000-8000-000000000000"
			n.Spec.Finalizers = []corev1.FinalizerName{corev1.FinalizerName(make([]byte, 20<<10))}
			return n
		}, 1100},
	} {
		client := runEtcd(t)
		b := newTestBackend(t, client, coreCodec(t))
		s := c.store(t, b)
		waitReady(t, b)
		for i := range clusters {
			ctx := in(t.Context(), fmt.Sprintf("2f8kq1z0c7a%05d", i))
			create(t, ctx, s, c.make())
		}
		b.Destroy()
		// The same caches over another prefix hold nothing.
		before := heap()
		none, err := NewBackend(Config{Orphans: true, Client: client, Codec: coreCodec(t), Prefix: "/none", CompactionInterval: -1})
		if err != nil {
			t.Fatal(err)
		}
		s = c.store(t, none)
		waitReady(t, none)
		empty := heap()
		runtime.KeepAlive(s)
		none.Destroy()

		again := heap()
		b = newTestBackend(t, client, coreCodec(t))
		s = c.store(t, b)
		waitReady(t, b)
		list(t, logicalcluster.WithCluster(WithBucket(t.Context(), LocalBucket), "none"), s, s.root, apistorage.ListOptions{Recursive: true})
		full := heap()
		each := (full - again - (empty - before)) / clusters
		t.Logf("%s: %d B each; empty caches %d KiB", c.name, each, (empty-before)/1024)
		if each > c.limit {
			t.Errorf("%s costs %d B, want %d at most", c.name, each, c.limit)
		}
		runtime.KeepAlive(s)
		b.Destroy()
	}
}

func heap() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
