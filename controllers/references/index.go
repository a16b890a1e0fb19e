package references

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"unique"

	"github.com/annex-dev/annex/client"
)

// Index contains references. The zero value is empty; it is safe for concurrent use.
type Index struct {
	mu     sync.RWMutex
	to     map[handle]*alike       // what each object refers to
	from   map[client.Key][]*alike // the objects that refer to each target
	groups map[string]*alike       // by their targets
}

// handle is the key of an object. An object may be in several indexes, which share the key.
type handle = unique.Handle[client.Key]

// alike are the objects with the same targets. Most objects have the targets of thousands of others.
type alike struct {
	targets []client.Key
	objects map[handle]struct{}
}

// Set replaces the targets of from. It returns the previous targets that are not in targets.
func (i *Index) Set(from client.Key, targets ...client.Key) (left []client.Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	object := unique.Make(from)
	before := i.to[object]
	if before == nil && len(targets) == 0 || before != nil && slices.Equal(before.targets, targets) {
		return nil
	}
	if before != nil {
		for _, target := range before.targets {
			if !slices.Contains(targets, target) {
				left = append(left, target)
			}
		}
		i.leave(object, before)
	}
	if len(targets) > 0 {
		i.join(object, targets)
	}
	return left
}

// join adds an object to those with the same targets.
func (i *Index) join(object handle, targets []client.Key) {
	if i.to == nil {
		i.to, i.from, i.groups = map[handle]*alike{}, map[client.Key][]*alike{}, map[string]*alike{}
	}
	name := nameOf(targets)
	group := i.groups[name]
	if group == nil {
		group = &alike{targets: slices.Clone(targets), objects: map[handle]struct{}{}}
		i.groups[name] = group
		for _, target := range targets {
			if !slices.Contains(i.from[target], group) { // it may be there twice
				i.from[target] = append(i.from[target], group)
			}
		}
	}
	group.objects[object] = struct{}{}
	i.to[object] = group
}

// leave removes an object from those with the same targets, and these if it is the last one.
func (i *Index) leave(object handle, group *alike) {
	delete(i.to, object)
	delete(group.objects, object)
	if len(group.objects) > 0 {
		return
	}
	delete(i.groups, nameOf(group.targets))
	for _, target := range group.targets {
		others := slices.DeleteFunc(i.from[target], func(g *alike) bool { return g == group })
		if len(others) == 0 {
			delete(i.from, target)
		} else {
			i.from[target] = others
		}
	}
}

// nameOf returns one string for targets. No part of a key has a NUL.
func nameOf(targets []client.Key) string {
	var b strings.Builder
	for _, target := range targets {
		b.WriteString(target.Cluster.String() + "\x00" + target.Namespace + "\x00" + target.Name + "\x00")
	}
	return b.String()
}

// Drop removes all targets of from and returns them.
func (i *Index) Drop(from client.Key) (left []client.Key) { return i.Set(from) }

// all calls yield with each object that refers to target, until it returns false. An object refers to it once, as it is in one group.
func (i *Index) all(target client.Key, yield func(client.Key) bool) {
	for _, group := range i.from[target] {
		for object := range group.objects {
			if !yield(object.Value()) {
				return
			}
		}
	}
}

// From returns the objects that refer to target, in key order.
func (i *Index) From(target client.Key) []client.Key {
	i.mu.RLock()
	defer i.mu.RUnlock()
	total := i.count(target)
	if total == 0 {
		return nil
	}
	keys := make([]client.Key, 0, total)
	i.all(target, func(key client.Key) bool {
		keys = append(keys, key)
		return true
	})
	slices.SortFunc(keys, func(a, b client.Key) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return keys
}

// few is how many objects Any tries before it asks for all.
const few = 16

// Any returns the first object that refers to target and for which holds is true; false if there is none. It does not
// sort, and calls holds without a lock.
func (i *Index) Any(target client.Key, holds func(client.Key) bool) (client.Key, bool) {
	i.mu.RLock()
	total := i.count(target)
	keys := make([]client.Key, 0, min(total, few))
	i.all(target, func(key client.Key) bool {
		keys = append(keys, key)
		return len(keys) < few
	})
	i.mu.RUnlock()
	for _, key := range keys {
		if holds(key) {
			return key, true
		}
	}
	if len(keys) == total {
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
	return i.count(target)
}

func (i *Index) count(target client.Key) (objects int) {
	for _, group := range i.from[target] {
		objects += len(group.objects)
	}
	return objects
}
