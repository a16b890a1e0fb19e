package app

import (
	"regexp"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// caused are the lines that stock admission logs for each request that a webhook of a tenant fails, refuses or is too slow for. What stands in
// the group names the webhook. A tenant can cause thousands of them in a second.
var caused = regexp.MustCompile(`^(?:Failed calling webhook, failing (?:open|closed) ([^:]*)|failed calling webhook ("[^"]*")|Context canceled when calling webhook (.*)|rejected by webhook ("[^"]*")|` +
	`Failed evaluating match conditions, failing closed ([^:]*)|Panic calling webhook, failing open ([^:]*)|conversion webhook for ([^:]*) failed|` +
	`Failed to make webhook (authorizer) request|asking the (authorization) webhook)`)

const (
	// repeatAfter is how long lines about one webhook are counted instead of logged after one was.
	repeatAfter = time.Minute
	// maxWebhooks is how many webhooks are told apart in that time; all others together count as one. A name may be 253 bytes long.
	maxWebhooks = 256
)

// sparse is a sink of log lines that logs one line for each webhook and minute, with the number of those that it left out before.
type sparse struct {
	logr.LogSink
	counts *counts
}

var _ logr.CallDepthLogSink = &sparse{}

// logSparsely makes klog leave out lines that repeat. Call it once logging is set up.
func logSparsely() {
	logger := klog.Background()
	klog.SetLoggerWithOptions(logger.WithSink(&sparse{LogSink: logger.GetSink(), counts: &counts{clock: clock.RealClock{}}}), klog.ContextualLogger(true))
}

// Info implements logr.LogSink.
func (s *sparse) Info(level int, msg string, keysAndValues ...any) {
	if more, ok := s.counts.log(msg); ok {
		s.LogSink.Info(level, msg, append(keysAndValues, more...)...)
	}
}

// Error implements logr.LogSink.
func (s *sparse) Error(err error, msg string, keysAndValues ...any) {
	about := msg
	if err != nil {
		about = err.Error()
	}
	if more, ok := s.counts.log(about); ok {
		s.LogSink.Error(err, msg, append(keysAndValues, more...)...)
	}
}

// WithValues implements logr.LogSink.
func (s *sparse) WithValues(keysAndValues ...any) logr.LogSink {
	return &sparse{LogSink: s.LogSink.WithValues(keysAndValues...), counts: s.counts}
}

// WithName implements logr.LogSink.
func (s *sparse) WithName(name string) logr.LogSink {
	return &sparse{LogSink: s.LogSink.WithName(name), counts: s.counts}
}

// WithCallDepth implements logr.CallDepthLogSink.
func (s *sparse) WithCallDepth(depth int) logr.LogSink {
	if deep, ok := s.LogSink.(logr.CallDepthLogSink); ok {
		return &sparse{LogSink: deep.WithCallDepth(depth), counts: s.counts}
	}
	return s
}

// counts are the lines about webhooks of the last minute.
type counts struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	since time.Time
	of    map[string]int
	// before are those that were left out in the minute before.
	before map[string]int
}

// log reports whether a line is logged, and what to add to it.
func (c *counts) log(line string) (more []any, ok bool) {
	match := caused.FindStringSubmatch(line)
	if match == nil {
		return nil, true
	}
	name := ""
	for _, group := range match[1:] {
		name += group
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock.Now(); now.Sub(c.since) >= repeatAfter {
		c.since, c.before, c.of = now, c.of, map[string]int{}
	}
	if _, known := c.of[name]; !known && len(c.of) >= maxWebhooks {
		name = "others"
	}
	c.of[name]++
	if c.of[name] > 1 {
		return nil, false
	}
	if left := c.before[name] - 1; left > 0 {
		return []any{"leftOutBefore", left}, true
	}
	return nil, true
}
