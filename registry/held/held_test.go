package held

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type value struct {
	n int
	_ *int // a value without pointers may share its place in memory with others
}

// collect runs the collector until done.
func collect(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not yet: %s", what)
		}
		runtime.GC()
	}
}

func TestMap_FindsWhatIsHeld(t *testing.T) {
	var m Map[string, value]
	if m.Get("a") != nil || m.Len() != 0 {
		t.Error("the zero value is not empty")
	}
	one := m.GetOrPut("a", func() *value { return &value{n: 1} })
	if got := m.GetOrPut("a", func() *value { t.Error("it is made twice"); return nil }); got != one || m.Get("a") != one || !m.Has("a", one) {
		t.Errorf("got %v, want the same", got)
	}
	two := &value{n: 2}
	m.Put("a", two)
	if m.Get("a") != two || m.Has("a", one) {
		t.Error("a value has no successor")
	}
	runtime.KeepAlive(one)
	m.Drop("a")
	if m.Get("a") != nil || m.Has("a", two) {
		t.Error("a value is found after it was dropped")
	}
	runtime.KeepAlive(two)
}

func TestMap_KeepsNothingAlive(t *testing.T) {
	var m Map[string, value]
	kept := make([]*value, 100)
	for i := range 1000 {
		v := m.GetOrPut(strconv.Itoa(i), func() *value { return &value{n: i} })
		if i < len(kept) {
			kept[i] = v
		}
	}
	collect(t, "the others are gone", func() bool { return m.Len() == len(kept) })
	for i, v := range kept {
		if m.Get(strconv.Itoa(i)) != v {
			t.Errorf("%d is gone, though it is held", i)
		}
	}
	runtime.KeepAlive(kept)
}

// The cleanup of a value must not take its successor along.
func TestMap_ASuccessorStays(t *testing.T) {
	var m Map[string, value]
	var gone atomic.Bool
	func() {
		first := &value{n: 1}
		runtime.AddCleanup(first, func(int) { gone.Store(true) }, 0)
		m.Put("a", first)
	}()
	next := &value{n: 2}
	m.Put("a", next)
	collect(t, "the first one is gone", gone.Load)
	for range 10 {
		runtime.GC()
	}
	if m.Get("a") != next {
		t.Error("the successor is gone")
	}
	runtime.KeepAlive(next)
}

func TestMap_OneForAll(t *testing.T) {
	var m Map[int, value]
	var all sync.WaitGroup
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	got := make([][100]*value, 8)
	for worker := range got {
		all.Go(func() {
			for key := range got[worker] {
				got[worker][key] = m.GetOrPut(key, func() *value { return &value{n: key} })
			}
		})
	}
	all.Wait()
	close(stop)
	for key := range got[0] {
		for worker := range got {
			if v := got[worker][key]; v != got[0][key] || v.n != key {
				t.Fatalf("worker %d has another value of %d", worker, key)
			}
		}
	}
}
