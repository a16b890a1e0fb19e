package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseRSS(t *testing.T) {
	const status = "Name:\tannex\nVmRSS:\t  200000 kB\nRssAnon:\t   12345 kB\nRssFile:\t   80000 kB\n"
	got, err := parseRSS(strings.NewReader(status))
	if err != nil || got != 12345*1024 {
		t.Errorf("RSS is %v (%v), want %d bytes", got, err, 12345*1024)
	}
	for name, status := range map[string]string{
		"no such line": "Name:\tannex\n", "no unit": "RssAnon:\t5\n", "no number": "RssAnon:\tx kB\n",
	} {
		if got, err := parseRSS(strings.NewReader(status)); err == nil {
			t.Errorf("%s: RSS is %v, want an error", name, got)
		}
	}
}

func TestPeakRSS(t *testing.T) {
	broken := errors.New("broken")
	peak, err := peakRSS(os.Getpid(), time.Hour, func() error { return broken })
	if peak <= 0 || !errors.Is(err, broken) {
		t.Errorf("the peak is %v (%v), want a positive number and the error", peak, err)
	}
}

func TestParseMetrics(t *testing.T) {
	const text = `# HELP go_goroutines Number of goroutines that currently exist.
# TYPE go_goroutines gauge
go_goroutines 321

requests_total{code="200",path="/a b{}"} 7
requests_total{code="500"} 1 1700000000000
etcd_debugging_mvcc_current_revision 1.2345e+04
process_start_time_seconds 1.7e+09 1700000000000
`
	m, err := parseMetrics(strings.NewReader(text))
	if err != nil {
		t.Fatalf("parsing: %v", err)
	}
	if m.series != 5 {
		t.Errorf("series are %d, want 5", m.series)
	}
	for name, want := range map[string]float64{
		"go_goroutines": 321, "etcd_debugging_mvcc_current_revision": 12345, "process_start_time_seconds": 1.7e9,
	} {
		if got, ok := m.value(name); !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	if _, ok := m.value("requests_total"); ok {
		t.Error("a series with labels has a value of its own")
	}
	for name, text := range map[string]string{"no value": "up\n", "no number": "up down\n"} {
		if _, err := parseMetrics(strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSplitType(t *testing.T) {
	for _, tc := range []struct {
		in, wantPath, wantName string
		wantOK                 bool
	}{
		{"root:universal", "root", "universal", true},
		{"root:org:team", "root:org", "team", true},
		{"universal", "", "", false},
		{":universal", "", "", false},
		{"root:", "", "", false},
		{"", "", "", false},
	} {
		path, name, ok := splitType(tc.in)
		if path != tc.wantPath || name != tc.wantName || ok != tc.wantOK {
			t.Errorf("splitType(%q) is %q, %q, %v", tc.in, path, name, ok)
		}
	}
}

func TestBaseURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://127.0.0.1:6443":                   "https://127.0.0.1:6443",
		"https://127.0.0.1:6443/":                  "https://127.0.0.1:6443",
		"https://127.0.0.1:6443/clusters/root:org": "https://127.0.0.1:6443",
		"https://example.com/kcp/clusters/root":    "https://example.com/kcp",
	} {
		if got := baseURL(in); got != want {
			t.Errorf("baseURL(%q) is %q, want %q", in, got, want)
		}
	}
}
