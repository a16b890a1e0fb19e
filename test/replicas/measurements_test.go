package replicas

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/crowd"
)

// phase is a part of a rolling restart.
type phase string

const (
	before  phase = "before"
	leaving phase = "leaving" // a replica was asked to end
	away    phase = "away"    // it has ended
	joining phase = "joining" // it starts, and is not ready
	joined  phase = "joined"
	after   phase = "after"
)

// during are the phases of the restart of one replica.
var during = []phase{leaving, away, joining, joined}

// measurements are what clients found, by the phase in which they sent their request.
type measurements struct {
	mu     sync.Mutex
	phase  phase
	took   map[phase]map[string]crowd.Latencies // by what was asked for
	faults map[phase]map[string]int
	count  int
}

func newMeasurements() *measurements {
	return &measurements{phase: before, took: map[phase]map[string]crowd.Latencies{}, faults: map[phase]map[string]int{}}
}

// enter begins a phase.
func (m *measurements) enter(p phase) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase = p
}

// start returns what notes how long something took that begins now.
func (m *measurements) start(what string) (done func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, began := m.phase, time.Now()
	return func() {
		took := time.Since(began)
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.took[p] == nil {
			m.took[p] = map[string]crowd.Latencies{}
		}
		m.took[p][what] = append(m.took[p][what], took)
		m.count++
	}
}

func (m *measurements) fault(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.faults[m.phase] == nil {
		m.faults[m.phase] = map[string]int{}
	}
	m.faults[m.phase][what]++
}

// more waits until n further requests are done.
func (m *measurements) more(t *testing.T, n int) {
	t.Helper()
	now := func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.count
	}
	for last := now(); n > 0; {
		// As many as there are: what matters is that something happens.
		annex.Eventually(t, func(context.Context) error {
			if now() == last {
				return fmt.Errorf("no request is answered, and %d are to come", n)
			}
			return nil
		})
		n, last = n-(now()-last), now()
	}
}

// of returns how long some things took in some phases.
func (m *measurements) of(kinds []string, phases ...phase) crowd.Latencies {
	var all crowd.Latencies
	for _, p := range phases {
		for _, kind := range kinds {
			all = append(all, m.took[p][kind]...)
		}
	}
	return all.Sorted()
}

// report prints a table of everything; the load has ended.
func (m *measurements) report(t *testing.T) {
	t.Helper()
	requests := []string{askCreate, askUpdate, askGet, askVisit}
	for _, group := range [][]string{requests, {askCreate}, {askUpdate}, {askGet}, {askVisit}, {askWorkspace}, {askResume}} {
		name := group[0]
		if len(group) > 1 {
			name = "all of these"
		}
		for _, row := range []struct {
			name   string
			phases []phase
		}{{"before", []phase{before}}, {"during", during}, {"- leaving", []phase{leaving}}, {"- away", []phase{away}}, {"- joining", []phase{joining}}, {"after", []phase{after}}} {
			if l := m.of(group, row.phases...); len(l) > 0 {
				t.Logf("%-14s %-9s %6d  p50 %8.1f ms  p99 %8.1f ms  max %8.1f ms", name, row.name, len(l), ms(l.Percentile(0.5)), ms(l.Percentile(0.99)), ms(l.Percentile(1)))
			}
		}
		compare(t, name, "during the restarts / before", m.of(group, during...), m.of(group, before))
		compare(t, name, "while a server joins / while it is away", m.of(group, joining), m.of(group, away))
	}
	for _, p := range []phase{before, leaving, away, joining, joined, after} {
		if faults := m.faults[p]; len(faults) > 0 {
			t.Logf("failed requests, %s: %v", p, faults)
		}
	}
}

func compare(t *testing.T, name, what string, of, to crowd.Latencies) {
	t.Helper()
	if len(of) == 0 || len(to) == 0 {
		return
	}
	ratio := func(p float64) float64 { return float64(of.Percentile(p)) / float64(to.Percentile(p)) }
	t.Logf("%-14s %s: p50 %.2f, p99 %.2f", name, what, ratio(0.5), ratio(0.99))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
