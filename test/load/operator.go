package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/crowd"
)

const (
	// caughtUp is how long the operator has for what was written last.
	caughtUp = 2 * time.Second
	// quietWrites is how many writes of other consumers there are a second beside a busy one.
	quietWrites = 50
)

// measureOperator tells what the operator of a provider with many consumers
// costs: how soon it has all objects after its start, how much of its memory each
// of them takes, how soon it reconciles what they write, also while one of them
// writes all the time, and whether it has all objects after a crash of itself and
// of the server. It is one manager of client/operator, in a process of its own.
func measureOperator(ctx context.Context, b *bench) error {
	o := &operated{bench: b, token: b.id + "-operator"}
	if err := o.startServer(ctx); err != nil {
		return err
	}
	if err := o.fill(ctx); err != nil {
		return fmt.Errorf("making consumers: %w", err)
	}
	without, err := o.withoutObjects(ctx)
	if err != nil {
		return fmt.Errorf("an operator without objects: %w", err)
	}
	if err := o.makeObjects(ctx); err != nil {
		return fmt.Errorf("making objects: %w", err)
	}
	h, took, err := o.start(ctx)
	if err != nil {
		return err
	}
	defer func() { o.kill(h) }()
	b.report.add("operator_in_sync", took.Seconds(), unitSeconds)
	b.report.add("operator_missing", float64(o.absent), unitCount)
	rss, err := o.rest(ctx, h)
	if err != nil {
		return err
	}
	b.report.add("operator_rss_without_objects", mib(without), unitMiB)
	b.report.add("operator_rss", mib(rss), unitMiB)
	b.report.add("operator_rss_per_object", kib((rss-without)/float64(o.objects)), unitKiB)
	if err := o.measureReconciles(ctx, h); err != nil {
		return err
	}
	return o.crash(ctx, &h)
}

// operated is the server of an operator, and its consumers.
type operated struct {
	*bench
	token    string
	provider *provider
	names    []string // of the consumers' workspaces
	// clusters are those of the consumers, in the same order.
	clusters []string
	objects  int
	absent   int // objects that the operator lacked when it was in sync
}

// startServer starts a server of its own, which knows the operator by a token that a restart leaves as it is.
func (o *operated) startServer(ctx context.Context) error {
	o.stopServer()
	var err error
	if o.server, err = newServer(ctx, o.opts, filepath.Join(o.dir, "operator")); err != nil {
		return fmt.Errorf("preparing a server: %w", err)
	}
	if err := o.server.letIn(o.token + `,load-operator,1,"system:masters"` + "\n"); err != nil {
		return err
	}
	o.bench.fleet, o.bench.provider = fleet{}, provider{}
	return o.bench.startServer(ctx)
}

// fill makes the provider and its consumers.
func (o *operated) fill(ctx context.Context) error {
	var err error
	if o.provider, err = o.needProvider(ctx); err != nil {
		return err
	}
	if o.names, _, _, err = o.makeWorkspaces(ctx, "consumer", o.opts.operatorConsumers, func(ctx context.Context, c *crowd.Connection, name string) error {
		client, err := c.Cluster(workspacePath(name))
		if err != nil {
			return err
		}
		return o.provider.bind(ctx, client, name)
	}); err != nil {
		return err
	}
	o.clusters, err = o.clustersOf(ctx, o.names)
	return err
}

// each is how many objects a consumer has.
func (o *operated) each() int { return max(o.opts.operatorObjects/len(o.names), 1) }

// nameOf returns the name of an object: they are the same in all workspaces.
func nameOf(i int) string { return "same-" + strconv.Itoa(i) }

// makeObjects makes objects of 1 KiB.
func (o *operated) makeObjects(ctx context.Context) error {
	o.objects = o.each() * len(o.names)
	return o.inWorkspaces(ctx, o.names, func(ctx context.Context, c *crowd.Connection, name string) error {
		client, err := c.Cluster(workspacePath(name))
		if err != nil {
			return err
		}
		for i := range o.each() {
			obj := newWidget(nameOf(i))
			if err := unstructured.SetNestedField(obj.Object, payload, "spec", "color"); err != nil {
				return err
			}
			if err := createServed(ctx, client.Resource(widgets), obj); err != nil {
				return fmt.Errorf("in workspace %q: %w", name, err)
			}
		}
		return nil
	})
}

