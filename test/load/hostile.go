package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/crowd"
	"github.com/annex-dev/annex/test/hostile"
)

const (
	// calm is how long after an attack its neighbors must notice nothing of it.
	calm = 10 * time.Second
	// rssInterval is how often memory is read during an attack.
	rssInterval = 200 * time.Millisecond
	// defineSamples is how many definitions are measured before and after an
	// attack on them, and at most during it.
	defineSamples = 3
)

// attackNames returns the attacks that are about a figure.
func attackNames() []string {
	var names []string
	for _, attack := range hostile.Attacks() {
		if attack.Many > 0 {
			names = append(names, attack.Name)
		}
	}
	return names
}

// measureHostile tells what a quiet workspace notices of attacks, one after the
// other, and what they leave in memory and in the metrics of the server.
func measureHostile(ctx context.Context, b *bench) error {
	names, _, _, err := b.makeWorkspaces(ctx, "hostile", 1, nil)
	if err != nil {
		return err
	}
	q, err := newQuiet(ctx, b.target.admin, workspacePath(names[0]))
	if err != nil {
		return err
	}
	defer q.conn.Close()
	var chosen []hostile.Attack
	for _, attack := range hostile.Attacks() {
		if slices.Contains(b.opts.attacks, attack.Name) {
			chosen = append(chosen, attack)
		}
	}
	// What a server makes once, for its first busy clients and at the first attack of a kind, is no cost of an attack.
	b.logf("warming up ...")
	url := crowd.ClusterURL(b.target.admin.Host, workspacePath(names[0]))
	if err := b.crudRound(ctx, newCRUDSide("workspace", b.target.admin, url, metav1.NamespaceDefault), 0); err != nil {
		return fmt.Errorf("warming up with ordinary requests: %w", err)
	}
	for _, attack := range chosen {
		a := &assault{bench: b, attack: attack, quiet: q}
		if err := a.run(ctx, attack.Few, func(h *helper, told *attacked) error { return ask(h, stepStrike, told) }); err != nil {
			return fmt.Errorf("warming up with %s: %w", attack.Name, err)
		}
	}
	if err := q.clean(ctx); err != nil {
		return fmt.Errorf("cleaning up: %w", err)
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	var faults []error
	for _, attack := range chosen {
		b.logf("attack %s ...", attack.Name)
		a := &assault{bench: b, attack: attack, quiet: q}
		if err := a.measure(ctx, max(1, int(math.Round(float64(attack.Many)*b.opts.attackSize)))); err != nil {
			faults = append(faults, fmt.Errorf("attack %s: %w", attack.Name, err))
		}
	}
	return errors.Join(faults...)
}

// settle rests until memory can be read.
func (b *bench) settle(ctx context.Context) error {
	return crowd.Sleep(ctx, b.opts.settle)
}

// assault is one attack and what comes of it.
type assault struct {
	*bench
	attack hostile.Attack
	quiet  *quiet

	before, during, after          snapshot
	alone, occupied, beside, later view
}

// view is what the quiet workspace sees.
type view struct{ reads, writes, defines latencies }

// worstRatio compares the p99 of two views: that of reads, or that of writes if it is worse.
func (v view) worstRatio(to view) float64 {
	return max(ratio(v.reads, to.reads, 0.99), ratio(v.writes, to.writes, 0.99))
}

// run prepares the attack, strikes as soon as prepared returns, and cleans up.
// It fails if the attack cannot be made, or if the server does what it must not.
func (a *assault) run(ctx context.Context, n int, prepared func(*helper, *attacked) error) error {
	h, err := startHelper(ctx, attackCommand)
	if err != nil {
		return err
	}
	var told attacked
	c := a.target.admin
	err = ask(h, attacking{Host: c.Host, Token: c.BearerToken, CA: c.CAData, Attack: a.attack.Name, Count: n, Limit: a.opts.attackTime}, &told)
	if err == nil {
		err = prepared(h, &told)
	}
	answers := told.Answers
	err = errors.Join(err, ask(h, stepClean, &told))
	a.logf("attack %s: %d of it, answers by code %v", a.attack.Name, n, answers)
	return errors.Join(err, h.end(nil))
}

// measure runs the attack beside the quiet workspace, and tells the figures.
func (a *assault) measure(ctx context.Context, n int) error {
	var err error
	if a.before, err = a.snapshot(ctx); err != nil {
		return err
	}
	// A failure of the attack, or of a request beside it, takes away no other figure.
	fault := a.run(ctx, n, func(h *helper, told *attacked) error {
		if err := a.look(ctx, &a.alone, a.opts.quietRequests, nil); err != nil {
			return err
		}
		if err := a.lookOccupied(ctx); err != nil {
			return err
		}
		return a.besides(ctx, h, told)
	})
	a.tellViews()
	if err := a.quiet.clean(ctx); err != nil {
		return errors.Join(fault, fmt.Errorf("cleaning up: %w", err))
	}
	if err := a.settle(ctx); err != nil {
		return errors.Join(fault, err)
	}
	if a.after, err = a.snapshot(ctx); err != nil {
		return errors.Join(fault, err)
	}
	a.tellServer()
	return fault
}

// besides strikes and looks at the quiet workspace meanwhile, and afterwards.
func (a *assault) besides(ctx context.Context, h *helper, told *attacked) error {
	striking, over := context.WithCancel(ctx)
	defer over()
	var strike error
	var most float64
	var meanwhile sync.WaitGroup
	meanwhile.Go(func() {
		defer over()
		most, strike = peakRSS(a.pid(), rssInterval, func() error { return ask(h, stepStrike, told) })
	})
	fault := a.look(ctx, &a.beside, math.MaxInt, striking.Done())
	meanwhile.Wait()
	fault = errors.Join(fault, strike)
	var err error
	if a.during, err = a.snapshot(ctx); err != nil {
		return errors.Join(fault, err)
	}
	a.during.rss = max(a.during.rss, most)
	if err := crowd.Sleep(ctx, min(calm, a.opts.settle)); err != nil {
		return errors.Join(fault, err)
	}
	return errors.Join(fault, a.look(ctx, &a.later, a.opts.quietRequests, nil))
}

// lookOccupied measures the quiet workspace while a process that asks nothing of the server takes what time of the processors nobody else
// wants. An attack keeps all processors at work, and that alone costs a request something: interrupts and, in a virtual machine, the times
// in which other machines have the processor.
func (a *assault) lookOccupied(ctx context.Context) error {
	h, err := startHelper(ctx, occupyCommand)
	if err != nil {
		return err
	}
	return errors.Join(a.look(ctx, &a.occupied, a.opts.quietRequests, nil), h.end(nil))
}

// look measures the quiet workspace with n reads and writes, or until the
// attack is over.
func (a *assault) look(ctx context.Context, v *view, n int, over <-chan struct{}) error {
	for i := 0; i < n; i++ {
		if err := a.quiet.measureOnce(ctx, &v.reads, &v.writes); err != nil {
			return err
		}
		if a.attack.Defines && len(v.defines) < defineSamples && i%10 == 0 {
			took, err := a.quiet.define(ctx)
			if err != nil {
				return err
			}
			v.defines = append(v.defines, took)
		}
		select {
		case <-over:
			return nil
		default:
		}
	}
	return nil
}

// tellViews prints what the quiet workspace has seen before the attack, with the processors occupied, during it, and ten seconds after it.
func (a *assault) tellViews() {
	name := "hostile_" + a.attack.Name
	for _, at := range []struct {
		when, ratio string // the suffix of figures
		view
	}{{"alone", "", a.alone}, {"occupied", "_worst_p99_ratio_occupied", a.occupied}, {"beside", "_worst_p99_ratio", a.beside}, {"10s_after", "_worst_p99_ratio_10s_after", a.later}} {
		if len(at.reads) == 0 || len(at.writes) == 0 {
			continue // it did not come to that
		}
		a.report.latencies(name+"_read_"+at.when, at.reads)
		a.report.latencies(name+"_write_"+at.when, at.writes)
		if len(at.defines) > 0 {
			a.report.add(name+"_define_"+at.when, milliseconds(at.defines.Sorted().Percentile(1)), unitMilliseconds)
		}
		if at.ratio != "" {
			a.report.add(name+at.ratio, at.worstRatio(a.alone), unitCount)
		}
	}
	if len(a.beside.reads) > 0 && len(a.beside.writes) > 0 {
		a.report.add(name+"_worst_p99_ratio_to_occupied", a.beside.worstRatio(a.occupied), unitCount)
	}
	a.report.add(name+"_requests_beside", float64(len(a.beside.reads)+len(a.beside.writes)), unitCount)
}

// tellServer prints what the attack costs the server.
func (a *assault) tellServer() {
	name := "hostile_" + a.attack.Name
	for _, at := range []struct {
		when string
		snapshot
	}{{"before", a.before}, {"during", a.during}, {"after", a.after}} {
		if at.rss == 0 {
			continue // it did not come to that
		}
		a.report.add(name+"_rss_"+at.when, mib(at.rss), unitMiB)
		a.report.add(name+"_series_"+at.when, float64(at.metrics.series), unitCount)
	}
	a.report.add(name+"_rss_after_ratio", a.after.rss/a.before.rss, unitCount)
	before, hadHeap := a.before.metrics.value("go_memstats_heap_inuse_bytes")
	after, hasHeap := a.after.metrics.value("go_memstats_heap_inuse_bytes")
	if hadHeap && hasHeap {
		a.report.add(name+"_heap_after_ratio", after/before, unitCount)
	}
}

// ratio compares a percentile of two series.
func ratio(of, to latencies, p float64) float64 {
	return float64(of.Sorted().Percentile(p)) / float64(to.Sorted().Percentile(p))
}

// ask is helper.ask for an attack, whose faults are errors.
func ask(h *helper, what any, told *attacked) error {
	if err := h.ask(what, told); err != nil {
		return err
	}
	if told.Fault != "" {
		return errors.New(told.Fault)
	}
	return nil
}
