package fairness

import (
	"strconv"
	"testing"
	"time"
)

func TestBacklog(t *testing.T) {
	start := time.Now()
	type piece struct{ from, to time.Duration }
	one := func(took time.Duration, n int) (all []piece) {
		for i := range n {
			all = append(all, piece{time.Duration(i) * took, time.Duration(i+1) * took})
		}
		return all
	}
	for name, test := range map[string]struct {
		work []piece
		// until is when the flow has no longer much work, counted from the end of the last piece.
		until time.Duration
	}{
		"nothing":                       {nil, 0},
		"a short piece":                 {one(long/2, 1), 0},
		"one short piece after another": {one(long/2, 1000), 0},
		"a long piece":                  {one(long, 1), busyFor},
		"a very long piece":             {one(time.Hour, 1), busyFor},
		"three short pieces at a time":  {append(one(long/2, 1), piece{0, long / 2}, piece{0, long / 2}), long / 2},
		"two at a time, for long":       {append(one(time.Millisecond, 5000), one(time.Millisecond, 5000)...), busyFor},
		"many pieces, for long":         {append(one(20*time.Millisecond, 3), piece{0, 60 * time.Millisecond}, piece{10 * time.Millisecond, 60 * time.Millisecond}), 30 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var b backlog
			end := start
			for _, p := range test.work {
				if end.Before(start.Add(p.to)) {
					end = start.Add(p.to)
				}
				b.note("flow", start.Add(p.from), start.Add(p.to))
			}
			if got := b.much("flow", end.Add(test.until-time.Microsecond)); test.until > 0 && !got {
				t.Error("it has not much work soon after")
			}
			if b.much("flow", end.Add(test.until+time.Microsecond)) {
				t.Error("it has much work for too long")
			}
			if b.much("other", end) {
				t.Error("another one has much work")
			}
		})
	}
}

// What is remembered does not grow with the flows that there have been.
func TestBacklog_Forgets(t *testing.T) {
	var b backlog
	now := time.Now()
	for i := range 100 * fewFlows {
		now = now.Add(10 * time.Millisecond)
		b.note(strconv.Itoa(i), now.Add(-time.Millisecond), now)
		b.note("long", now.Add(-long), now)
		if len(b.flows) > 2*fewFlows {
			t.Fatalf("%d flows are remembered", len(b.flows))
		}
	}
	if !b.much("long", now) {
		t.Error("one with much work is forgotten")
	}
}
