package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// snapshot is the state of the server's process at one moment. What the flags
// do not allow to read is 0.
type snapshot struct {
	rss      float64 // RssAnon in bytes
	revision float64 // of etcd
	metrics  metrics // empty without --metrics
	etcd     database
}

// since returns how much a counter grew from before to s; false if the metrics lack
// it.
func (s snapshot) since(before snapshot, counter string) (float64, bool) {
	from, okFrom := before.metrics.value(counter)
	to, okTo := s.metrics.value(counter)
	return to - from, okFrom && okTo
}

// countRest is the rest before counts are read; memory needs longer, for the
// collector to run.
const countRest = 5 * time.Second

// snapshotAfterRest reads the state after as long a rest as the named figures
// need, those of them that are measured in this run.
func (b *bench) snapshotAfterRest(ctx context.Context, figures ...string) (snapshot, error) {
	var rest time.Duration
	for _, name := range figures {
		switch {
		case !b.measures(name):
		case name == "counts":
			rest = max(rest, min(countRest, b.opts.settle))
		default:
			rest = max(rest, b.opts.settle)
		}
	}
	if rest > 0 {
		b.logf("resting for %s before a look at the server ...", rest)
		if err := crowd.Sleep(ctx, rest); err != nil {
			return snapshot{}, fmt.Errorf("resting: %w", err)
		}
	}
	return b.snapshot(ctx)
}

func (b *bench) snapshot(ctx context.Context) (s snapshot, err error) {
	if pid := b.pid(); pid != 0 {
		if s.rss, err = readRSS(pid); err != nil {
			return s, err
		}
	}
	if b.opts.hasMetrics() {
		if s.metrics, err = scrape(ctx, b.target.privileged); err != nil {
			return s, err
		}
	}
	if b.server != nil {
		if s.etcd, err = b.server.database(ctx); err != nil {
			return s, err
		}
	}
	s.revision, err = b.revision(ctx, s.metrics)
	return s, err
}

// revision returns the revision of etcd: from the metrics of an embedded etcd
// when they are there, else from a list, whose resourceVersion is that revision
// in every server that keeps all workspaces in one etcd.
func (b *bench) revision(ctx context.Context, m metrics) (float64, error) {
	if revision, ok := m.value("etcd_debugging_mvcc_current_revision"); ok {
		return revision, nil
	}
	c, err := crowd.Connect(b.target.admin)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	root, err := c.Cluster(rootCluster)
	if err != nil {
		return 0, err
	}
	list, err := root.Resource(configMaps).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return 0, fmt.Errorf("reading the current revision: %w", err)
	}
	revision, err := strconv.ParseFloat(list.GetResourceVersion(), 64)
	if err != nil {
		return 0, fmt.Errorf("reading the current revision: %w", err)
	}
	return revision, nil
}
