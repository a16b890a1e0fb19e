package main

import "context"

// measureDelete tells how fast workspaces go: from the start of the delete call
// to the moment at which a watch shows that the workspace, and hence all of its
// content, is gone.
func measureDelete(ctx context.Context, b *bench) error {
	gone, elapsed, err := b.dropFleet(ctx)
	if err != nil {
		return err
	}
	b.report.add("workspace_delete_rate", rate(len(gone), elapsed), unitRate)
	b.report.latencies("workspace_delete", gone)
	return nil
}
