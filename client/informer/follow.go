package informer

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// source is one of the servers that an informer follows.
type source struct {
	// keys are those of the objects that are from this server; listing those that its present list has shown, nil between lists.
	keys, listing map[client.Key]struct{}
	// clusters counts the keys of each cluster.
	clusters map[logicalcluster.Name]int
	synced   bool
	err      error // why it is not synced, if anything is wrong
}

const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// Watcher is what a server is followed by; every client.Reader is one.
type Watcher interface {
	Watch(ctx context.Context, resource schema.GroupResource, handle func(client.Event)) error
}

// Follow keeps the informer current with what is at a server until ctx ends; then the objects from there are forgotten, and no handler hears of
// it: nobody has deleted them. Then done is closed. A server that does not serve the resource is asked again. Each server has a name of its own.
func (i *Informer) Follow(ctx context.Context, name string, from Watcher) (done <-chan struct{}, err error) {
	s := &source{keys: map[client.Key]struct{}{}, clusters: map[logicalcluster.Name]int{}}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.sources[name] != nil {
		return nil, fmt.Errorf("%s is followed already", name)
	}
	// From now on WaitForSync waits for it.
	i.sources[name] = s
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer i.forget(name, s)
		i.follow(ctx, name, s, from)
	}()
	return ended, nil
}

func (i *Informer) follow(ctx context.Context, name string, s *source, from Watcher) {
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		err := from.Watch(ctx, i.resource, func(event client.Event) {
			if err := i.handle(ctx, s, event); err != nil {
				klog.FromContext(ctx).Error(err, "Keeping an object", "resource", i.resource)
			}
		})
		if ctx.Err() != nil {
			return
		}
		i.mu.Lock()
		s.err = err
		i.look()
		i.mu.Unlock()
		klog.FromContext(ctx).Error(err, "Watch ended; trying again", "resource", i.resource, "endpoint", name)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
	}
}

// Has reports whether an object of cluster is from the server called name.
func (i *Informer) Has(name string, cluster logicalcluster.Name) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.sources[name]
	return s != nil && s.clusters[cluster] > 0
}

// look lets those look again who wait. mu is held.
func (i *Informer) look() {
	close(i.changed)
	i.changed = make(chan struct{})
}

func (i *Informer) forget(name string, s *source) {
	i.turn.Lock()
	defer i.turn.Unlock()
	i.mu.Lock()
	defer i.mu.Unlock()
	for key := range s.keys {
		if obj := i.Get(key); obj != nil {
			_ = i.objects.Delete(obj) // fails only for what is no object
		}
	}
	delete(i.sources, name)
	i.look()
}

// handle takes one step of a watch.
func (i *Informer) handle(ctx context.Context, s *source, event client.Event) error {
	if event.Type == client.Added || event.Type == client.Modified {
		kept, err := i.transform(event.Object)
		if err != nil {
			return fmt.Errorf("transforming %s: %w", client.KeyOf(event.Object), err)
		}
		event.Object = kept
	}
	i.turn.Lock()
	defer i.turn.Unlock()
	switch event.Type {
	case client.Reset:
		s.listing = map[client.Key]struct{}{}
	case client.Synced:
		return i.complete(ctx, s)
	case client.Added, client.Modified:
		return i.keep(ctx, s, event.Object)
	case client.Deleted:
		return i.remove(ctx, s, client.KeyOf(event.Object), event.Object)
	}
	return nil
}

// keep takes an object that was created, changed or listed. turn is held.
func (i *Informer) keep(ctx context.Context, s *source, obj client.Object) error {
	key := client.KeyOf(obj)
	old := i.Get(key)
	i.mu.Lock()
	if _, known := s.keys[key]; !known {
		s.keys[key] = struct{}{}
		s.clusters[key.Cluster]++
	}
	i.mu.Unlock()
	if s.listing != nil {
		s.listing[key] = struct{}{}
	}
	if old != nil && old.GetResourceVersion() == obj.GetResourceVersion() && old.GetUID() == obj.GetUID() {
		return nil
	}
	if err := i.objects.Add(obj); err != nil {
		return fmt.Errorf("keeping %s: %w", key, err)
	}
	i.tell(ctx, s, Change{Old: old, New: obj})
	return nil
}

// complete removes what a list has not shown. turn is held.
func (i *Informer) complete(ctx context.Context, s *source) error {
	for key := range s.keys {
		if _, ok := s.listing[key]; ok {
			continue
		}
		if err := i.remove(ctx, s, key, nil); err != nil {
			return err
		}
	}
	s.listing = nil
	i.mu.Lock()
	first := !s.synced
	s.synced, s.err = true, nil
	i.look()
	i.mu.Unlock()
	if first {
		i.show(ctx, s)
	}
	return nil
}

// remove forgets an object that was deleted; last is its last state, nil if nobody knows it. turn is held.
func (i *Informer) remove(ctx context.Context, s *source, key client.Key, last client.Object) error {
	i.mu.Lock()
	if _, known := s.keys[key]; known {
		delete(s.keys, key)
		if s.clusters[key.Cluster]--; s.clusters[key.Cluster] == 0 {
			delete(s.clusters, key.Cluster)
		}
	}
	i.mu.Unlock()
	delete(s.listing, key)
	old := i.Get(key)
	if old == nil {
		return nil // nobody has heard of it
	}
	if err := i.objects.Delete(old); err != nil {
		return fmt.Errorf("forgetting %s: %w", key, err)
	}
	if last == nil {
		last = old
	}
	i.tell(ctx, s, Change{Old: last})
	return nil
}
