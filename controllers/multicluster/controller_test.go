package multicluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

var (
	configMaps = schema.GroupResource{Resource: "configmaps"}
	secrets    = schema.GroupResource{Resource: "secrets"}
)

func configMap(cluster logicalcluster.Name, name string) client.Object {
	return clienttest.In(cluster, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
}

// run runs a controller over client until the test ends and returns the keys that it reconciles.
func run(t *testing.T, c *clienttest.Fake, watch Watch, fail func(client.Key) error) <-chan client.Key {
	t.Helper()
	keys := make(chan client.Key, 100)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		done <- Run(ctx, c, Spec{Name: t.Name(), Watches: []Watch{watch}, Reconcile: func(_ context.Context, key client.Key) (reconcile.Result, error) {
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

func next(t *testing.T, keys <-chan client.Key) client.Key {
	t.Helper()
	select {
	case key := <-keys:
		return key
	case <-time.After(2 * time.Minute):
		t.Fatal("nothing is reconciled")
		return client.Key{}
	}
}

func TestRun_ReconcilesEqualNamesOfTwoClustersApart(t *testing.T) {
	c := clienttest.NewFake(configMap("one", "same"), configMap("two", "same"))
	keys := run(t, c, Watch{Resource: configMaps}, func(client.Key) error { return nil })
	seen := map[client.Key]bool{next(t, keys): true, next(t, keys): true}
	for _, cluster := range []logicalcluster.Name{"one", "two"} {
		if key := (client.Key{Cluster: cluster, Namespace: "default", Name: "same"}); !seen[key] {
			t.Errorf("%s was not reconciled: %v", key, seen)
		}
	}
}

func TestRun_TriesAgainAfterAnError(t *testing.T) {
	c := clienttest.NewFake(configMap("one", "a"))
	failures := 2
	keys := run(t, c, Watch{Resource: configMaps}, func(client.Key) error {
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

func TestRun_ChangesPassWhatWasThere(t *testing.T) {
	const there = 1000
	objects := make([]client.Object, there)
	for i := range objects {
		objects[i] = configMap("one", fmt.Sprint("a", i))
	}
	c := clienttest.NewFake(objects...)
	keys := run(t, c, Watch{Resource: configMaps}, func(client.Key) error { return nil })
	first := next(t, keys)
	if _, err := c.Create(t.Context(), configMaps, "one", configMap("one", "new")); err != nil {
		t.Fatal(err)
	}
	seen, place := map[client.Key]bool{first: true}, 0
	for len(seen) <= there {
		key := next(t, keys)
		if seen[key] = true; key.Name == "new" {
			place = len(seen)
		}
	}
	// Nobody reads more keys than the channel of the test holds, and the few that wait, before the change is there.
	if place > there/2 {
		t.Errorf("the change is number %d of %d", place, there)
	}
}

func TestRun_LetsKeysOfChangesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clienttest.NewFake(configMap("one", "before"))
		keys := run(t, c, Watch{Resource: configMaps, After: time.Minute}, func(client.Key) error { return nil })
		if key := next(t, keys); key.Name != "before" { // nothing else will say what it belongs to
			t.Errorf("reconciled %s", key)
		}
		if _, err := c.Create(t.Context(), configMaps, "one", configMap("one", "new")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		if len(keys) > 0 {
			t.Errorf("reconciled %s at once", <-keys)
		}
		if key := next(t, keys); key.Name != "new" {
			t.Errorf("reconciled %s", key)
		}
	})
}

func TestRun_MapsEventsToKeys(t *testing.T) {
	c := clienttest.NewFake()
	owner := client.Key{Cluster: "elsewhere", Name: "owner"}
	keys := run(t, c, Watch{Resource: configMaps, Keys: func(context.Context, client.Event) ([]client.Key, error) { return []client.Key{owner}, nil }},
		func(client.Key) error { return nil })
	if _, err := c.Create(t.Context(), configMaps, "one", configMap("one", "a")); err != nil {
		t.Fatal(err)
	}
	if key := next(t, keys); key != owner {
		t.Errorf("reconciled %s, want %s", key, owner)
	}
}

func TestRun_MapsAnEventAgainAfterAnError(t *testing.T) {
	c := clienttest.NewFake(configMap("one", "a"))
	failures := 2
	keys := run(t, c, Watch{Resource: configMaps, Keys: func(_ context.Context, event client.Event) ([]client.Key, error) {
		if failures--; failures >= 0 {
			return nil, errors.New("the cache is still being filled")
		}
		return []client.Key{client.KeyOf(event.Object)}, nil
	}}, func(client.Key) error { return nil })
	if key := next(t, keys); key.Name != "a" {
		t.Errorf("reconciled %s", key)
	}
}

// A watch of heads shows what exists as far as it is wanted, and every change.
func TestRun_WatchesHeads(t *testing.T) {
	c := clienttest.NewFake(configMap("one", "a"), configMap("one", "b"))
	keys := run(t, c, Watch{
		Resource: configMaps, Content: clienttest.NewContent(c), Listed: func(h client.Head) bool { return h.Name == "b" },
		HeadKeys: func(_ context.Context, event client.HeadEvent) ([]client.Key, error) {
			return []client.Key{event.Head.Key()}, nil
		},
	}, func(client.Key) error { return nil })
	if key := next(t, keys); key.Name != "b" {
		t.Errorf("reconciled %s", key)
	}
	if err := c.Delete(t.Context(), configMaps, client.KeyOf(configMap("one", "a")), nil); err != nil {
		t.Fatal(err)
	}
	if key := next(t, keys); key.Name != "a" {
		t.Errorf("reconciled %s", key)
	}
}

func TestRun_SaysNothingOfAMappingThatItsEndInterrupts(t *testing.T) {
	var log bytes.Buffer
	logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log)))
	ctx, stop := context.WithCancel(klog.NewContext(t.Context(), logger))
	mapped(ctx, configMaps, client.Key{Cluster: "one", Name: "a"}, func() ([]client.Key, error) {
		stop()
		return nil, errors.New("the cache is stopped")
	})
	if log.Len() > 0 {
		t.Errorf("it prints: %s", &log)
	}
}

func TestRun_AgainAfterItsEnd(t *testing.T) {
	c := clienttest.NewFake(configMap("one", "a"))
	for range 3 {
		ctx, stop := context.WithCancel(t.Context())
		keys, done := make(chan client.Key, 100), make(chan error, 1)
		working := make(chan struct{})
		go func() {
			done <- Run(ctx, c, Spec{Name: t.Name(), Watches: []Watch{{Resource: configMaps}}, Reconcile: func(ctx context.Context, key client.Key) (reconcile.Result, error) {
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

func TestRun_BeingStoppedIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stopped := toleratingConflicts(func(ctx context.Context, _ client.Key) (reconcile.Result, error) {
		return reconcile.Result{}, ctx.Err()
	})
	if result, err := stopped(ctx, client.Key{}); err != nil || !result.IsZero() {
		t.Errorf("got %v, %v", result, err)
	}
}

func TestRun_ConflictsAreNoFailures(t *testing.T) {
	conflict := fmt.Errorf("updating: %w", apierrors.NewConflict(configMaps, "a", errors.New("somebody was faster")))
	key := client.Key{Cluster: "one", Namespace: "default", Name: "a"}
	tolerant := toleratingConflicts(func(context.Context, client.Key) (reconcile.Result, error) { return reconcile.Result{}, conflict })
	if result, err := tolerant(t.Context(), key); err != nil || result.RequeueAfter != afterConflict {
		t.Errorf("a conflict gives %v, %v", result, err)
	}
	failure := errors.New("not yet")
	tolerant = toleratingConflicts(func(context.Context, client.Key) (reconcile.Result, error) {
		return reconcile.Result{RequeueAfter: time.Hour}, failure
	})
	if result, err := tolerant(t.Context(), key); !errors.Is(err, failure) || result.RequeueAfter != time.Hour {
		t.Errorf("a failure gives %v, %v", result, err)
	}
}

func TestRun_DeletionsAreNoFailures(t *testing.T) {
	for _, cause := range []metav1.CauseType{corev1.NamespaceTerminatingCause, corev1alpha1.LogicalClusterTerminatingCause} {
		refused := apierrors.NewForbidden(configMaps, "a", errors.New("is being deleted"))
		refused.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: cause}}
		tolerant := toleratingConflicts(func(context.Context, client.Key) (reconcile.Result, error) {
			return reconcile.Result{}, fmt.Errorf("creating: %w", refused)
		})
		if result, err := tolerant(t.Context(), client.Key{Cluster: "one"}); err != nil || result.RequeueAfter != afterDeletion {
			t.Errorf("%s gives %v, %v", cause, result, err)
		}
	}
}

// lateReader shows secrets only after release.
type lateReader struct {
	client.Reader
	release chan struct{}
}

func (r *lateReader) Watch(ctx context.Context, resource schema.GroupResource, handle func(client.Event)) error {
	if resource == secrets {
		<-r.release
	}
	return r.Reader.Watch(ctx, resource, handle)
}

func TestRun_BeginsWhenEveryWatchHasShownWhatExists(t *testing.T) {
	from := &lateReader{Reader: clienttest.NewFake(configMap("one", "a")), release: make(chan struct{})}
	queued, early, done := make(chan struct{}), make(chan bool, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	spec := Spec{
		Name: t.Name(),
		Watches: []Watch{
			{Resource: configMaps, Keys: func(_ context.Context, event client.Event) ([]client.Key, error) {
				defer close(queued)
				return []client.Key{client.KeyOf(event.Object)}, nil
			}},
			{Resource: secrets},
		},
		Reconcile: func(context.Context, client.Key) (reconcile.Result, error) {
			select {
			case <-from.release:
				early <- false
			default:
				early <- true
			}
			return reconcile.Result{}, nil
		},
	}
	go func() { done <- Run(ctx, from, spec) }()
	<-queued
	close(from.release)
	if <-early {
		t.Error("it began before the second watch had shown what exists")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAfter_WaitsForItsStart(t *testing.T) {
	start, called := make(chan struct{}), false
	gated := after(start, func(context.Context, client.Key) (reconcile.Result, error) {
		called = true
		return reconcile.Result{}, nil
	})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gated(canceled, client.Key{}); err != nil || called {
		t.Errorf("before its start: called %v, %v", called, err)
	}
	close(start)
	if _, err := gated(t.Context(), client.Key{}); err != nil || !called {
		t.Errorf("after its start: called %v, %v", called, err)
	}
}
