package crowd

import (
	"math"
	"slices"
	"time"
)

// Latencies are durations of equal operations, in any order.
type Latencies []time.Duration

// Percentile returns the smallest duration that is not exceeded by the share p
// of all, with p in (0, 1] (nearest rank). It is 0 when there are none. The
// receiver must be sorted.
func (l Latencies) Percentile(p float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	// The small step back keeps 0.99 * 100 = 99.00000000000001 at rank 99.
	rank := int(math.Ceil(p*float64(len(l)) - 1e-9))
	return l[min(max(rank, 1), len(l))-1]
}

// Sorted returns a sorted copy.
func (l Latencies) Sorted() Latencies {
	s := slices.Clone(l)
	slices.Sort(s)
	return s
}
