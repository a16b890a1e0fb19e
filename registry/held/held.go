package held

import (
	"runtime"
	"sync"
	"weak"
)

// Map finds values that are held elsewhere. The zero value is empty. It is safe for concurrent use.
type Map[K comparable, T any] struct {
	mu sync.Mutex
	of map[K]weak.Pointer[T]
}

// Get returns the value of key; nil if there is none, or nobody holds it any more.
func (m *Map[K, T]) Get(key K) *T { return m.pointer(key).Value() }

func (m *Map[K, T]) pointer(key K) weak.Pointer[T] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of[key]
}

// Has reports whether value is the one of key.
func (m *Map[K, T]) Has(key K, value *T) bool { return m.pointer(key) == weak.Make(value) }

// Put makes value the one of key.
func (m *Map[K, T]) Put(key K, value *T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(key, value)
}

// put is Put; the lock is held.
func (m *Map[K, T]) put(key K, value *T) {
	if m.of == nil {
		m.of = map[K]weak.Pointer[T]{}
	}
	pointer := weak.Make(value)
	m.of[key] = pointer
	runtime.AddCleanup(value, func(key K) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.of[key] == pointer { // it has no successor
			delete(m.of, key)
		}
	}, key)
}

// GetOrPut returns the value of key. If nobody holds one it is what produce returns, which is called with the lock of m.
func (m *Map[K, T]) GetOrPut(key K, produce func() *T) *T {
	for {
		pointer := m.pointer(key)
		if value := pointer.Value(); value != nil {
			return value
		}
		if value, ok := m.replace(key, pointer, produce); ok {
			return value
		}
	}
}

// replace puts what produce returns in the place of a value that nobody holds. It returns false if somebody else has done so.
func (m *Map[K, T]) replace(key K, gone weak.Pointer[T], produce func() *T) (*T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of[key] != gone {
		return nil, false
	}
	value := produce()
	m.put(key, value)
	return value, true
}

// Drop forgets the value of key.
func (m *Map[K, T]) Drop(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of, key)
}

// Len returns how many values are known, those included that nobody holds since a moment.
func (m *Map[K, T]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.of)
}
