package ledger

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Ledger is about objects that one client alone writes, one request after the other. Each holds a number, at least 1, that grows with
// every change. Safe for that client and its watch. The zero value is an empty one.
type Ledger struct {
	mu      sync.Mutex
	objects map[string]*object
}

type object struct {
	acknowledged []int // ascending
	open         map[int]bool
	shown        []int // by the watch
	// skipped is the value with which the watch began, or began anew: it need not show those up to it.
	skipped int
}

func (l *Ledger) object(name string) *object {
	if l.objects == nil {
		l.objects = map[string]*object{}
	}
	if l.objects[name] == nil {
		l.objects[name] = &object{open: map[int]bool{}}
	}
	return l.objects[name]
}

func (o *object) last() int {
	if len(o.acknowledged) == 0 {
		return 0
	}
	return o.acknowledged[len(o.acknowledged)-1]
}

// Try notes that a value is about to be sent.
func (l *Ledger) Try(name string, value int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.object(name).open[value] = true
}

// Acknowledge notes that a value is stored, says an answer.
func (l *Ledger) Acknowledge(name string, value int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.object(name)
	delete(o.open, value)
	o.acknowledged = append(o.acknowledged, value)
}

// Read holds what a read shows, 0 for no object, against what is known. A value without an answer is acknowledged by it.
func (l *Ledger) Read(name string, value int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch o := l.object(name); {
	case value == o.last():
		return nil
	case value < o.last():
		return fmt.Errorf("%s is read with value %d, and %d was acknowledged", name, value, o.last())
	case o.open[value]:
		delete(o.open, value)
		o.acknowledged = append(o.acknowledged, value)
		return nil
	}
	return fmt.Errorf("%s is read with value %d, which nobody wrote", name, value)
}

// List holds a list with which a watch begins, or begins anew, against what the watch has shown.
func (l *Ledger) List(values map[string]int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, o := range l.objects {
		if n := len(o.shown); n > 0 && values[name] < o.shown[n-1] {
			return fmt.Errorf("%s is listed with value %d, and the watch had shown %d", name, values[name], o.shown[n-1])
		}
	}
	for name, value := range values {
		l.object(name).skipped = value
	}
	return nil
}

// Show holds an event of a watch against what the watch has shown before, and what was tried.
func (l *Ledger) Show(name string, value int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.object(name)
	before := o.skipped
	if n := len(o.shown); n > 0 {
		before = max(before, o.shown[n-1])
	}
	if value <= before {
		return fmt.Errorf("the watch shows %s with value %d after %d", name, value, before)
	}
	if _, acknowledged := slices.BinarySearch(o.acknowledged, value); !acknowledged && !o.open[value] {
		return fmt.Errorf("the watch shows %s with value %d, which nobody wrote", name, value)
	}
	o.shown = append(o.shown, value)
	return nil
}

// Shown reports whether the watch has shown a value, or begun with it.
func (l *Ledger) Shown(name string, value int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.object(name)
	_, shown := slices.BinarySearch(o.shown, value)
	return shown || o.skipped >= value
}

// Missed returns what was acknowledged and not shown.
func (l *Ledger) Missed() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var missed []string
	for _, name := range slices.Sorted(maps.Keys(l.objects)) {
		o := l.objects[name]
		for _, value := range o.acknowledged {
			if _, shown := slices.BinarySearch(o.shown, value); !shown && value > o.skipped {
				missed = append(missed, fmt.Sprintf("%s with value %d", name, value))
			}
		}
	}
	return missed
}

// Names returns the objects of which something is acknowledged, in order.
func (l *Ledger) Names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for name, o := range l.objects {
		if o.last() > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Count returns how many writes are acknowledged.
func (l *Ledger) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, o := range l.objects {
		n += len(o.acknowledged)
	}
	return n
}
