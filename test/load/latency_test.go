package main

import (
	"testing"
	"time"
)

func TestLatencies_Percentile(t *testing.T) {
	hundred := make(latencies, 100)
	for i := range hundred {
		// In reverse, so that sorting has something to do.
		hundred[i] = time.Duration(100 - i)
	}
	for _, tc := range []struct {
		name string
		l    latencies
		p    float64
		want time.Duration
	}{
		{"nothing measured", nil, 0.5, 0},
		{"a single one is every percentile", latencies{7}, 0.99, 7},
		{"median of two is the lower", latencies{9, 1}, 0.5, 1},
		{"p50 of 1..100", hundred, 0.50, 50},
		{"p90 of 1..100", hundred, 0.90, 90},
		{"p99 of 1..100", hundred, 0.99, 99},
		{"the largest", hundred, 1, 100},
		{"the smallest", hundred, 0.001, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.l.sorted().percentile(tc.p); got != tc.want {
				t.Errorf("percentile(%v) is %d, want %d", tc.p, got, tc.want)
			}
		})
	}
	if hundred[0] != 100 {
		t.Error("sorting changed the measured latencies")
	}
}

func TestRate(t *testing.T) {
	if got := rate(50, 2*time.Second); got != 25 {
		t.Errorf("rate of 50 in 2 s is %v, want 25", got)
	}
	if got := rate(50, 0); got != 0 {
		t.Errorf("rate without time is %v, want 0", got)
	}
}
