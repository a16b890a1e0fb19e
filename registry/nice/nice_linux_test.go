package nice

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// current returns the nice value of the thread of this goroutine.
func current(t *testing.T) int {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	got, err := value()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// nicer returns the nice value of a thread for work that gives way, of a process with the usual one.
func nicer(usual int) int { return min(usual+more, 19) }

func TestDo_ChangesOnlyItsOwnThreads(t *testing.T) {
	usual := current(t)
	var all sync.WaitGroup
	gate := make(chan struct{})
	for range 3 * kept {
		all.Go(func() {
			Do(func() {
				if got := current(t); got != nicer(usual) {
					t.Errorf("the nice value is %d", got)
				}
				<-gate
			})
		})
	}
	// Threads are started while the others are at work.
	for range 3 * kept {
		all.Go(func() {
			<-gate
			if got := current(t); got != usual {
				t.Errorf("a thread that does other work has the nice value %d, want %d", got, usual)
			}
		})
	}
	close(gate)
	all.Wait()
	if got := current(t); got != usual {
		t.Errorf("the nice value is %d, want %d", got, usual)
	}
	if len(idle) > kept {
		t.Errorf("%d threads are kept", len(idle))
	}
}

// What is woken takes the processor from such a thread at once.
func TestDo_LetsOthersTakeTheProcessor(t *testing.T) {
	asksFor := func() time.Duration {
		attributes, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Error(err)
			return 0
		}
		return time.Duration(attributes.Runtime)
	}
	usual, want := asksFor(), slice
	if usual == 0 {
		want = 0 // before Linux 6.12, the kernel ignores it
	}
	Do(func() {
		if got := asksFor(); got != want {
			t.Errorf("it asks for %s at a time, want %s", got, want)
		}
	})
	if got := asksFor(); got != usual {
		t.Errorf("other threads ask for %s at a time, want %s", got, usual)
	}
}

// Clients that are slow keep threads. They must not use up those that the runtime has.
func TestDo_HasAsManyThreadsAtMost(t *testing.T) {
	usual := current(t)
	var all sync.WaitGroup
	var begun sync.WaitGroup
	begun.Add(most)
	gate := make(chan struct{})
	for range most {
		all.Go(func() {
			Do(func() {
				begun.Done()
				<-gate
			})
		})
	}
	begun.Wait()
	Do(func() {
		if got := current(t); got != usual {
			t.Errorf("one more piece of work is done on a thread with the nice value %d, want %d", got, usual)
		}
	})
	close(gate)
	all.Wait()
	Do(func() {
		if got := current(t); got != nicer(usual) {
			t.Errorf("afterwards, the nice value is %d", got)
		}
	})
}

func TestRun(t *testing.T) {
	usual := current(t)
	Run(t.Context(), func(context.Context) {
		if got := current(t); got != usual {
			t.Errorf("the nice value is %d, want %d", got, usual)
		}
	})
	Run(With(t.Context()), func(ctx context.Context) {
		thread := unix.Gettid()
		if got := current(t); got != nicer(usual) {
			t.Errorf("the nice value is %d", got)
		}
		Run(ctx, func(context.Context) {
			if got := unix.Gettid(); got != thread {
				t.Error("the work went to one more thread")
			}
		})
	})
}

func TestDo_Panics(t *testing.T) {
	for _, with := range []any{http.ErrAbortHandler, "surprise"} {
		func() {
			defer func() {
				got := recover()
				message, _ := got.(string)
				if got != with && !strings.HasPrefix(message, "surprise\n") {
					t.Errorf("panicked with %v, want %v", got, with)
				}
				if with == "surprise" && !strings.Contains(message, "TestDo_Panics") {
					t.Errorf("the message does not say where: %s", message)
				}
			}()
			Do(func() { panic(with) })
		}()
	}
	Do(func() {}) // the thread is good for more
}

func TestDo_GoroutineEnds(t *testing.T) {
	returned := false
	Do(func() {
		returned = true
		runtime.Goexit()
	})
	if !returned {
		t.Error("the work was not done")
	}
}
