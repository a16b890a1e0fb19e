package main

import (
	"context"
	"fmt"
	"strconv"
)

// scaleStep is what was seen at one number of workspaces.
type scaleStep struct {
	workspaces int
	rate       float64  // of creating those that the step before did not have
	grown      snapshot // after they were created and a rest
	restarted  snapshot // after a crash, a start and a rest; the zero value for step 0
}

// measureScale tells what a server does and holds as its workspaces become more,
// all of them empty and under root. At each number it is killed and started again.
func measureScale(ctx context.Context, b *bench) error {
	if err := b.startFresh(ctx, "scale"); err != nil {
		return err
	}
	warm, _, _, err := b.makeWorkspaces(ctx, "warm", b.opts.clients, nil)
	if err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	// Step 0. Those for warming up are part of every step.
	var last scaleStep
	if last.grown, err = b.snapshotAfterRest(ctx, "scale"); err != nil {
		return err
	}
	b.report.gauges("scale_0", last.grown)
	var first float64
	from := last.grown
	for i, n := range b.opts.scaleSteps {
		step, err := b.measureStep(ctx, from, n-last.workspaces, n, warm[0])
		if err != nil {
			return fmt.Errorf("with %d workspaces: %w", n, err)
		}
		b.reportSlopes(last, step)
		if i == 0 {
			first = step.rate
		}
		last, from = step, step.restarted
	}
	b.report.add("scale_create_rate_last_to_first", last.rate/first, unitCount)
	return nil
}

// measureStep makes so many more workspaces that there are n, and measures. from
// is the state of the server at its begin.
func (b *bench) measureStep(ctx context.Context, from snapshot, more, n int, warm string) (scaleStep, error) {
	step := scaleStep{workspaces: n}
	prefix := "scale_" + strconv.Itoa(n)
	names, ready, elapsed, err := b.makeWorkspaces(ctx, "to"+strconv.Itoa(n), more, nil)
	if err != nil {
		return step, err
	}
	step.rate = rate(more, elapsed)
	b.report.add(prefix+"_create_rate", step.rate, unitRate)
	b.report.latencies(prefix+"_create", ready)

	if step.grown, err = b.snapshotAfterRest(ctx, "scale"); err != nil {
		return step, err
	}
	b.report.add(prefix+"_revisions_per_workspace", (step.grown.revision-from.revision)/float64(more), unitCount)
	if from.etcd.keys > 0 {
		b.report.add(prefix+"_keys_per_workspace", (step.grown.etcd.keys-from.etcd.keys)/float64(more), unitCount)
	}
	b.report.gauges(prefix, step.grown)

	if err := b.measureCold(ctx, prefix, warm, names); err != nil {
		return step, err
	}
	if err := b.measureList(ctx, prefix, n); err != nil {
		return step, err
	}
	step.restarted, err = b.measureCrash(ctx, prefix, n)
	return step, err
}

// measureCrash kills the server and starts it again. It returns its state after a
// rest.
func (b *bench) measureCrash(ctx context.Context, prefix string, n int) (snapshot, error) {
	b.server.kill()
	if err := b.startServer(ctx); err != nil {
		return snapshot{}, err
	}
	b.report.add(prefix+"_restart", b.server.startup.Seconds(), unitSeconds)
	s, err := b.snapshotAfterRest(ctx, "scale")
	if err != nil {
		return snapshot{}, err
	}
	b.report.gauges(prefix+"_restarted", s)
	if spent, ok := s.metrics.value("process_cpu_seconds_total"); ok {
		b.report.add(prefix+"_restarted_cpu", spent, unitSeconds)
	}
	// A start is not fast because it lost something.
	if err := b.countWorkspaces(ctx, n); err != nil {
		return snapshot{}, fmt.Errorf("after the restart: %w", err)
	}
	return s, nil
}

// reportSlopes prints how much memory each workspace adds between two steps.
func (b *bench) reportSlopes(from, to scaleStep) {
	prefix := fmt.Sprintf("scale_%d_to_%d", from.workspaces, to.workspaces)
	more := float64(to.workspaces - from.workspaces)
	b.report.add(prefix+"_rss_per_workspace", kib((to.grown.rss-from.grown.rss)/more), unitKiB)
	if from.restarted.rss > 0 {
		b.report.add(prefix+"_restarted_rss_per_workspace", kib((to.restarted.rss-from.restarted.rss)/more), unitKiB)
	}
}

// scaleParts gives every step a time limit, and every 10,000 workspaces.
func scaleParts(o options) int {
	return len(o.scaleSteps) + o.scaleSteps[len(o.scaleSteps)-1]/workspacesPerPart
}

// workspacesPerPart is how many workspaces are made, or made and deleted, within
// one time limit.
const workspacesPerPart = 10_000
