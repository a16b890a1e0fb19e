package consumers

import (
	"cmp"
	"slices"
	"sync"
	"unique"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
)

const (
	// maxSchemas and maxProblems bound what a status lists.
	maxSchemas  = 50
	maxProblems = 10
)

// index knows the state of all bindings. The zero value is empty; it is safe for concurrent use.
type index struct {
	mu sync.Mutex
	// current is nil until all bindings have been seen once, next outside of a list.
	current, next *tally
}

// tally holds bindings by their state.
type tally struct {
	of     map[unique.Handle[client.Key]]*alike
	states map[state]*alike
	// exports has the states that refer to an export.
	exports map[client.Key]map[*alike]struct{}
}

// alike are the bindings in one state.
type alike struct {
	state    state
	bindings map[unique.Handle[client.Key]]struct{}
}

func newTally() *tally {
	return &tally{of: map[unique.Handle[client.Key]]*alike{}, states: map[state]*alike{}, exports: map[client.Key]map[*alike]struct{}{}}
}

// reset begins a list of all bindings.
func (i *index) reset() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.next = newTally()
}

// synced ends the list, and returns the exports that may have changed.
func (i *index) synced() []client.Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.next == nil {
		return nil
	}
	changed := map[client.Key]struct{}{}
	for _, t := range []*tally{i.current, i.next} {
		if t == nil {
			continue
		}
		for export := range t.exports {
			changed[export] = struct{}{}
		}
	}
	i.current, i.next = i.next, nil
	keys := make([]client.Key, 0, len(changed))
	for export := range changed {
		keys = append(keys, export)
	}
	return keys
}

// set notes the state of a binding, nil for none, and returns the exports that it changes.
func (i *index) set(binding client.Key, now *state) []client.Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.next != nil {
		i.next.set(binding, now)
		return nil // the end of the list returns all
	}
	if i.current == nil {
		return nil
	}
	return i.current.set(binding, now)
}

func (t *tally) set(binding client.Key, now *state) (changed []client.Key) {
	handle := unique.Make(binding)
	if before := t.of[handle]; before != nil {
		if now != nil && before.state == *now {
			return nil
		}
		t.leave(handle, before)
		changed = append(changed, before.state.export)
	}
	if now == nil {
		return changed
	}
	t.join(handle, *now)
	if !slices.Contains(changed, now.export) {
		changed = append(changed, now.export)
	}
	return changed
}

func (t *tally) join(binding unique.Handle[client.Key], s state) {
	a := t.states[s]
	if a == nil {
		a = &alike{state: s, bindings: map[unique.Handle[client.Key]]struct{}{}}
		t.states[s] = a
		if t.exports[s.export] == nil {
			t.exports[s.export] = map[*alike]struct{}{}
		}
		t.exports[s.export][a] = struct{}{}
	}
	a.bindings[binding] = struct{}{}
	t.of[binding] = a
}

func (t *tally) leave(binding unique.Handle[client.Key], a *alike) {
	delete(t.of, binding)
	delete(a.bindings, binding)
	if len(a.bindings) > 0 {
		return
	}
	delete(t.states, a.state)
	delete(t.exports[a.state.export], a)
	if len(t.exports[a.state.export]) == 0 {
		delete(t.exports, a.state.export)
	}
}

// summary returns what the status of an export says; false until all bindings have been seen.
func (i *index) summary(export client.Key) (*apisv1alpha2.APIExportConsumers, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current == nil {
		return nil, false
	}
	s := &apisv1alpha2.APIExportConsumers{}
	type used struct{ group, resource, schema string }
	uses := map[used]int32{}
	for a := range i.current.exports[export] {
		n := int32(len(a.bindings))
		switch {
		case !a.state.bound:
			s.Pending += n
		case a.state.reason != "":
			s.Behind += n
			fallthrough
		default:
			s.Bound += n
		}
		a.state.uses(func(group, resource, schema string) { uses[used{group, resource, schema}] += n })
		if a.state.reason != "" {
			s.Problems = append(s.Problems, a.first()...)
		}
	}
	for u, n := range uses {
		s.Schemas = append(s.Schemas, apisv1alpha2.APIExportSchemaUse{Group: u.group, Resource: u.resource, Schema: u.schema, Workspaces: n})
	}
	slices.SortFunc(s.Schemas, func(a, b apisv1alpha2.APIExportSchemaUse) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource), cmp.Compare(b.Workspaces, a.Workspaces), cmp.Compare(a.Schema, b.Schema))
	})
	slices.SortFunc(s.Problems, compareProblems)
	s.Schemas, s.Problems = s.Schemas[:min(len(s.Schemas), maxSchemas)], s.Problems[:min(len(s.Problems), maxProblems)]
	return s, true
}

func compareProblems(a, b apisv1alpha2.APIExportConsumerProblem) int {
	return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Binding, b.Binding))
}

// first returns the first bindings in the state as problems.
func (a *alike) first() []apisv1alpha2.APIExportConsumerProblem {
	var first []apisv1alpha2.APIExportConsumerProblem
	for handle := range a.bindings {
		key := handle.Value()
		problem := apisv1alpha2.APIExportConsumerProblem{Cluster: key.Cluster.String(), Binding: key.Name, Reason: a.state.reason}
		at, _ := slices.BinarySearchFunc(first, problem, compareProblems)
		if at < maxProblems {
			first = slices.Insert(first, at, problem)
			first = first[:min(len(first), maxProblems)]
		}
	}
	return first
}
