package multicluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/queue"
)

// Watch maps changes of a resource to keys.
type Watch struct {
	Resource schema.GroupResource
	// Keys returns what to reconcile after an Added, Modified or Deleted event; if nil, it is the key of the object itself.
	// After an error it is called again with the same event, so that no event is lost.
	Keys func(ctx context.Context, event client.Event) ([]client.Key, error)
	// Restarted is called before and after the watch shows what exists: deletions before that may have been missed. Nil for none.
	Restarted func()
	// Content is where only the heads of objects are watched, without decoding them; nil to watch objects. HeadKeys is what Keys is
	// otherwise, and required.
	Content  client.Content
	HeadKeys func(ctx context.Context, event client.HeadEvent) ([]client.Key, error)
	// Listed reports whether an event is made of a head that exists when the watch begins; nil for all.
	Listed func(client.Head) bool
	// After is how long the keys of a change wait. Watch caches show what belongs together at about the same time, but not at once.
	After time.Duration
}

// OnlyChanges is for Watch.Listed: what exists when the watch begins does not matter.
func OnlyChanges(client.Head) bool { return false }

// Spec describes a controller.
type Spec struct {
	// Name is unique in the process; it labels the metrics and logs of the controller.
	Name string
	// Workers is how many reconciles may run at once; 0 means 1. One key is never reconciled twice at once.
	Workers int
	Watches []Watch
	// Synced is called once each watch has shown all that exists. Nil for nothing.
	Synced func()
	// Feeds queue keys, each after some time, for reasons other than a change of an object. They run until ctx ends.
	Feeds []func(ctx context.Context, add func(key client.Key, after time.Duration))
	// Reconcile reads the current state for one key and does one step. It may return the Conflict of a write as it is:
	// that is no failure, and the key is tried again after a moment.
	Reconcile func(ctx context.Context, key client.Key) (reconcile.Result, error)
}

// reconcileFunc is the type of Spec.Reconcile.
type reconcileFunc = func(ctx context.Context, key client.Key) (reconcile.Result, error)

// after returns next, which waits for start before its first call.
func after(start <-chan struct{}, next reconcileFunc) reconcileFunc {
	return func(ctx context.Context, key client.Key) (reconcile.Result, error) {
		select {
		case <-start:
			return next(ctx, key)
		case <-ctx.Done():
			return reconcile.Result{}, nil
		}
	}
}

// afterConflict is the wait after a conflict with another write that is not in the watch cache yet.
const afterConflict = 20 * time.Millisecond

// afterDeletion is the wait after a create was refused because what the object would belong to is being deleted.
const afterDeletion = time.Second

// toleratingConflicts returns next with the one rule for conflicts: try again, without an error and without backoff. What fails
// because the controller is being stopped, or because of a deletion that has just begun, is no error either.
func toleratingConflicts(next reconcileFunc) reconcileFunc {
	return func(ctx context.Context, key client.Key) (reconcile.Result, error) {
		result, err := next(ctx, key)
		if err != nil && ctx.Err() != nil {
			return reconcile.Result{}, nil
		}
		if apierrors.IsConflict(err) {
			klog.FromContext(ctx).V(4).Info("Trying again", "reason", err.Error())
			return reconcile.Result{RequeueAfter: afterConflict}, nil
		}
		if apierrors.HasStatusCause(err, corev1alpha1.LogicalClusterTerminatingCause) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			klog.FromContext(ctx).V(4).Info("Waiting for a deletion", "reason", err.Error())
			return reconcile.Result{RequeueAfter: afterDeletion}, nil
		}
		return result, err
	}
}

// Run runs the controller described by spec until ctx ends. It reconciles nothing before each watch has shown all that exists:
// what went away before a watch saw it would otherwise go unnoticed by who was reconciled while it was there.
func Run(ctx context.Context, from client.Reader, spec Spec) error {
	unique := true
	synced := make(chan struct{})
	var behind atomic.Int64
	behind.Store(int64(len(spec.Watches)))
	complete := func() {
		close(synced)
		if spec.Synced != nil {
			spec.Synced()
		}
	}
	shown := func() {
		if behind.Add(-1) == 0 {
			complete()
		}
	}
	if len(spec.Watches) == 0 {
		complete()
	}
	// Log messages of controller-runtime only at a higher verbosity. Errors are always logged.
	base := klog.FromContext(ctx).V(2).WithValues("controller", spec.Name)
	c, err := controller.NewTypedUnmanaged(spec.Name, controller.TypedOptions[client.Key]{
		MaxConcurrentReconciles: max(spec.Workers, 1),
		SkipNameValidation:      &unique,
		RateLimiter:             queue.NewLimiter[client.Key](),
		NewQueue: func(name string, limiter workqueue.TypedRateLimiter[client.Key]) workqueue.TypedRateLimitingInterface[client.Key] {
			return queue.New(name, limiter, func(key client.Key) logicalcluster.Name { return key.Cluster })
		},
		Reconciler: reconcile.TypedFunc[client.Key](after(synced, toleratingConflicts(spec.Reconcile))),
		Logger:     base,
		LogConstructor: func(key *client.Key) klog.Logger {
			if key == nil {
				return base
			}
			return base.WithValues("cluster", key.Cluster, "namespace", key.Namespace, "name", key.Name)
		},
	})
	if err != nil {
		return fmt.Errorf("building controller %s: %w", spec.Name, err)
	}
	for _, watch := range spec.Watches {
		if err := c.Watch(feed(from, watch, sync.OnceFunc(shown))); err != nil {
			return fmt.Errorf("watching %s for controller %s: %w", watch.Resource, spec.Name, err)
		}
	}
	for _, run := range spec.Feeds {
		if err := c.Watch(source.TypedFunc[client.Key](func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[client.Key]) error {
			go run(ctx, queue.AddAfter)
			return nil
		})); err != nil {
			return fmt.Errorf("feeding controller %s: %w", spec.Name, err)
		}
	}
	if err := c.Start(ctx); err != nil {
		return fmt.Errorf("running controller %s: %w", spec.Name, err)
	}
	return nil
}

