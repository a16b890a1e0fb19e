package main

import "context"

// measureDelete tells how fast workspaces go: from the start of the delete call
// to the moment at which a watch shows that the workspace, and hence all of its
// content, is gone. What the server spent on it depends less on what else the
// machine does than the rate.
func measureDelete(ctx context.Context, b *bench) error {
	if _, err := b.needFleet(ctx); err != nil {
		return err
	}
	before, err := b.snapshot(ctx)
	if err != nil {
		return err
	}
	gone, elapsed, err := b.dropFleet(ctx)
	if err != nil {
		return err
	}
	after, err := b.snapshot(ctx)
	if err != nil {
		return err
	}
	n := float64(len(gone))
	b.report.add("workspace_delete_rate", rate(len(gone), elapsed), unitRate)
	b.report.latencies("workspace_delete", gone)
	b.report.add("workspace_delete_revisions", (after.revision-before.revision)/n, unitCount)
	if spent, ok := after.since(before, "process_cpu_seconds_total"); ok {
		b.report.add("workspace_delete_cpu", spent*1000/n, unitMilliseconds)
	}
	if allocated, ok := after.since(before, "go_memstats_alloc_bytes_total"); ok {
		b.report.add("workspace_delete_allocated", kib(allocated/n), unitKiB)
	}
	return nil
}
