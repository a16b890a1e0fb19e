package consumers

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

// Alike are APIBindings to one export that are in the same state.
type Alike struct {
	// Bound is whether all resources were bound once, and Deleting whether the deletion of the bindings has begun.
	Bound, Deleting bool
	// Reason is why they could not bind or follow; empty if they could, or if that is still to be seen.
	Reason string
	// Schemas are the names of the schemas that they have.
	Schemas map[schema.GroupResource]string
	// Bindings are in no order.
	Bindings []client.Key
}

// Of returns the bindings to an export, which the caller owns; false until all bindings have been seen.
func (c *Consumers) Of(export client.Key) ([]Alike, bool) {
	c.index.mu.Lock()
	defer c.index.mu.Unlock()
	if c.index.current == nil {
		return nil, false
	}
	var all []Alike
	for a := range c.index.current.exports[export] {
		one := Alike{Bound: a.state.bound, Deleting: a.state.deleting, Reason: a.state.reason, Schemas: map[schema.GroupResource]string{}, Bindings: make([]client.Key, 0, len(a.bindings))}
		a.state.uses(func(group, resource, name string) {
			one.Schemas[schema.GroupResource{Group: group, Resource: resource}] = name
		})
		for handle := range a.bindings {
			one.Bindings = append(one.Bindings, handle.Value())
		}
		all = append(all, one)
	}
	return all, true
}

// Feed returns a feed that queues each export after its consumers have changed, and waits for more changes that long.
func (c *Consumers) Feed(after time.Duration) func(ctx context.Context, add func(client.Key, time.Duration)) {
	return func(ctx context.Context, add func(client.Key, time.Duration)) {
		defer c.changes.subscribe(func(export client.Key) { add(export, after) })()
		<-ctx.Done()
	}
}

// changes tells others of exports whose consumers have changed. The zero value tells nobody.
type changes struct {
	mu    sync.Mutex
	next  int
	tells map[int]func(client.Key)
}

// subscribe has told called until the function that it returns is.
func (c *changes) subscribe(told func(client.Key)) (cancel func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.next
	c.next++
	if c.tells == nil {
		c.tells = map[int]func(client.Key){}
	}
	c.tells[id] = told
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.tells, id)
	}
}

func (c *changes) tell(export client.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, told := range c.tells {
		told(export)
	}
}
