package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// Units of figures.
const (
	unitRate         = "1/s"
	unitMilliseconds = "ms"
	unitSeconds      = "s"
	unitKiB          = "KiB"
	unitMiB          = "MiB"
	unitCount        = "1"
)

// latencies are what most figures are made of.
type latencies = crowd.Latencies

// report prints figures as they come in.
type report struct {
	out io.Writer
}

func newReport(out io.Writer) *report {
	return &report{out: out}
}

// add prints one line, "name value unit", with at most three decimals.
func (r *report) add(name string, value float64, unit string) {
	fmt.Fprintln(r.out, name, formatValue(value), unit)
}

// latencies prints the percentiles of operations called prefix.
func (r *report) latencies(prefix string, l latencies) {
	s := l.Sorted()
	r.add(prefix+"_p50", milliseconds(s.Percentile(0.50)), unitMilliseconds)
	r.add(prefix+"_p90", milliseconds(s.Percentile(0.90)), unitMilliseconds)
	r.add(prefix+"_p99", milliseconds(s.Percentile(0.99)), unitMilliseconds)
}

// formatValue rounds to three decimals and drops zeros at the end.
func formatValue(v float64) string {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', 3, 64), 64)
	if err != nil {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	if rounded == 0 {
		return "0" // and not "-0"
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func kib(bytes float64) float64 { return bytes / 1024 }

func mib(bytes float64) float64 { return bytes / 1024 / 1024 }

// rate returns operations each second, or 0 when no time went by.
func rate(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
