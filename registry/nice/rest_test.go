package nice

import (
	"runtime"
	"testing"
	"time"
)

func TestRestAfter(t *testing.T) {
	for _, c := range []struct {
		used       time.Duration
		processors int
		want       time.Duration
	}{
		{100 * time.Millisecond, 1, 300 * time.Millisecond},
		{100 * time.Millisecond, 2, 100 * time.Millisecond},
		{90 * time.Millisecond, 3, 30 * time.Millisecond},
		{100 * time.Millisecond, 4, 0},
		{100 * time.Millisecond, 64, 0},
		{time.Minute, 2, longestRest},
	} {
		if got := restAfter(c.used, c.processors); got != c.want {
			t.Errorf("after %s on one of %d processors: %s, want %s", c.used, c.processors, got, c.want)
		}
	}
}

// A rest is no shorter than it should be, however busy the machine is.
func TestDo_LongWorkRestsWhileOthersAreActive(t *testing.T) {
	if !supported {
		t.Skip("no work gives way here")
	}
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before); shared.Store(0) })
	work := func() (worked, took time.Duration) {
		begun := time.Now()
		Do(func() {
			for from := used(); worked < 2*long; {
				worked = used() - from
			}
		})
		return worked, time.Since(begun)
	}
	Share(time.Now().Add(time.Hour))
	if worked, took := work(); took < worked+restAfter(worked, 1) {
		t.Errorf("work that used a processor for %s took %s", worked, took)
	}
	Share(time.Now().Add(-time.Second))
	begun := time.Now()
	rest(time.Hour)
	if took := time.Since(begun); took >= longestRest {
		t.Errorf("a tenant that is alone rests for %s", took)
	}
}
