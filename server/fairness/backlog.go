package fairness

import "time"

const (
	// long is for how long work of a flow has gone on from which on the flow has much, beside what one piece of work after the other takes.
	long = 100 * time.Millisecond
	// busyFor is how much more is remembered: for so long after its work a flow may have much.
	busyFor = time.Second
	// fewFlows is how many flows a backlog may remember in any case.
	fewFlows = 64
)

// backlog remembers for how long work of each flow went on, more than one piece at a time or one for long, in the last second. It is not
// locked. The zero value is ready for use.
type backlog struct {
	flows map[string]excess
	// sweepAt is the number of flows from which on those that have nothing to remember are removed.
	sweepAt int
}

// excess is the time that work of a flow took, less the time that has passed.
type excess struct {
	time time.Duration
	at   time.Time
}

// left returns how much of it remains.
func (e excess) left(now time.Time) time.Duration { return e.time - now.Sub(e.at) }

// note records that work of the flow called name went on from one time to another.
func (b *backlog) note(name string, from, to time.Time) {
	took := to.Sub(from)
	if took >= long {
		took = long + busyFor
	}
	if b.flows == nil {
		b.flows, b.sweepAt = map[string]excess{}, fewFlows
	}
	// Work that took the whole time since the last one, and no other, leaves what there was.
	b.flows[name] = excess{time: min(long+busyFor, max(0, b.flows[name].left(to))+took), at: to}
	if len(b.flows) < b.sweepAt {
		return
	}
	for other, e := range b.flows {
		if e.left(to) <= 0 {
			delete(b.flows, other)
		}
	}
	b.sweepAt = max(fewFlows, 2*len(b.flows))
}

// much reports whether the flow called name has had more work in the last second than one piece after the other.
func (b *backlog) much(name string, now time.Time) bool { return b.flows[name].left(now) >= long }
