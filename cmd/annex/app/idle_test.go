package app

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

const mib = 1 << 20

// checks returns after how many checks of a heap that stays as it is memory is due, each time, in so many checks.
func checks(r *returns, now heap, n int) (due []int) {
	for i := range n {
		if r.due(now, false) {
			due = append(due, i+1)
			r.done(now)
		}
	}
	return due
}

func TestReturns(t *testing.T) {
	const quiet, idle = int(quietInterval/checkInterval) + 1, int(idleInterval / checkInterval)
	for name, test := range map[string]struct {
		now  heap
		want []int
	}{
		"a process that was busy": {heap{cycles: 9, live: 300 * mib, held: 1500 * mib, allocated: 4 << 30}, []int{quiet, quiet + idle, quiet + 2*idle, quiet + 3*idle}},
		// What caches held counts as live until they have forgotten it, and a collection has found that.
		"one that was busy, and has freed all since": {heap{cycles: 9, live: 300 * mib, held: 300 * mib, allocated: 4 << 30}, []int{quiet, quiet + idle, quiet + 2*idle}},
		"one that had less to do than is in use":     {heap{cycles: 9, live: 300 * mib, held: 303 * mib, allocated: 290 * mib}, nil},
		"a small one that had little to do":          {heap{cycles: 9, live: 30 * mib, held: 32 * mib, allocated: busyBytes - 1}, nil},
		"an idle one with garbage":                   {heap{cycles: 9, live: 30 * mib, held: 35 * mib, allocated: 40 * mib}, []int{1 + idle, 1 + 2*idle, 1 + 3*idle}},
	} {
		if got := checks(&returns{}, test.now, quiet+3*idle); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestReturns_NotWhileBusy(t *testing.T) {
	r := &returns{}
	now := heap{live: 30 * mib, held: 200 * mib}
	for range 100 {
		now.cycles++
		now.allocated += 500 * mib
		if r.due(now, false) {
			t.Fatal("a busy process returns memory")
		}
	}
	if got := checks(r, now, int(quietInterval/checkInterval)); len(got) != 1 {
		t.Error("it does not when it has been quiet")
	}
}

func TestReturns_WaitsForAGapBetweenRequests(t *testing.T) {
	r := &returns{}
	now := heap{cycles: 9, live: 300 * mib, held: 1500 * mib, allocated: 4 << 30}
	for i := range int(longestDelay / checkInterval) {
		if r.due(now, true) {
			t.Fatalf("it is due after %d checks, while there are requests", i+1)
		}
	}
	if !r.due(now, false) {
		t.Error("it is not due when there is a gap")
	}
	if !r.due(now, true) {
		t.Errorf("it is not due after %s", longestDelay)
	}
}

// The garbage of a burst is returned.
func TestKeepSmall(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go keepSmall(ctx, 16<<30)
	made := make([][]byte, 0, 256)
	for range 256 {
		made = append(made, make([]byte, mib))
	}
	runtime.KeepAlive(made)
	made = nil
	deadline := time.Now().Add(time.Minute)
	for readHeap().held > 128*mib {
		if time.Now().After(deadline) {
			t.Fatalf("the process has still %d MiB", readHeap().held/mib)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
