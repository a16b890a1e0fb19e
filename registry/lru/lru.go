package lru

import (
	"container/list"
	"sync"
)

// share is the part of a cache that one owner may have.
const share = 4

// EntryBytes is about what an entry takes besides its value. So a cache of n times as many keeps n values that are said to take nothing.
const EntryBytes = 300

// Cache keeps values, the least recently used of which go first. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	limit   int64
	evicted func(V)

	mu      sync.Mutex
	bytes   int64
	order   *list.List // of *entry[K, V], the most recently used first
	entries map[K]*list.Element
	owners  map[string]*owner
	round   uint64 // calls of DropIdle
}

type entry[K comparable, V any] struct {
	key   K
	value V
	bytes int64
	owner string
	own   *list.Element // in owner.order
	used  uint64        // the round of its last use
}

// owner is what one owner has.
type owner struct {
	bytes int64
	order *list.List // of the elements of Cache.order, the most recently used first
}

// New returns an empty cache of limit bytes. Evicted, if not nil, is called with each value that is no longer kept, without a lock.
func New[K comparable, V any](limit int64, evicted func(V)) *Cache[K, V] {
	if evicted == nil {
		evicted = func(V) {}
	}
	return &Cache[K, V]{limit: limit, evicted: evicted, order: list.New(), entries: map[K]*list.Element{}, owners: map[string]*owner{}}
}

// Get returns the value of key; false if none is kept.
func (c *Cache[K, V]) Get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.entries[key]
	if element == nil {
		var none V
		return none, false
	}
	c.order.MoveToFront(element)
	e := element.Value.(*entry[K, V])
	c.owners[e.owner].order.MoveToFront(e.own)
	e.used = c.round
	return e.value, true
}

// Put keeps value, which takes so many bytes, for owner, in the place of what key had. If owner has more than its share then, others of its
// values go first: it has its share or one value. A value that takes more than the whole cache is not kept.
func (c *Cache[K, V]) Put(key K, value V, bytes int64, of string) {
	bytes += EntryBytes
	var gone []V
	defer func() { c.tell(gone) }()
	c.mu.Lock()
	defer c.mu.Unlock()
	if element := c.entries[key]; element != nil {
		gone = append(gone, c.remove(element))
	}
	if bytes > c.limit {
		gone = append(gone, value)
		return
	}
	o := c.owners[of]
	for o != nil && o.order.Len() > 0 && o.bytes+bytes > c.limit/share {
		gone = append(gone, c.remove(o.order.Back().Value.(*list.Element)))
	}
	for c.bytes+bytes > c.limit {
		gone = append(gone, c.remove(c.order.Back()))
	}
	// Its last value may have gone, and the owner with it.
	if o = c.owners[of]; o == nil {
		o = &owner{order: list.New()}
		c.owners[of] = o
	}
	e := &entry[K, V]{key: key, value: value, bytes: bytes, owner: of, used: c.round}
	element := c.order.PushFront(e)
	e.own = o.order.PushFront(element)
	c.entries[key] = element
	c.bytes += bytes
	o.bytes += bytes
}

// remove drops an entry and returns its value; the lock is held.
func (c *Cache[K, V]) remove(element *list.Element) V {
	e := c.order.Remove(element).(*entry[K, V])
	delete(c.entries, e.key)
	c.bytes -= e.bytes
	o := c.owners[e.owner]
	o.order.Remove(e.own)
	if o.bytes -= e.bytes; o.order.Len() == 0 {
		delete(c.owners, e.owner)
	}
	return e.value
}

// Remove drops the value of key.
func (c *Cache[K, V]) Remove(key K) {
	c.mu.Lock()
	var gone []V
	if element := c.entries[key]; element != nil {
		gone = append(gone, c.remove(element))
	}
	c.mu.Unlock()
	c.tell(gone)
}

// Drop drops all values of an owner.
func (c *Cache[K, V]) Drop(owner string) {
	var gone []V
	c.mu.Lock()
	for c.owners[owner] != nil {
		gone = append(gone, c.remove(c.owners[owner].order.Back().Value.(*list.Element)))
	}
	c.mu.Unlock()
	c.tell(gone)
}

// DropIdle drops the values that nobody has used since the call before. So who calls it every minute keeps what is used for one to two.
func (c *Cache[K, V]) DropIdle() {
	c.mu.Lock()
	var gone []V
	for last := c.order.Back(); last != nil && last.Value.(*entry[K, V]).used < c.round; last = c.order.Back() {
		gone = append(gone, c.remove(last))
	}
	c.round++
	c.mu.Unlock()
	c.tell(gone)
}

// Clear drops all values.
func (c *Cache[K, V]) Clear() {
	c.mu.Lock()
	var gone []V
	for c.order.Len() > 0 {
		gone = append(gone, c.remove(c.order.Back()))
	}
	c.mu.Unlock()
	c.tell(gone)
}

func (c *Cache[K, V]) tell(gone []V) {
	for _, value := range gone {
		c.evicted(value)
	}
}

// Len returns how many values are kept.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}

// Bytes returns how many bytes are kept, and how many may be.
func (c *Cache[K, V]) Bytes() (bytes, limit int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes, c.limit
}
