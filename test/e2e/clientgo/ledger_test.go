package clientgo

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// ledger writes down what the handlers of one informer are told, and each contradiction in it: an object that is added or deleted
// twice, a change of an object that was never added, a resourceVersion that goes backwards.
type ledger struct {
	what   string
	mu     sync.Mutex
	shown  map[string]entry
	gone   map[types.UID]bool
	faults []string
	// how often each handler was called
	adds, updates, deletes int
}

// entry is the state in which an object was shown last.
type entry struct {
	uid     types.UID
	version uint64
}

func newLedger(what string) *ledger {
	return &ledger{what: what, shown: map[string]entry{}, gone: map[types.UID]bool{}}
}

// read returns the key and the state of an object.
func (l *ledger) read(obj any) (string, entry) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj)
	if err != nil {
		l.fault("an object without a key: %v", err)
	}
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		l.fault("%s is a %T", key, obj)
		return key, entry{}
	}
	return key, l.state(accessor)
}

func (l *ledger) state(obj metav1.Object) entry {
	version, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
	if err != nil {
		l.fault("%s has resourceVersion %q", obj.GetName(), obj.GetResourceVersion())
	}
	return entry{obj.GetUID(), version}
}

func (l *ledger) fault(format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// OnAdd implements cache.ResourceEventHandler.
func (l *ledger) OnAdd(obj any, _ bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.adds++
	key, now := l.read(obj)
	if before, ok := l.shown[key]; ok {
		l.fault("%s is added as %v and is there as %v", key, now, before)
	}
	if l.gone[now.uid] {
		l.fault("%s is added as %v, which is gone", key, now)
	}
	l.shown[key] = now
}

// OnUpdate implements cache.ResourceEventHandler. An informer that has listed again shows an object that was deleted and made anew
// meanwhile as an update, and one that is unchanged as an update to itself.
func (l *ledger) OnUpdate(old, obj any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.updates++
	key, now := l.read(obj)
	_, said := l.read(old)
	before, ok := l.shown[key]
	switch {
	case !ok:
		l.fault("%s changes to %v and was never added", key, now)
	case before != said:
		l.fault("%s changes from %v and was shown as %v", key, said, before)
	case now.version < before.version:
		l.fault("%s goes back from %v to %v", key, before, now)
	case now.uid != before.uid:
		l.gone[before.uid] = true
	}
	l.shown[key] = now
}

// OnDelete implements cache.ResourceEventHandler.
func (l *ledger) OnDelete(obj any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deletes++
	key, now := l.read(obj)
	before, ok := l.shown[key]
	switch {
	case !ok:
		l.fault("%s is deleted as %v and is not there", key, now)
	case before.uid != now.uid:
		l.fault("%s is deleted as %v and is there as %v", key, now, before)
	case now.version < before.version:
		l.fault("%s goes back from %v to %v when it is deleted", key, before, now)
	}
	l.gone[now.uid] = true
	delete(l.shown, key)
}

// lacks returns an error unless exactly want was shown last.
func (l *ledger) lacks(want map[string]entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return differ(l.what+", handlers", l.shown, want)
}

// check reports the contradictions.
func (l *ledger) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, fault := range l.faults {
		if i == 10 {
			t.Errorf("%s: and %d more", l.what, len(l.faults)-i)
			break
		}
		t.Errorf("%s: %s", l.what, fault)
	}
}

// differ returns an error that names one difference.
func differ(what string, got, want map[string]entry) error {
	for key, entry := range want {
		if got[key] != entry {
			return fmt.Errorf("%s: %s is %v, want %v", what, key, got[key], entry)
		}
	}
	for key, entry := range got {
		if _, ok := want[key]; !ok {
			return fmt.Errorf("%s: %s is %v, want none", what, key, entry)
		}
	}
	return nil
}
