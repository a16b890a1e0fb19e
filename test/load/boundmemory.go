package main

import (
	"context"
	"fmt"
)

// measureBoundMemory tells how much memory a workspace holds that binds an API
// and has one object of it: all of it, with what the empty workspace holds.
func measureBoundMemory(ctx context.Context, b *bench) error {
	p, err := b.needProvider(ctx)
	if err != nil {
		return err
	}
	// One for each client first, as for the fleet.
	if _, _, _, err := b.makeWorkspaces(ctx, "warmbound", b.opts.clients, p.bindAndCreate); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	before, err := b.snapshotAfterRest(ctx, "bound-memory")
	if err != nil {
		return err
	}
	n := b.opts.boundWorkspaces
	_, _, elapsed, err := b.makeWorkspaces(ctx, "bound", n, p.bindAndCreate)
	if err != nil {
		return fmt.Errorf("making %d bound workspaces: %w", n, err)
	}
	after, err := b.snapshotAfterRest(ctx, "bound-memory")
	if err != nil {
		return err
	}
	b.report.add("bound_workspace_create_rate", rate(n, elapsed), unitRate)
	b.report.add("rss_per_bound_workspace", kib((after.rss-before.rss)/float64(n)), unitKiB)
	return nil
}
