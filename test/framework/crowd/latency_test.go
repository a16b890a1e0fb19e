package crowd

import (
	"testing"
	"time"
)

func TestLatencies_Percentile(t *testing.T) {
	hundred := make(Latencies, 100)
	for i := range hundred {
		// In reverse, so that sorting has something to do.
		hundred[i] = time.Duration(100 - i)
	}
	for _, tc := range []struct {
		name string
		l    Latencies
		p    float64
		want time.Duration
	}{
		{"nothing measured", nil, 0.5, 0},
		{"a single one is every percentile", Latencies{7}, 0.99, 7},
		{"median of two is the lower", Latencies{9, 1}, 0.5, 1},
		{"p50 of 1..100", hundred, 0.50, 50},
		{"p90 of 1..100", hundred, 0.90, 90},
		{"p99 of 1..100", hundred, 0.99, 99},
		{"the largest", hundred, 1, 100},
		{"the smallest", hundred, 0.001, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.l.Sorted().Percentile(tc.p); got != tc.want {
				t.Errorf("Percentile(%v) is %d, want %d", tc.p, got, tc.want)
			}
		})
	}
	if hundred[0] != 100 {
		t.Error("sorting changed the measured latencies")
	}
}
