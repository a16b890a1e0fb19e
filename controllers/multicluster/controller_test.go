package multicluster

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/reader"
	"github.com/annex-dev/annex/client/reader/readertest"
)

var configMaps = schema.GroupResource{Resource: "configmaps"}

func configMap(cluster logicalcluster.Name, name string) reader.Object {
	return readertest.In(cluster, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
}

// run runs a controller over client until the test ends and returns the keys that it reconciles.
func run(t *testing.T, client *readertest.Fake, watch Watch, fail func(reader.Key) error) <-chan reader.Key {
	t.Helper()
	keys := make(chan reader.Key, 100)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		done <- Run(ctx, client, Spec{Name: t.Name(), Watches: []Watch{watch}, Reconcile: func(_ context.Context, key reader.Key) (reconcile.Result, error) {
			keys <- key
			return reconcile.Result{}, fail(key)
		}})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the controller ended with %v", err)
		}
	})
	return keys
}

func next(t *testing.T, keys <-chan reader.Key) reader.Key {
	t.Helper()
	select {
	case key := <-keys:
		return key
	case <-time.After(30 * time.Second):
		t.Fatal("nothing is reconciled")
		return reader.Key{}
	}
}

func TestRun_ReconcilesEqualNamesOfTwoClustersApart(t *testing.T) {
	client := readertest.NewFake(configMap("one", "same"), configMap("two", "same"))
	keys := run(t, client, Watch{Resource: configMaps}, func(reader.Key) error { return nil })
	seen := map[reader.Key]bool{next(t, keys): true, next(t, keys): true}
	for _, cluster := range []logicalcluster.Name{"one", "two"} {
		if key := (reader.Key{Cluster: cluster, Namespace: "default", Name: "same"}); !seen[key] {
			t.Errorf("%s was not reconciled: %v", key, seen)
		}
	}
}

func TestRun_TriesAgainAfterAnError(t *testing.T) {
	client := readertest.NewFake(configMap("one", "a"))
	failures := 2
	keys := run(t, client, Watch{Resource: configMaps}, func(reader.Key) error {
		if failures--; failures >= 0 {
			return errors.New("not yet")
		}
		return nil
	})
	first := next(t, keys)
	for range 2 {
		if again := next(t, keys); again != first {
			t.Errorf("reconciled %s after %s", again, first)
		}
	}
}

func TestRun_MapsEventsToKeys(t *testing.T) {
	client := readertest.NewFake()
	owner := reader.Key{Cluster: "elsewhere", Name: "owner"}
	keys := run(t, client, Watch{Resource: configMaps, Keys: func(context.Context, reader.Event) []reader.Key { return []reader.Key{owner} }},
		func(reader.Key) error { return nil })
	if _, err := client.Create(t.Context(), configMaps, "one", configMap("one", "a")); err != nil {
		t.Fatal(err)
	}
	if key := next(t, keys); key != owner {
		t.Errorf("reconciled %s, want %s", key, owner)
	}
}

func TestRun_AgainAfterItsEnd(t *testing.T) {
	client := readertest.NewFake(configMap("one", "a"))
	for range 3 {
		ctx, stop := context.WithCancel(t.Context())
		keys, done := make(chan reader.Key, 100), make(chan error, 1)
		working := make(chan struct{})
		go func() {
			done <- Run(ctx, client, Spec{Name: t.Name(), Watches: []Watch{{Resource: configMaps}}, Reconcile: func(ctx context.Context, key reader.Key) (reconcile.Result, error) {
				keys <- key
				<-ctx.Done()
				close(working)
				return reconcile.Result{}, ctx.Err()
			}})
		}()
		next(t, keys)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		select {
		case <-working:
		default:
			t.Fatal("the controller ended while it was still at work")
		}
	}
}
