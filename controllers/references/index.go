package references

import (
	"cmp"
	"slices"
	"sync"

	"github.com/annex-dev/annex/client/reader"
)

// Index knows references. The zero value holds none; it is safe for concurrent use.
type Index struct {
	mu   sync.RWMutex
	to   map[reader.Key][]reader.Key            // what each object refers to
	from map[reader.Key]map[reader.Key]struct{} // what refers to each object
}

// Set makes targets all that from refers to. It returns those it referred to before and does not any more.
func (i *Index) Set(from reader.Key, targets ...reader.Key) (left []reader.Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.to[from]
	if slices.Equal(before, targets) {
		return nil
	}
	if i.to == nil {
		i.to, i.from = map[reader.Key][]reader.Key{}, map[reader.Key]map[reader.Key]struct{}{}
	}
	for _, target := range before {
		if slices.Contains(targets, target) {
			continue
		}
		left = append(left, target)
		delete(i.from[target], from)
		if len(i.from[target]) == 0 {
			delete(i.from, target)
		}
	}
	for _, target := range targets {
		if i.from[target] == nil {
			i.from[target] = map[reader.Key]struct{}{}
		}
		i.from[target][from] = struct{}{}
	}
	if len(targets) == 0 {
		delete(i.to, from)
	} else {
		i.to[from] = slices.Clone(targets)
	}
	return left
}

// Drop forgets what from refers to and returns it.
func (i *Index) Drop(from reader.Key) (left []reader.Key) { return i.Set(from) }

// From returns what refers to target, in key order.
func (i *Index) From(target reader.Key) []reader.Key {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if len(i.from[target]) == 0 {
		return nil
	}
	keys := make([]reader.Key, 0, len(i.from[target]))
	for key := range i.from[target] {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b reader.Key) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return keys
}

// Any returns the first object that refers to target and for which holds is true; false when there is none. It does not
// sort, and calls holds without a lock.
func (i *Index) Any(target reader.Key, holds func(reader.Key) bool) (reader.Key, bool) {
	i.mu.RLock()
	keys := make([]reader.Key, 0, min(len(i.from[target]), 16))
	tried := 0
	for key := range i.from[target] {
		if len(keys) == cap(keys) {
			break
		}
		keys = append(keys, key)
	}
	total := len(i.from[target])
	i.mu.RUnlock()
	for _, key := range keys {
		if holds(key) {
			return key, true
		}
		tried++
	}
	if tried == total {
		return reader.Key{}, false
	}
	for _, key := range i.From(target) {
		if holds(key) {
			return key, true
		}
	}
	return reader.Key{}, false
}

// Len returns how many objects refer to target.
func (i *Index) Len(target reader.Key) int {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return len(i.from[target])
}
