package index

import "sync"

// table is a map that is rebuilt between reset and synced while readers use the old one. The zero value is empty and not ready.
type table[K comparable, V any] struct {
	mu      sync.RWMutex
	current map[K]V
	next    map[K]V // the new map; nil outside a rebuild
}

// reset begins a rebuild.
func (t *table[K, V]) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = map[K]V{}
}

// synced ends a rebuild. Keys that were not set since reset are gone.
func (t *table[K, V]) synced() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next != nil {
		t.current, t.next = t.next, nil
	}
}

func (t *table[K, V]) set(k K, v V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.writable(); m != nil {
		m[k] = v
	}
}

func (t *table[K, V]) drop(k K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.writable(), k)
}

func (t *table[K, V]) writable() map[K]V {
	if t.next != nil {
		return t.next
	}
	return t.current
}

func (t *table[K, V]) get(k K) (V, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v, ok := t.current[k]
	return v, ok
}

// empty reports whether nothing is set.
func (t *table[K, V]) empty() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.current) == 0
}

// rebuilding reports whether what is set is not read yet.
func (t *table[K, V]) rebuilding() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.next != nil
}

// ready reports whether a first rebuild has ended.
func (t *table[K, V]) ready() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.current != nil
}
