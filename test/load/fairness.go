package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// floodLead is how long a flood goes on, from its first answers, before one
// looks at its neighbor.
const floodLead = 2 * time.Second

// measureFairness tells how long a get and a create take in a workspace alone,
// and while clients flood another one. Alone and beside take turns.
func measureFairness(ctx context.Context, b *bench) error {
	names, _, _, err := b.makeWorkspaces(ctx, "fair", 2, nil)
	if err != nil {
		return err
	}
	config := b.target.admin
	busy := crowd.ClusterURL(config.Host, workspacePath(names[0]))
	if err := b.fillBusy(ctx, busy); err != nil {
		return fmt.Errorf("filling the busy workspace: %w", err)
	}
	q, err := newQuiet(ctx, config, workspacePath(names[1]))
	if err != nil {
		return err
	}
	defer q.conn.Close()
	for _, kind := range b.opts.floods {
		url := busy
		if kind == floodRefused {
			// Those without credentials name the quiet workspace itself.
			url = crowd.ClusterURL(config.Host, workspacePath(names[1]))
		}
		if err := b.fairnessBeside(ctx, q, url, kind); err != nil {
			return fmt.Errorf("beside %s: %w", kind, err)
		}
	}
	return nil
}

// fillBusy makes what a flood lists.
func (b *bench) fillBusy(ctx context.Context, url string) error {
	clients, err := crowd.ConnectAll(b.target.admin, b.opts.clients)
	if err != nil {
		return err
	}
	defer crowd.CloseAll(clients)
	_, err = crowd.Parallel(ctx, len(clients), b.opts.objects, func(ctx context.Context, client, i int) error {
		c, err := clients[client].At(url)
		if err != nil {
			return err
		}
		_, err = c.Resource(configMaps).Namespace(metav1.NamespaceDefault).Create(ctx, newConfigMap("listed-"+strconv.Itoa(i)), metav1.CreateOptions{})
		return err
	})
	return err
}

func (b *bench) fairnessBeside(ctx context.Context, q *quiet, url, kind string) error {
	var alone, beside struct{ reads, writes latencies }
	var total flooded
	for round := range b.opts.rounds {
		reads, writes, err := q.measure(ctx, b.opts.quietRequests)
		if err != nil {
			return fmt.Errorf("alone: %w", err)
		}
		alone.reads, alone.writes = append(alone.reads, reads...), append(alone.writes, writes...)

		f, err := startFlood(ctx, b.target.admin, url, "flood-"+kind+"-"+strconv.Itoa(round), kind, b.opts.floodClients)
		if err != nil {
			return err
		}
		if err = crowd.Sleep(ctx, min(floodLead, b.opts.settle)); err == nil {
			reads, writes, err = q.measure(ctx, b.opts.quietRequests)
		}
		result, stopped := f.stop()
		if err != nil {
			return err
		}
		if stopped != nil {
			return stopped
		}
		beside.reads, beside.writes = append(beside.reads, reads...), append(beside.writes, writes...)
		total.Served += result.Served
		total.TooMany += result.TooMany
		total.Refused += result.Refused
		total.Failed += result.Failed
		total.Seconds += result.Seconds
	}
	name := "fairness_" + kind
	for _, op := range []struct {
		name          string
		alone, beside latencies
	}{{"read", alone.reads, beside.reads}, {"write", alone.writes, beside.writes}} {
		b.report.latencies(name+"_"+op.name+"_alone", op.alone)
		b.report.latencies(name+"_"+op.name+"_beside", op.beside)
		for label, p := range map[string]float64{"p50": 0.50, "p99": 0.99} {
			b.report.add(name+"_"+op.name+"_"+label+"_ratio", float64(op.beside.Sorted().Percentile(p))/float64(op.alone.Sorted().Percentile(p)), unitCount)
		}
	}
	for _, count := range []struct {
		name string
		n    int64
	}{{"served", total.Served}, {"too_many", total.TooMany}, {"refused", total.Refused}, {"failed", total.Failed}} {
		b.report.add(name+"_flood_"+count.name+"_rate", float64(count.n)/total.Seconds, unitRate)
	}
	return nil
}