// all are the names of all objects by cluster.
func (o *operated) all() map[string][]string {
	objects := map[string][]string{}
	for _, cluster := range o.clusters {
		for i := range o.each() {
			objects[cluster] = append(objects[cluster], nameOf(i))
		}
	}
	return objects
}

// start starts an operator, and returns how long it took until it had all objects of the consumers. It notes how many it lacked by then.
func (o *operated) start(ctx context.Context) (*helper, time.Duration, error) {
	begin := time.Now()
	h, err := startHelperAt(ctx, operateCommand, 0)
	if err != nil {
		return nil, 0, err
	}
	config := o.target.privileged
	var a answer
	tell := operating{
		Host: crowd.ClusterURL(config.Host, o.provider.path()), Token: o.token, Slice: exportName, CA: config.CAData,
	}
	if err := h.tell(tell); err != nil {
		o.kill(h)
		return nil, 0, err
	}
	if err := o.ask(h, question{Ask: askSynced, Objects: map[string][]string{o.clusters[0]: {nameOf(0)}}}, &a); err != nil {
		o.kill(h)
		return nil, 0, err
	}
	took := time.Since(begin)
	o.absent, err = o.missing(h)
	if err != nil {
		o.kill(h)
		return nil, 0, err
	}
	return h, took, nil
}

func (o *operated) ask(h *helper, q question, a *answer) error {
	if err := h.ask(q, a); err != nil {
		return err
	}
	if a.Fault != "" {
		return fmt.Errorf("the operator could not answer %q: %s", q.Ask, a.Fault)
	}
	return nil
}

func (o *operated) missing(h *helper) (int, error) {
	var a answer
	err := o.ask(h, question{Ask: askMissing, Objects: o.all()}, &a)
	return a.Missing, err
}

// kill ends an operator as a crash would.
func (o *operated) kill(h *helper) {
	_ = h.command.Process.Kill()
	_ = h.command.Wait() // it was killed
}

// rest returns the memory of an operator after a rest.
func (o *operated) rest(ctx context.Context, h *helper) (float64, error) {
	if err := crowd.Sleep(ctx, o.opts.settle); err != nil {
		return 0, err
	}
	return readRSS(h.command.Process.Pid)
}

// withoutObjects returns the memory of an operator whose consumers have nothing yet.
func (o *operated) withoutObjects(ctx context.Context) (float64, error) {
	h, _, err := o.start(ctx)
	if err != nil {
		return 0, err
	}
	defer o.kill(h)
	return o.rest(ctx, h)
}

// measureReconciles tells how soon the operator reconciles what is written.
func (o *operated) measureReconciles(ctx context.Context, h *helper) error {
	others := o.names[1:]
	l, written, err := o.reconciles(ctx, h, "", others, o.opts.operatorWrites)
	if err != nil {
		return err
	}
	o.report.latencies("operator_write_to_reconcile", l)
	o.report.add("operator_write_rate", written, unitRate)

	alone, _, err := o.reconciles(ctx, h, "", others, quietWrites)
	if err != nil {
		return err
	}
	busy, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	var wrote atomic.Int64
	begin := time.Now()
	go func() { ended <- o.write(busy, o.names[:1], o.opts.operatorBusyWrites, time.Hour, &wrote) }()
	err = crowd.Sleep(ctx, min(floodLead, o.opts.settle))
	var beside latencies
	if err == nil {
		beside, _, err = o.reconciles(ctx, h, o.clusters[0], others, quietWrites)
	}
	elapsed := time.Since(begin)
	stop()
	if failed := <-ended; !errors.Is(failed, context.Canceled) {
		err = errors.Join(err, failed)
	}
	if err != nil {
		return fmt.Errorf("beside a busy consumer: %w", err)
	}
	o.report.add("operator_busy_write_rate", rate(int(wrote.Load()), elapsed), unitRate)
	o.report.latencies("operator_quiet_alone", alone)
	o.report.latencies("operator_quiet_beside", beside)
	o.report.add("operator_quiet_p99_ratio", float64(beside.Sorted().Percentile(0.99))/float64(alone.Sorted().Percentile(0.99)), unitCount)
	return nil
}

