package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/annex-dev/annex/test/framework/crowd"
)

const (
	// churnPoints is how often during a run the server is looked at.
	churnPoints = 10
	// boundEvery is of how many workspaces one binds an API, which costs more
	// than all other use.
	boundEvery = 10
)

// churn is many clients that each make a workspace, use it, delete it, and take
// the next one.
type churn struct {
	*bench
	provider *provider
	clients  []*crowd.Connection
	tracker  *tracker

	done   atomic.Int64
	began  time.Time
	mu     sync.Mutex // of what follows, of the report and of the log
	points [churnPoints]churnPoint
}

// churnPoint is the server after a tenth of the run, two tenths and so on.
type churnPoint struct {
	snapshot
	done int // workspaces that were deleted so far
	at   time.Duration
}

// measureChurn tells whether a server stays as it is while workspaces come, are
// used and go: its speed, memory, goroutines, metric series and database.
func measureChurn(ctx context.Context, b *bench) error {
	if err := b.startFresh(ctx, "churn"); err != nil {
		return err
	}
	c := &churn{bench: b}
	var err error
	if c.provider, err = b.needProvider(ctx); err != nil {
		return err
	}
	if c.clients, err = crowd.ConnectAll(b.target.admin, b.opts.clients); err != nil {
		return err
	}
	defer crowd.CloseAll(c.clients)
	if c.tracker, err = b.trackWorkspaces(ctx); err != nil {
		return err
	}
	defer c.tracker.close()

	// What a server makes once is no cost of a workspace.
	if _, err := crowd.Parallel(ctx, len(c.clients), max(len(c.clients), 2*boundEvery), func(ctx context.Context, client, i int) error {
		return c.cycle(ctx, c.clients[client], "warm", i)
	}); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	before, err := b.snapshotAfterRest(ctx, "churn")
	if err != nil {
		return err
	}
	keys, err := b.server.keys(ctx)
	if err != nil {
		return err
	}
	b.report.gauges("churn_before", before)
	if err := c.run(ctx); err != nil {
		return err
	}
	after, err := b.snapshotAfterRest(ctx, "churn")
	if err != nil {
		return err
	}
	b.report.gauges("churn_after", after)
	b.report.add("churn_revisions_per_workspace", (after.revision-before.revision)/float64(c.cycles()), unitCount)
	return b.reportLeft(ctx, keys)
}

// cycles is how many workspaces are made: so many that all clients still have one
// at the last point, as at all others.
func (c *churn) cycles() int { return c.opts.churnWorkspaces + len(c.clients) - 1 }

// run is the measured part.
func (c *churn) run(ctx context.Context) error {
	c.began = time.Now()
	if _, err := crowd.Parallel(ctx, len(c.clients), c.cycles(), func(ctx context.Context, client, i int) error {
		if err := c.cycle(ctx, c.clients[client], "churn", i); err != nil {
			return err
		}
		return c.look(ctx, int(c.done.Add(1)))
	}); err != nil {
		return err
	}
	second, last := c.points[1], c.points[churnPoints-1]
	for _, g := range gauges() {
		to, known := g.of(last.snapshot)
		if from, _ := g.of(second.snapshot); known && from > 0 {
			c.report.add("churn_"+g.name+"_last_to_second", to/from, unitCount)
		}
	}
	c.report.add("churn_rate_last_to_second", c.latest(churnPoints-1)/c.latest(1), unitCount)
	return nil
}

// cycle is the life of one workspace.
func (c *churn) cycle(ctx context.Context, client *crowd.Connection, label string, i int) error {
	name := c.id + "-" + label + "-" + strconv.Itoa(i)
	if _, err := c.makeWorkspace(ctx, client, c.tracker, name); err != nil {
		return err
	}
	if err := use(ctx, client, name); err != nil {
		return fmt.Errorf("using workspace %q: %w", name, err)
	}
	if i%boundEvery == 0 {
		if err := c.provider.bindAndCreate(ctx, client, name); err != nil {
			return err
		}
	}
	_, err := c.removeWorkspace(ctx, client, c.tracker, name)
	return err
}

// use creates, changes and reads a ConfigMap with the name of the workspace.
func use(ctx context.Context, c *crowd.Connection, name string) error {
	client, err := c.Cluster(workspacePath(name))
	if err != nil {
		return err
	}
	resource := client.Resource(configMaps).Namespace(metav1.NamespaceDefault)
	created, err := resource.Create(ctx, newConfigMap(name), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating a ConfigMap: %w", err)
	}
	if err := unstructured.SetNestedField(created.Object, "yes", "data", "changed"); err != nil {
		return fmt.Errorf("changing a ConfigMap: %w", err)
	}
	if _, err := resource.Update(ctx, created, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("changing a ConfigMap: %w", err)
	}
	if _, err := resource.Get(ctx, name, metav1.GetOptions{}); err != nil {
		return fmt.Errorf("reading a ConfigMap: %w", err)
	}
	return nil
}

// look takes the state of the server if done workspaces are a number of tenths of
// all. The other clients go on meanwhile.
func (c *churn) look(ctx context.Context, done int) error {
	tenths := done * churnPoints / c.opts.churnWorkspaces
	if tenths == (done-1)*churnPoints/c.opts.churnWorkspaces || done > c.opts.churnWorkspaces {
		return nil
	}
	p := churnPoint{done: done, at: time.Since(c.began)}
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	if p.snapshot, err = c.snapshot(ctx); err != nil {
		return err
	}
	c.points[tenths-1] = p
	prefix := fmt.Sprintf("churn_%dpct", tenths*100/churnPoints)
	c.logf("%d of %d workspaces made and deleted", done, c.opts.churnWorkspaces)
	c.report.add(prefix+"_rate_so_far", rate(done, p.at), unitRate)
	c.report.gauges(prefix, p.snapshot)
	return nil
}

// latest returns how many workspaces a second went by in the tenth that ends with
// the point.
func (c *churn) latest(point int) float64 {
	from, to := c.points[point-1], c.points[point]
	return rate(to.done-from.done, to.at-from.at)
}

// churnParts gives the rests a time limit, and every 10,000 workspaces.
func churnParts(o options) int { return 1 + (o.churnWorkspaces+workspacesPerPart-1)/workspacesPerPart }
