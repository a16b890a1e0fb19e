package rendered

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

func newInstance(cluster logicalcluster.Name) *instance {
	return &instance{template: &Template{}, values: values{cluster: cluster}}
}

func TestInstances_ThoseInUseAreHeld(t *testing.T) {
	s := newInstances(4096) // for a few
	held := make([]*instance, 100)
	for i := range held {
		held[i] = newInstance(logicalcluster.Name(fmt.Sprint(i)))
		s.Put(held[i])
	}
	if _, ok := s.recent.Get("0"); ok {
		t.Fatal("nothing is evicted, so this shows nothing")
	}
	if got, ok := s.Get("0"); !ok || got != held[0] {
		t.Error("an instance that somebody holds is not found")
	}
	if _, ok := s.recent.Get("0"); !ok {
		t.Error("the instance that was used last is not among those held")
	}
	if bytes, most := s.recent.Bytes(); bytes > most {
		t.Errorf("%d of %d bytes", bytes, most)
	}
	s.Drop("0")
	if _, ok := s.Get("0"); ok {
		t.Error("an instance is found after it was dropped")
	}
	runtime.KeepAlive(held)
	held = nil
	deadline := time.Now().Add(time.Minute)
	for bytes, _ := s.recent.Bytes(); int64(s.all.Len()) > bytes/instanceBytes; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatalf("%d instances stay", s.all.Len())
		}
	}
}

// An instance that is dropped while others look it up must not come back.
func TestInstances_DroppedOnesStayAway(t *testing.T) {
	s := newInstances(1 << 20)
	for range 1000 {
		i := newInstance("c")
		s.Put(i)
		s.recent.Remove("c") // as if it had not been used for long
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() { s.Get("c") })
		}
		all.Go(func() { s.Drop("c") })
		all.Wait()
		if _, ok := s.Get("c"); ok {
			t.Fatal("a dropped instance is back")
		}
		runtime.KeepAlive(i)
	}
}
