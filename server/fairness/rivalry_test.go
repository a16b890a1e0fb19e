package fairness

import (
	"testing"
	"time"
)

func TestRivalry(t *testing.T) {
	var r rivalry
	now := time.Now()
	for _, step := range []struct {
		flow  string
		after time.Duration
		want  bool
	}{
		{"busy", 0, false},
		{"busy", time.Hour, false},
		{processShare, 0, false},
		{"busy", 0, false},
		{"quiet", 0, true},
		{"busy", memory / 2, true},
		{"busy", memory / 2, true},
		{"busy", memory / 2, false},
		{"busy", time.Hour, false},
		{"next", memory, false},
		{"busy", memory / 2, true},
	} {
		now = now.Add(step.after)
		if got := r.note(step.flow, now); got != step.want {
			t.Errorf("%s, %s later: %t", step.flow, step.after, got)
		}
	}
}

func TestLine_AFlowThatIsAloneHasMoreSeats(t *testing.T) {
	l := newTestLine(t, Config{Seats: 1})
	l.workspaces.rivalry.until = time.Time{}
	var held []func()
	for range aloneFactor {
		held = append(held, mustAcquire(t, l, "busy", "mallory", 1))
	}
	mustAcquire(t, l, "quiet", "alice", 1)()
	next := inBackground(t.Context(), l, "busy", "mallory")
	eventually(t, "it waits", func() bool { return l.waiting.total() == 1 })
	for i, release := range held {
		select {
		case <-next:
			t.Fatalf("beside another flow it has a seat while %d requests hold some", len(held)-i)
		default:
		}
		release()
	}
	(<-next).release()
}
