package replicas

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/framework/annex"
)

var (
	fleetSize     = flag.Int("workspaces", 100, "how many workspaces there are when servers are restarted one after the other")
	phaseRequests = flag.Int("phase-requests", 200, "how many requests are sent before the restarts, while each server is away, and after them")
)

const (
	// callers is how many clients of the service are at work.
	callers = 8
	// quiet is how many more have nothing but a watch, as most informers have.
	quiet = 60
)

// rolling is the load of a rolling restart.
type rolling struct {
	w       *world
	service *service
	fleet   []string
	*measurements
	callers []*caller
	maker   *maker

	work, watches sync.WaitGroup
	stopped       chan struct{}
	stopWatches   context.CancelFunc
}

func (w *world) startRolling(t *testing.T) *rolling {
	t.Helper()
	r := &rolling{w: w, service: w.startService(t), measurements: newMeasurements(), stopped: make(chan struct{})}
	r.fleet = makeFleet(t, r.service, w, max(*fleetSize, callers+quiet+1))
	config := w.replicas[0].For(t).Config(annex.ContextBase)
	var paths []string
	for _, name := range r.fleet {
		paths = append(paths, "root:"+name)
	}
	ctx, stop := context.WithCancel(t.Context())
	r.stopWatches = stop
	for i := range callers + quiet {
		c := newCaller(t, r.measurements, r.service, config, paths[i], paths[callers+quiet:])
		version, err := c.list(ctx)
		if err != nil {
			t.Fatal(err)
		}
		r.callers = append(r.callers, c)
		r.watches.Go(func() { c.follow(ctx, version) })
		if i < callers {
			r.work.Go(func() { c.work(r.stopped) })
		}
	}
	r.maker = &maker{t: t, m: r.measurements, ways: r.service.connect(t, config, r.measurements)}
	r.work.Go(func() { r.maker.work(r.stopped) })
	return r
}

// end stops the load and fails the test unless everything that was acknowledged is at each replica, and was shown by the watches.
func (r *rolling) end(t *testing.T) {
	t.Helper()
	close(r.stopped)
	r.work.Wait()
	for _, c := range r.callers {
		// What comes last in a watch comes after everything else.
		annex.Eventually(t, func(context.Context) error {
			if c.value > 0 && !c.ledger.Shown(c.last, c.value) {
				return fmt.Errorf("in %s: the watch has not shown %s with value %d", c.path, c.last, c.value)
			}
			return nil
		})
	}
	r.stopWatches()
	r.watches.Wait()
	writes, unknown, relisted := 0, int64(0), 0
	for _, c := range r.callers {
		if missed := c.ledger.Missed(); len(missed) > 0 {
			t.Errorf("in %s: the watch did not show %d changes, such as %s", c.path, len(missed), missed[0])
		}
		at := r.w.in(t, c.path)
		for i := range replicas {
			if err := c.check(at.typed[i]); err != nil {
				t.Errorf("listing at server %d: %v", i, err)
			}
		}
		writes, unknown, relisted = writes+c.ledger.Count(), unknown+c.writes.doubts.Load(), relisted+c.relisted
	}
	root := r.w.in(t, "root")
	for i := range replicas {
		checkWorkspaces(t, root.untyped[i], slices.Concat(r.fleet, r.maker.names))
	}
	r.w.replicas[0].For(t).CheckData(t, r.w.etcd.urls()...)
	t.Logf("%d writes and %d workspaces acknowledged; of %d attempts of these writes nobody knew the outcome; %d watches began anew after 410; %d connections were refused",
		writes, len(r.maker.names), unknown, relisted, r.service.refused)
	r.report(t)
}

func TestReplicas_RollingRestart(t *testing.T) {
	w := theWorld
	r := w.startRolling(t)
	r.more(t, *phaseRequests)
	for i := range replicas {
		wasLeader := w.leader(t, (i+1)%replicas) == i
		givenUp := w.followLease(t, (i+1)%replicas)
		r.enter(leaving)
		began := time.Now()
		w.replicas[i].Terminate()
		select {
		case <-w.replicas[i].Done():
		case <-time.After(patience):
			t.Fatalf("server %d does not end:\n%s", i, w.replicas[i].Log())
		}
		ended := time.Since(began)
		took := w.becomesReady(t, fmt.Sprintf("rolling-%d", i), (i+1)%replicas, (i+2)%replicas)
		if wasLeader && !givenUp() {
			t.Errorf("server %d ended in an orderly way, and the others had to wait until its lease was over; its log ends with:\n%s", i, w.replicas[i].Log())
		}
		r.enter(away)
		r.more(t, *phaseRequests)
		r.enter(joining)
		began = time.Now()
		w.restart(t, i)
		ready := time.Since(began)
		r.enter(joined)
		r.service.waitFor(t, i)
		r.more(t, *phaseRequests)
		t.Logf("server %d (leader: %t) ended after %s and was ready %s after its start; a workspace asked for in between was Ready after %s",
			i, wasLeader, ended.Round(time.Millisecond), ready.Round(time.Millisecond), took.Round(time.Millisecond))
	}
	r.enter(after)
	r.more(t, *phaseRequests)
	r.end(t)
}
