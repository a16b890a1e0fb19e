package view

import (
	"container/list"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// What an entry takes in addition to its value, in bytes: in all, and for each object of another cluster that it depends on.
const (
	entryBytes  = 320
	readerBytes = 320
)

// entry is the value of one cluster.
type entry[T comparable] struct {
	cluster logicalcluster.Name
	value   T
	at      uint64              // a revision of which the value misses nothing
	reads   map[object]struct{} // the objects of other clusters that it was compiled from
	own     int64               // what the value takes besides the part that it shares, in bytes
}

func (e *entry[T]) bytes() int64 { return entryBytes + readerBytes*int64(len(e.reads)) + e.own }

// kept are the values in memory, the least recently used of which go first. View.mu guards it.
type kept[T comparable] struct {
	bytes, capacity int64
	order           *list.List // of *entry[T], the most recently used first
	entries         map[logicalcluster.Name]*list.Element
	shared          func(T) any // the part of a value that clusters share
	values          map[any]holders
	// readers maps an object to the clusters, other than its own, whose values were compiled from it.
	readers map[object]map[logicalcluster.Name]struct{}
}

// holders says how many entries share a value, and what it takes.
type holders struct {
	count int
	bytes int64
}

// newKept returns an empty kept. A nil shared says that clusters share values as a whole.
func newKept[T comparable](capacity int64, shared func(T) any) kept[T] {
	if shared == nil {
		shared = func(value T) any { return value }
	}
	k := kept[T]{capacity: capacity, shared: shared}
	k.clear()
	return k
}

func (k *kept[T]) clear() {
	k.bytes, k.order, k.entries = 0, list.New(), map[logicalcluster.Name]*list.Element{}
	k.values, k.readers = map[any]holders{}, map[object]map[logicalcluster.Name]struct{}{}
}

// get returns the entry of cluster, nil when there is none.
func (k *kept[T]) get(cluster logicalcluster.Name) *entry[T] {
	element := k.entries[cluster]
	if element == nil {
		return nil
	}
	k.order.MoveToFront(element)
	return element.Value.(*entry[T])
}

// put keeps e, whose value takes size bytes, in place of what its cluster had. A value that takes more than all the capacity
// is not kept.
func (k *kept[T]) put(e *entry[T], size int64) {
	k.remove(e.cluster)
	if e.bytes()+size > k.capacity {
		return
	}
	k.entries[e.cluster] = k.order.PushFront(e)
	for read := range e.reads {
		if k.readers[read] == nil {
			k.readers[read] = map[logicalcluster.Name]struct{}{}
		}
		k.readers[read][e.cluster] = struct{}{}
	}
	part := k.shared(e.value)
	shared, ok := k.values[part]
	if !ok {
		shared.bytes = size
		k.bytes += size
	}
	shared.count++
	k.values[part] = shared
	k.bytes += e.bytes()
	for k.bytes > k.capacity {
		k.remove(k.order.Back().Value.(*entry[T]).cluster)
	}
}

// remove drops the entry of cluster, if there is one.
func (k *kept[T]) remove(cluster logicalcluster.Name) {
	element := k.entries[cluster]
	if element == nil {
		return
	}
	e := k.order.Remove(element).(*entry[T])
	delete(k.entries, cluster)
	for read := range e.reads {
		delete(k.readers[read], cluster)
		if len(k.readers[read]) == 0 {
			delete(k.readers, read)
		}
	}
	k.bytes -= e.bytes()
	part := k.shared(e.value)
	shared := k.values[part]
	if shared.count--; shared.count > 0 {
		k.values[part] = shared
		return
	}
	delete(k.values, part)
	k.bytes -= shared.bytes
}
