package watchcache

import (
	"context"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/value"
)

// One revision may hold events of several objects of a resource: what is rendered in a cluster appears and is deleted together with the
// LogicalCluster (package rendered). A watch of all clusters that broke inside of the revision resumes after it, and would miss the rest.
// So a watch that begins after such a revision gets its events again. A watch of one cluster does not need them: nobody can enter a cluster
// before the first revision is over, and the watch ends with the second.

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

// again returns the events that a watch gets again.
func (c *Cache) again(ctx context.Context, key string, opts apistorage.ListOptions) ([]watch.Event, error) {
	revision, err := strconv.ParseInt(opts.ResourceVersion, 10, 64)
	if err != nil || revision == 0 || key != c.Root+"/" || opts.SendInitialEvents != nil {
		return nil, nil
	}
	events, err := c.feed.Again(ctx, c.prefix+key, revision)
	if err != nil {
		return nil, err
	}
	var again []watch.Event
	for _, e := range events {
		kind, kv := watch.Added, e.Kv
		if e.Type == clientv3.EventTypeDelete {
			kind, kv = watch.Deleted, e.PrevKv
		}
		obj, err := c.source.decode(ctx, kv, revision)
		if err != nil {
			return nil, err
		}
		if matches, err := opts.Predicate.Matches(obj); err == nil && matches {
			again = append(again, watch.Event{Type: kind, Object: obj})
		}
	}
	return again, nil
}

// decode returns the object stored as kv, in the state of a revision.
func (of Source) decode(ctx context.Context, kv *mvccpb.KeyValue, revision int64) (runtime.Object, error) {
	data, _, err := of.Transformer.TransformFromStorage(ctx, kv.Value, value.DefaultContext(kv.Key))
	if err != nil {
		return nil, err
	}
	obj, _, err := of.Codec.Decode(data, nil, of.NewFunc())
	if err != nil {
		return nil, err
	}
	return obj, apistorage.APIObjectVersioner{}.UpdateObject(obj, uint64(revision))
}

// preceded is a watch with events before those of another one.
type preceded struct {
	watch.Interface
	events chan watch.Event
	cancel context.CancelFunc
}

func newPreceded(ctx context.Context, first []watch.Event, rest watch.Interface) *preceded {
	ctx, cancel := context.WithCancel(ctx)
	p := &preceded{Interface: rest, events: make(chan watch.Event), cancel: cancel}
	go p.run(ctx, first)
	return p
}

func (p *preceded) run(ctx context.Context, first []watch.Event) {
	defer close(p.events)
	send := func(event watch.Event) bool {
		select {
		case p.events <- event:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for _, event := range first {
		if !send(event) {
			return
		}
	}
	for event := range p.Interface.ResultChan() {
		if !send(event) {
			return
		}
	}
}

// ResultChan implements watch.Interface.
func (p *preceded) ResultChan() <-chan watch.Event { return p.events }

// Stop implements watch.Interface.
func (p *preceded) Stop() {
	p.cancel()
	p.Interface.Stop()
}
