package watchcache

import (
	"context"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// One revision may bring several objects of a resource: those that are rendered because a cluster was created (package rendered). A watch
// of all clusters that broke inside of it goes on behind it, and would miss the rest. So a watch that begins with such a revision gets
// its objects again. Watches of one cluster need that not: nobody can enter a cluster before that revision is over.

// BornAt returns the cluster whose rendered objects came in a revision; empty if there is none. SeenSince is the revision from which on
// every event was expanded; 0 if none was.
type BornAt func(ctx context.Context, revision, seenSince int64) (logicalcluster.Name, error)

// Watch implements storage.Interface.
func (c *Cache) Watch(ctx context.Context, key string, opts apistorage.ListOptions) (watch.Interface, error) {
	again, err := c.again(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	w, err := c.CacheDelegator.Watch(ctx, key, opts)
	if err != nil || len(again) == 0 {
		return w, err
	}
	return newPreceded(ctx, again, w), nil
}

// again returns the objects that a watch gets again.
func (c *Cache) again(ctx context.Context, key string, opts apistorage.ListOptions) ([]runtime.Object, error) {
	revision, err := strconv.ParseInt(opts.ResourceVersion, 10, 64)
	if err != nil || revision == 0 || c.bornAt == nil || key != c.Root+"/" || opts.SendInitialEvents != nil {
		return nil, nil
	}
	cluster, err := c.bornAt(ctx, revision)
	if err != nil || cluster.Empty() {
		return nil, err
	}
	list := c.NewListFunc()
	cached := apistorage.ListOptions{ResourceVersion: "0", Recursive: true, Predicate: Complete(opts.Predicate)}
	cached.Predicate.Limit, cached.Predicate.Continue = 0, ""
	if err := c.CacheDelegator.GetList(ctx, key+cluster.String()+"/", cached, list); err != nil {
		return nil, err
	}
	objects, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	var again []runtime.Object
	for _, obj := range objects {
		// Later states of them are still to come.
		if accessor, err := meta.Accessor(obj); err == nil && accessor.GetResourceVersion() == opts.ResourceVersion {
			again = append(again, obj.DeepCopyObject())
		}
	}
	return again, nil
}

// preceded is a watch with events before those of another one.
type preceded struct {
	watch.Interface
	events chan watch.Event
	cancel context.CancelFunc
}

func newPreceded(ctx context.Context, first []runtime.Object, rest watch.Interface) *preceded {
	ctx, cancel := context.WithCancel(ctx)
	p := &preceded{Interface: rest, events: make(chan watch.Event), cancel: cancel}
	go func() {
		defer close(p.events)
		send := func(event watch.Event) bool {
			select {
			case p.events <- event:
				return true
			case <-ctx.Done():
				return false
			}
		}
		for _, obj := range first {
			if !send(watch.Event{Type: watch.Added, Object: obj}) {
				return
			}
		}
		for event := range rest.ResultChan() {
			if !send(event) {
				return
			}
		}
	}()
	return p
}

// ResultChan implements watch.Interface.
func (p *preceded) ResultChan() <-chan watch.Event { return p.events }

// Stop implements watch.Interface.
func (p *preceded) Stop() {
	p.cancel()
	p.Interface.Stop()
}
