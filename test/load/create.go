package main

import "context"

// measureCreate tells how fast workspaces are made: from the start of the create
// call to the moment at which a watch on the workspaces under root shows phase
// Ready.
func measureCreate(ctx context.Context, b *bench) error {
	f, err := b.needFleet(ctx)
	if err != nil {
		return err
	}
	b.report.add("workspace_create_rate", rate(len(f.ready), f.elapsed), unitRate)
	b.report.latencies("workspace_create", f.ready)
	// Revisions are what etcd makes a limited number of each second.
	b.report.add("workspace_create_revisions", (f.after.revision-f.before.revision)/float64(len(f.names)), unitCount)
	return nil
}
