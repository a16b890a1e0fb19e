package multicluster

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/client"
)

// Target is what is known of an object of any kind before it exists.
type Target struct {
	Group string
	Key   client.Key
}

// Targets are the objects of any kind that the objects of a controller refer to. It holds an entry for each reference. It is safe for concurrent
// use.
type Targets struct {
	mu sync.Mutex
	// by are the objects that refer to a target, and of the targets of an object.
	by map[Target]map[client.Key]struct{}
	of map[client.Key][]Target
	// some is closed once there is a target.
	some chan struct{}
	once sync.Once
}

// NewTargets returns no targets.
func NewTargets() *Targets {
	return &Targets{by: map[Target]map[client.Key]struct{}{}, of: map[client.Key][]Target{}, some: make(chan struct{})}
}

// Follow records that the object called key refers to these targets and no others. Call it before they are read, so that no change is missed.
func (t *Targets) Follow(key client.Key, on ...Target) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Equal(t.of[key], on) {
		return
	}
	for _, before := range t.of[key] {
		delete(t.by[before], key)
		if len(t.by[before]) == 0 {
			delete(t.by, before)
		}
	}
	delete(t.of, key)
	if len(on) == 0 {
		return
	}
	t.of[key] = on
	for _, target := range on {
		if t.by[target] == nil {
			t.by[target] = map[client.Key]struct{}{}
		}
		t.by[target][key] = struct{}{}
	}
	t.once.Do(func() { close(t.some) })
}

// Empty reports whether nothing refers to anything.
func (t *Targets) Empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.by)+len(t.of) == 0
}

// on returns what may refer to the object of h.
func (t *Targets) on(h client.Head) []client.Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	var keys []client.Key
	for key := range t.by[Target{h.Resource.Group, h.Key()}] {
		keys = append(keys, key)
	}
	return keys
}

// all returns everything that refers to something.
func (t *Targets) all() []client.Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := make([]client.Key, 0, len(t.of))
	for key := range t.of {
		keys = append(keys, key)
	}
	return keys
}

// Feed returns what queues objects when something that they refer to changes; see Spec.Feeds. While nothing ever referred to anything, it watches
// nothing.
func (t *Targets) Feed(content client.Content) func(ctx context.Context, add func(key client.Key, after time.Duration)) {
	return func(ctx context.Context, add func(client.Key, time.Duration)) {
		select {
		case <-ctx.Done():
			return
		case <-t.some:
		}
		err := content.Watch(ctx, client.WatchScope{Listed: OnlyChanges}, func(event client.HeadEvent) {
			keys := t.on(event.Head)
			if event.Type == client.Synced && event.Source == "" {
				keys = t.all() // what happened before was perhaps missed
			}
			for _, key := range keys {
				add(key, 0)
			}
		})
		if err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "The objects that others refer to cannot be watched")
		}
	}
}
