package room

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLarge_IsDoneOneAtATime(t *testing.T) {
	var active, most atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			Large(largeBytes, func() {
				if n := active.Add(1); n > most.Load() {
					most.Store(n)
				}
				for range 100 {
					runtime.Gosched()
				}
				active.Add(-1)
			})
		})
	}
	all.Wait()
	if n := most.Load(); n != 1 {
		t.Errorf("%d pieces of work were done at the same time", n)
	}
	done := false
	Large(largeBytes, func() {
		Large(largeBytes-1, func() { done = true }) // it would wait for ever
	})
	if !done {
		t.Error("small work was not done")
	}
}
