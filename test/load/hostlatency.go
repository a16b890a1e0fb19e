package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// listedByHost is how many ConfigMaps a list has.
const listedByHost = 100

// way is one of the ways to ConfigMaps that are compared.
type way struct {
	name   string // part of the figures' names
	conn   *crowd.Connection
	client dynamic.ResourceInterface
	watch  watch.Interface
	took   map[string]latencies
}

// wayOperations are what is measured, and wayEvent from a create to the event on
// an open watch.
var wayOperations = []string{"create", "get", "list", wayEvent}

const wayEvent = "write_to_event"

// measureHost tells what the way through the host's aggregator costs: a client
// does one thing after the other with ConfigMaps of 1 KiB, through the host, at
// the server's own door, and with those of the host itself. The ways take turns
// request by request, so that what else goes on in the machine hits all.
func measureHost(ctx context.Context, b *bench) error {
	h, err := b.needHostPath(ctx)
	if err != nil {
		return err
	}
	var ways []*way
	defer func() {
		for _, w := range ways {
			w.close()
		}
	}()
	for _, at := range []struct {
		name   string
		config *rest.Config
		url    string
	}{
		{"through", h.user, h.through()},
		{"direct", b.target.admin, crowd.ClusterURL(b.target.admin.Host, h.workspace)},
		{"plain", h.user, h.user.Host},
	} {
		w, err := newWay(ctx, at.name, at.config, at.url)
		if err != nil {
			return fmt.Errorf("%s: %w", at.name, err)
		}
		ways = append(ways, w)
	}
	for _, w := range ways[1:] { // the first two lead to the same objects
		for i := range listedByHost {
			if _, err := w.client.Create(ctx, newConfigMap("host-listed-"+strconv.Itoa(i)), metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("creating what is listed: %w", err)
			}
		}
	}
	for i := range b.opts.rounds * b.opts.quietRequests {
		for _, w := range ways {
			if err := w.measure(ctx, b.id+"-"+w.name+"-"+strconv.Itoa(i)); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	b.reportWays(ways)
	return nil
}

func newWay(ctx context.Context, name string, config *rest.Config, url string) (*way, error) {
	w := &way{name: name, took: map[string]latencies{}}
	var err error
	if w.conn, err = crowd.Connect(config); err != nil {
		return nil, err
	}
	client, err := w.conn.At(url)
	if err != nil {
		return nil, err
	}
	w.client = client.Resource(configMaps).Namespace(metav1.NamespaceDefault)
	if w.watch, err = w.client.Watch(ctx, metav1.ListOptions{LabelSelector: "of=" + name}); err != nil {
		return nil, fmt.Errorf("opening a watch: %w", err)
	}
	return w, nil
}

func (w *way) close() {
	w.watch.Stop()
	w.conn.Close()
}

// measure takes one object through all operations.
func (w *way) measure(ctx context.Context, name string) error {
	obj := newConfigMap(name)
	obj.SetLabels(map[string]string{"of": w.name})
	start := time.Now()
	seen := make(chan error, 1)
	var event time.Duration
	go func() {
		err := w.awaitEvent(ctx, name)
		event = time.Since(start)
		seen <- err
	}()
	for _, op := range []struct {
		name string
		do   func() error
	}{
		{"create", func() error { _, err := w.client.Create(ctx, obj, metav1.CreateOptions{}); return err }},
		{wayEvent, func() error { return <-seen }},
		{"get", func() error { _, err := w.client.Get(ctx, name, metav1.GetOptions{}); return err }},
		{"list", func() error {
			list, err := w.client.List(ctx, metav1.ListOptions{Limit: listedByHost})
			if err == nil && len(list.Items) != listedByHost {
				return fmt.Errorf("%d objects, want %d", len(list.Items), listedByHost)
			}
			return err
		}},
	} {
		begin := time.Now()
		if err := op.do(); err != nil {
			return fmt.Errorf("%s: %w", op.name, err)
		}
		took := time.Since(begin)
		if op.name == wayEvent {
			took = event
		}
		w.took[op.name] = append(w.took[op.name], took)
	}
	return w.client.Delete(ctx, name, metav1.DeleteOptions{})
}

// awaitEvent returns when the watch has shown that the object was added.
func (w *way) awaitEvent(ctx context.Context, name string) error {
	ctx, cancel := withChangeTimeout(ctx)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case event, ok := <-w.watch.ResultChan():
			if !ok {
				return fmt.Errorf("the watch has ended")
			}
			if obj, ok := event.Object.(*unstructured.Unstructured); ok && event.Type == watch.Added && obj.GetName() == name {
				return nil
			}
		}
	}
}

// reportWays prints each way, and how many times as long the first one takes as
// each of the others.
func (b *bench) reportWays(ways []*way) {
	for _, op := range wayOperations {
		for _, w := range ways {
			b.report.latencies("host_"+op+"_"+w.name, w.took[op])
		}
		through := ways[0].took[op].Sorted()
		for _, w := range ways[1:] {
			other := w.took[op].Sorted()
			for _, p := range []int{50, 90, 99} {
				share := float64(p) / 100
				b.report.add(fmt.Sprintf("host_%s_through_to_%s_p%d_ratio", op, w.name, p),
					float64(through.Percentile(share))/float64(other.Percentile(share)), unitCount)
			}
		}
	}
}
