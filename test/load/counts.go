package main

import (
	"context"
	"errors"
)

// measureCounts tells what a process has for 100 and for N workspaces. Both
// should be the same: nothing is meant to be resident for a workspace.
func measureCounts(ctx context.Context, b *bench) error {
	f, err := b.needFleet(ctx)
	if err != nil {
		return err
	}
	early, okEarly := f.early.metrics.value("go_goroutines")
	after, okAfter := f.after.metrics.value("go_goroutines")
	if !okEarly || !okAfter {
		return errors.New("the server has no metric go_goroutines")
	}
	b.report.add("workspaces_n", float64(len(f.names)), unitCount)
	b.report.add("goroutines_at_100", early, unitCount)
	b.report.add("goroutines_at_n", after, unitCount)
	b.report.add("series_at_100", float64(f.early.metrics.series), unitCount)
	b.report.add("series_at_n", float64(f.after.metrics.series), unitCount)
	return nil
}