// reconciles writes to objects of the named workspaces, so many times a second, and returns how soon the operator reconciled them, and how many
// were written a second.
func (o *operated) reconciles(ctx context.Context, h *helper, busy string, names []string, perSecond int) (latencies, float64, error) {
	var a answer
	if err := o.ask(h, question{Ask: askBegin, Busy: busy}, &a); err != nil {
		return nil, 0, err
	}
	var wrote atomic.Int64
	begin := time.Now()
	if err := o.write(ctx, names, perSecond, o.opts.operatorTime, &wrote); err != nil {
		return nil, 0, err
	}
	elapsed := time.Since(begin)
	if err := crowd.Sleep(ctx, caughtUp); err != nil {
		return nil, 0, err
	}
	if err := o.ask(h, question{Ask: askTake}, &a); err != nil {
		return nil, 0, err
	}
	// What is written twice within a moment is reconciled once.
	if most := wrote.Load(); int64(len(a.Latencies)) < most/2 || len(a.Latencies) == 0 {
		return nil, 0, fmt.Errorf("of %d writes, %d were reconciled", most, len(a.Latencies))
	}
	return a.Latencies, rate(int(wrote.Load()), elapsed), nil
}

// write writes the time to objects of the named workspaces, one after the other, so many times a second, for a time.
func (o *operated) write(ctx context.Context, names []string, perSecond int, lasts time.Duration, wrote *atomic.Int64) error {
	clients, err := crowd.ConnectAll(o.target.admin, o.opts.clients)
	if err != nil {
		return err
	}
	defer crowd.CloseAll(clients)
	begin := time.Now()
	_, err = crowd.Parallel(ctx, len(clients), int(lasts.Seconds()*float64(perSecond)), func(ctx context.Context, client, i int) error {
		if err := crowd.Sleep(ctx, time.Until(begin.Add(time.Duration(i)*time.Second/time.Duration(perSecond)))); err != nil {
			return err
		}
		c, err := clients[client].Cluster(workspacePath(names[i%len(names)]))
		if err != nil {
			return err
		}
		wrote.Add(1)
		return patchStamp(ctx, c, nameOf(i/len(names)%o.each()))
	})
	return err
}

func patchStamp(ctx context.Context, client dynamic.Interface, name string) error {
	_, err := client.Resource(widgets).Patch(ctx, name, types.MergePatchType, stamp(time.Now()), metav1.PatchOptions{})
	return err
}

// crash kills the operator, and then the server, and reports what the operators lack that run after that.
func (o *operated) crash(ctx context.Context, h **helper) error {
	o.kill(*h)
	again, took, err := o.start(ctx)
	if err != nil {
		return fmt.Errorf("after a crash of the operator: %w", err)
	}
	*h = again
	o.report.add("operator_in_sync_after_crash", took.Seconds(), unitSeconds)
	o.report.add("operator_missing_after_crash", float64(o.absent), unitCount)

	o.server.kill()
	if err := o.bench.startServer(ctx); err != nil {
		return err
	}
	// It has outlived the server, and goes on.
	begin := time.Now()
	if _, _, err := o.reconciles(ctx, again, "", o.names, quietWrites); err != nil {
		return fmt.Errorf("after a crash of the server: %w", err)
	}
	o.logf("the operator goes on after a crash of the server (%s)", time.Since(begin).Round(time.Second))
	left, err := o.missing(again)
	if err != nil {
		return fmt.Errorf("after a crash of the server: %w", err)
	}
	o.report.add("operator_missing_after_server_crash", float64(left), unitCount)
	o.kill(again)
	last, took, err := o.start(ctx)
	if err != nil {
		return fmt.Errorf("after a crash of both: %w", err)
	}
	*h = last
	o.report.add("operator_in_sync_after_both_crash", took.Seconds(), unitSeconds)
	o.report.add("operator_missing_after_both_crash", float64(o.absent), unitCount)
	return nil
}
