package census

import (
	"hash/maphash"
	"sync"

	corev1 "k8s.io/api/core/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// mostConditions is how many conditions of a kind are counted at most.
const mostConditions = 8

// statuses are the statuses of a condition. An object that does not have it counts under none.
var statuses = [...]corev1.ConditionStatus{"", corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown}

// state is what is counted of one object: an index into the phases of its kind, and for each of its conditions one into statuses.
type state struct {
	phase      uint8
	conditions [mostConditions]uint8
	// timed is whether the object was seen when it was created, and was not ready since: its first condition was not true.
	timed bool
}

// tally counts the objects of one kind. It is safe for concurrent use.
type tally struct {
	phases     []string // the first one is for phases that are not known
	conditions []conditionsv1alpha1.ConditionType
	seed       maphash.Seed

	mu sync.Mutex
	// current is what is known. Between Reset and Synced, next is what replaces it.
	current, next map[uint64]state
	sums          sums
}

// sums are what the states of current add up to.
type sums struct {
	phases     [16]int
	conditions [mostConditions][len(statuses)]int
}

func newTally(phases []string, conditions []conditionsv1alpha1.ConditionType) *tally {
	return &tally{phases: append([]string{"Unknown"}, phases...), conditions: conditions, seed: maphash.MakeSeed(), current: map[uint64]state{}}
}

// of returns the state of an object.
func (t *tally) of(phase string, conditions conditionsv1alpha1.Conditions) (s state) {
	for i, known := range t.phases {
		if known == phase {
			s.phase = uint8(i)
		}
	}
	for i, kind := range t.conditions {
		for _, c := range conditions {
			for j, status := range statuses {
				if c.Type == kind && c.Status == status {
					s.conditions[i] = uint8(j)
				}
			}
		}
	}
	return s
}

// see takes in an event; of returns the state of its object. It reports whether the object, whose creation was seen, is ready for the first
// time.
func (t *tally) see(event client.Event, of func() state) (ready bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch event.Type {
	case client.Reset:
		t.next = map[uint64]state{}
		return false
	case client.Synced:
		if t.next != nil {
			t.current, t.next, t.sums = t.next, nil, sums{}
			for _, s := range t.current {
				t.sums.add(s, 1)
			}
		}
		return false
	}
	// Two objects with one hash among a billion would make a number wrong by one.
	key := maphash.Comparable(t.seed, client.KeyOf(event.Object))
	if t.next != nil {
		if event.Type == client.Deleted {
			delete(t.next, key)
		} else {
			t.next[key] = of()
		}
		return false
	}
	before, known := t.current[key]
	if known {
		t.sums.add(before, -1)
	}
	if event.Type == client.Deleted {
		delete(t.current, key)
		return false
	}
	now := of()
	now.timed = event.Type == client.Added && !known || before.timed
	if now.timed && statuses[now.conditions[0]] == corev1.ConditionTrue {
		now.timed, ready = false, true
	}
	t.current[key] = now
	t.sums.add(now, 1)
	return ready
}

// read returns the sums.
func (t *tally) read() sums {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sums
}

func (s *sums) add(of state, n int) {
	s.phases[of.phase] += n
	for i, status := range of.conditions {
		s.conditions[i][status] += n
	}
}
