package inprocess

import (
	"sync"
	"weak"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/follow"
)

// recentCopies is how many events the watches of a resource may be apart and still share copies.
const recentCopies = 64

// copies gives all watches of a resource the same copy of the object of an event, which is shared anyway. The watch cache makes one for
// each of them, and some resources have seven. Nothing is held: a copy that the garbage collector took is made anew.
type copies struct {
	mu     sync.Mutex
	recent [recentCopies]weak.Pointer[copied]
	next   int
}

// copied holds on to what was copied, so that nothing else can have its address.
type copied struct {
	from follow.Wrapped
	obj  client.Object
}

// of returns the copy of from, which read makes of an object.
func (c *copies) of(from follow.Wrapped, read func(runtime.Object) (client.Object, error)) (client.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.recent {
		// The newest first.
		if known := c.recent[(c.next-1-i+2*recentCopies)%recentCopies].Value(); known != nil && known.from == from {
			return known.obj, nil
		}
	}
	obj, err := read(from.GetObject())
	if err != nil {
		return nil, err
	}
	c.recent[c.next] = weak.Make(&copied{from: from, obj: obj})
	c.next = (c.next + 1) % recentCopies
	return obj, nil
}
