package main

import "context"

// measureMemory tells how much memory an empty workspace holds: how much RssAnon
// grew over N workspaces, after a rest on both sides.
func measureMemory(ctx context.Context, b *bench) error {
	f, err := b.needFleet(ctx)
	if err != nil {
		return err
	}
	b.report.add("rss_before", mib(f.before.rss), unitMiB)
	b.report.add("rss_at_n", mib(f.after.rss), unitMiB)
	b.report.add("rss_per_workspace", kib((f.after.rss-f.before.rss)/float64(len(f.names))), unitKiB)
	return nil
}
