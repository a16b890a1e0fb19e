package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// readRSS returns RssAnon of a process in bytes: the memory that is its own, as
// opposed to its binary and other files it has mapped.
func readRSS(pid int) (float64, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, fmt.Errorf("reading the memory of the server: %w", err)
	}
	defer f.Close()
	rss, err := parseRSS(f)
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	return rss, nil
}

// peakRSS returns the largest RssAnon of a process that was seen, with a look each
// interval, while do ran; and the error of do.
func peakRSS(pid int, interval time.Duration, do func() error) (peak float64, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = do()
	}()
	look := func() {
		if rss, err := readRSS(pid); err == nil {
			peak = max(peak, rss)
		}
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			look()
		case <-done:
			look()
			return peak, err
		}
	}
}

// parseRSS reads the format of proc_pid_status(5), where the line is like
// "RssAnon:	   12345 kB", and kB means 1024 bytes.
func parseRSS(r io.Reader) (float64, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "RssAnon:")
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) != 2 || fields[1] != "kB" {
			return 0, fmt.Errorf("unexpected line %q", lines.Text())
		}
		kilobytes, err := strconv.ParseUint(fields[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("unexpected line %q: %w", lines.Text(), err)
		}
		return float64(kilobytes) * 1024, nil
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("reading lines: %w", err)
	}
	return 0, fmt.Errorf("no line RssAnon")
}
