package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// watchSide is one of the servers that are compared, with its watches.
type watchSide struct {
	*crudSide
	client dynamic.ResourceInterface
	events chan time.Time // when each watch saw a write
	took   latencies
	last   latencies // of the last watch for each write
}

// measureWatch tells how long it takes from the start of a write until each of
// many watches has shown it, in a workspace and in a plain kube-apiserver. The
// servers take turns write by write, so that what else goes on in the machine
// hits both.
func measureWatch(ctx context.Context, b *bench) error {
	compared, err := b.crudSides(ctx, "watch")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel() // before the readers are waited for

	var sides []*watchSide
	for _, side := range compared {
		s := &watchSide{crudSide: side, events: make(chan time.Time, b.opts.watchers)}
		clients, closeAll, err := side.connect(b.opts.clients)
		if err != nil {
			return err
		}
		defer closeAll()
		if err := s.open(ctx, &readers, clients, b.id+"-watched", b.opts.watchers); err != nil {
			return fmt.Errorf("in %s: %w", side.name, err)
		}
		sides = append(sides, s)
	}
	// The first write of each warms up.
	for i := range 1 + b.opts.rounds*b.opts.samples {
		for _, s := range sides {
			if err := s.write(ctx, b.id+"-watched", i, b.opts.watchers); err != nil {
				return fmt.Errorf("in %s: %w", s.name, err)
			}
		}
	}
	b.reportWatch(sides)
	return nil
}

// open creates an object and opens n watches on it, over the connections of all
// clients.
func (s *watchSide) open(ctx context.Context, readers *sync.WaitGroup, clients []crudClient, name string, n int) error {
	s.client = clients[0].ResourceInterface
	created, err := s.client.Create(ctx, newConfigMap(name), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating what is watched: %w", err)
	}
	query := url.Values{"watch": {"true"}, "fieldSelector": {"metadata.name=" + name}, "resourceVersion": {created.GetResourceVersion()}}
	_, err = crowd.Parallel(ctx, len(clients), n, func(_ context.Context, client, i int) error {
		lines, err := openWatch(ctx, clients[client].connection.HTTP, s.collection()+"?"+query.Encode())
		if err != nil {
			return fmt.Errorf("opening watch %d: %w", i, err)
		}
		readers.Go(func() {
			defer func() { _ = lines.close() }()
			for lines.Scan() {
				s.events <- time.Now()
			}
		})
		return nil
	})
	return err
}

// write changes the object and waits until all n watches have shown that.
func (s *watchSide) write(ctx context.Context, name string, i, n int) error {
	start := time.Now()
	patch := `{"data":{"changed":"` + strconv.Itoa(i) + `"}}`
	if _, err := s.client.Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("changing what is watched: %w", err)
	}
	l, err := awaitEvents(ctx, s.events, n, start)
	if err != nil {
		return err
	}
	if i > 0 {
		s.took = append(s.took, l...)
		s.last = append(s.last, l.Sorted().Percentile(1))
	}
	return nil
}

// reportWatch prints each side, and the ratios when there are two: above 1, the
// workspace is slower.
func (b *bench) reportWatch(sides []*watchSide) {
	for _, s := range sides {
		b.report.latencies("watch_"+s.name+"_write_to_event", s.took)
		b.report.latencies("watch_"+s.name+"_write_to_last_event", s.last)
	}
	if len(sides) < 2 {
		return
	}
	for _, p := range []int{50, 99} {
		at := func(l latencies) float64 { return float64(l.Sorted().Percentile(float64(p) / 100)) }
		b.report.add(fmt.Sprintf("watch_write_to_event_p%d_ratio", p), at(sides[0].took)/at(sides[1].took), unitCount)
		b.report.add(fmt.Sprintf("watch_write_to_last_event_p%d_ratio", p), at(sides[0].last)/at(sides[1].last), unitCount)
	}
}
