package references

import (
	"cmp"
	"slices"
	"sync"

	"github.com/annex-dev/annex/client"
)

// Index contains references. The zero value is empty; it is safe for concurrent use.
type Index struct {
	mu   sync.RWMutex
	to   map[client.Key][]client.Key            // the targets of each object
	from map[client.Key]map[client.Key]struct{} // the objects that refer to each target
}

// Set replaces the targets of from. It returns the previous targets that are not in targets.
func (i *Index) Set(from client.Key, targets ...client.Key) (left []client.Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.to[from]
	if slices.Equal(before, targets) {
		return nil
	}
	if i.to == nil {
		i.to, i.from = map[client.Key][]client.Key{}, map[client.Key]map[client.Key]struct{}{}
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
			i.from[target] = map[client.Key]struct{}{}
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

// Drop removes all targets of from and returns them.
func (i *Index) Drop(from client.Key) (left []client.Key) { return i.Set(from) }

// From returns the objects that refer to target, in key order.
func (i *Index) From(target client.Key) []client.Key {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if len(i.from[target]) == 0 {
		return nil
	}
	keys := make([]client.Key, 0, len(i.from[target]))
	for key := range i.from[target] {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b client.Key) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return keys
}

// Any returns the first object that refers to target and for which holds is true; false if there is none. It does not
// sort, and calls holds without a lock.
func (i *Index) Any(target client.Key, holds func(client.Key) bool) (client.Key, bool) {
	i.mu.RLock()
	keys := make([]client.Key, 0, min(len(i.from[target]), 16))
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
		return client.Key{}, false
	}
	for _, key := range i.From(target) {
		if holds(key) {
			return key, true
		}
	}
	return client.Key{}, false
}

// Len returns how many objects refer to target.
func (i *Index) Len(target client.Key) int {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return len(i.from[target])
}
