package resilience

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/framework/annex"
)

const (
	// maxRevisions is what a universal workspace may cost in etcd, and maxDeletionRevisions what its deletion may.
	maxRevisions         = 3
	maxDeletionRevisions = 4
	// maxDeletionReads is how often etcd may look for keys until a workspace is gone, also to compare them before a write. It
	// takes 50 or so, and a few more each time that a slow machine makes a controller look again.
	maxDeletionReads = 100
)

// settle waits until value has not changed for a while, and returns it.
func settle[T comparable](t *testing.T, quiet time.Duration, value func() T) T {
	t.Helper()
	last, since := value(), time.Now()
	annex.Eventually(t, func(context.Context) error {
		if now := value(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) < quiet {
			return fmt.Errorf("the value %v still changes", last)
		}
		return nil
	})
	return last
}

func TestCost_RevisionsOfAWorkspace(t *testing.T) {
	etcd := annex.StartEtcd(t)
	// A leader renews its lease every two seconds, whatever workspaces cost.
	server := annex.Start(t, "--etcd-servers", etcd.URL(), "--leader-elect=false")
	// The first one also makes what all share.
	server.NewWorkspace("root", "first", "universal")
	before := settle(t, 3*time.Second, etcd.Revision)
	const count = 5
	for i := range count {
		_, cluster := server.NewWorkspace("root", fmt.Sprintf("team-%d", i), "universal")
		// What a busy machine writes later than that is counted with the next one, or at the end.
		cost := settle(t, time.Second, etcd.Revision) - before
		if limit := int64(i+1) * maxRevisions; cost > limit {
			keys, _ := etcd.Mentions(cluster)
			t.Errorf("%d workspaces cost %d revisions, want at most %d; the keys of the last:\n%s", i+1, cost, limit, strings.Join(keys, "\n"))
		}
	}
	// And nothing while nobody does anything: an idle workspace is no heartbeat. With one, this would never settle.
	if cost := settle(t, 3*time.Second, etcd.Revision) - before; cost > count*maxRevisions {
		t.Errorf("%d workspaces cost %d revisions, want at most %d", count, cost, count*maxRevisions)
	}
	before = etcd.Revision()
	_, root := annex.Clients(t, server.Workspace("root"))
	for i := range count {
		reads, name := etcd.Reads(), fmt.Sprintf("team-%d", i)
		if err := remove(t.Context(), root, name); err != nil {
			t.Fatal(err)
		}
		cost := settle(t, time.Second, etcd.Revision) - before
		if limit := int64(i+1) * maxDeletionRevisions; cost > limit {
			t.Errorf("deleting %d workspaces costs %d revisions, want at most %d", i+1, cost, limit)
		}
		if n := etcd.Reads() - reads; n > maxDeletionReads {
			t.Errorf("deleting a workspace takes %d reads of etcd, want at most %d", n, maxDeletionReads)
		}
	}
}