// mapRetry is the wait before an event is mapped again after an error.
const mapRetry = 100 * time.Millisecond

// mapped returns the keys for an event of an object. It tries until that succeeds or ctx ends; later events wait meanwhile.
func mapped(ctx context.Context, gr schema.GroupResource, object client.Key, keys func() ([]client.Key, error)) []client.Key {
	var found []client.Key
	reported := false
	// The only error is the end of ctx.
	_ = wait.PollUntilContextCancel(ctx, mapRetry, true, func(ctx context.Context) (bool, error) {
		var err error
		if found, err = keys(); err == nil {
			return true, nil
		}
		if ctx.Err() == nil && !reported {
			reported = true
			klog.FromContext(ctx).Error(err, "Finding what an event concerns; trying again", "resource", gr, "cluster", object.Cluster, "namespace", object.Namespace, "name", object.Name)
		}
		return false, nil
	})
	return found
}

// follow calls handle for each step of the watch. Keys are those of an event, and nil for Reset and Synced.
func (w Watch) follow(ctx context.Context, from client.Reader, handle func(event client.EventType, keys func() []client.Key)) error {
	if w.Content != nil {
		return w.Content.Watch(ctx, client.WatchScope{Resource: w.Resource, Listed: w.Listed}, func(event client.HeadEvent) {
			switch {
			case event.Type != client.Reset && event.Type != client.Synced:
				handle(event.Type, func() []client.Key {
					return mapped(ctx, w.Resource, event.Head.Key(), func() ([]client.Key, error) { return w.HeadKeys(ctx, event) })
				})
			case event.Source != "": // a resource has one
				handle(event.Type, nil)
			}
		})
	}
	return from.Watch(ctx, w.Resource, func(event client.Event) {
		if event.Object == nil {
			handle(event.Type, nil)
			return
		}
		handle(event.Type, func() []client.Key {
			key := client.KeyOf(event.Object)
			if w.Keys == nil {
				return []client.Key{key}
			}
			return mapped(ctx, w.Resource, key, func() ([]client.Key, error) { return w.Keys(ctx, event) })
		})
	})
}

const (
	// few is how many keys may wait before a change does.
	few = 128
	// trickleInterval is the pause until a queue is looked at again, for as long as etcd may be away.
	trickleInterval = 10 * time.Millisecond
)

// trickle queues the keys of what was there when a watch began, a few at a time: somebody may wait for what changes meanwhile.
func trickle(ctx context.Context, queue workqueue.TypedRateLimitingInterface[client.Key], keys []client.Key) {
	for _, key := range keys {
		for queue.Len() >= few {
			select {
			case <-ctx.Done():
				return
			case <-time.After(trickleInterval):
			}
		}
		queue.Add(key)
	}
}

// feed returns the source that queues the events of a watch. It calls synced when the watch has shown all that exists, or ends.
func feed(from client.Reader, watch Watch, synced func()) source.TypedSource[client.Key] {
	return source.TypedFunc[client.Key](func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[client.Key]) error {
		go func() {
			defer synced()
			var present []client.Key
			listing := true
			err := watch.follow(ctx, from, func(event client.EventType, keys func() []client.Key) {
				switch {
				case event == client.Reset:
					present, listing = nil, true
				case event == client.Synced:
					go trickle(ctx, queue, present)
					present, listing = nil, false
					synced()
				case listing:
					present = append(present, keys()...)
					return
				default:
					for _, key := range keys() {
						if watch.After == 0 {
							queue.Add(key)
						} else {
							queue.AddAfter(key, watch.After)
						}
					}
					return
				}
				if watch.Restarted != nil {
					watch.Restarted()
				}
			})
			if err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Watch ended", "resource", watch.Resource)
			}
		}()
		return nil
	})
}
