package main

import (
	"strings"
	"testing"
	"time"
)

func TestReport_OneFigureALine(t *testing.T) {
	var out strings.Builder
	r := newReport(&out)
	r.add("whole", 12, unitCount)
	r.add("rounded", 1234.56789, unitRate)
	r.add("negative", -0.00001, unitKiB)
	r.latencies("call", latencies{3 * time.Millisecond, time.Millisecond, 1500 * time.Microsecond})

	want := `whole 12 1
rounded 1234.568 1/s
negative 0 KiB
call_p50 1.5 ms
call_p90 3 ms
call_p99 3 ms
`
	if out.String() != want {
		t.Errorf("report is\n%s\nwant\n%s", out.String(), want)
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
