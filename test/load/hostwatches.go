package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// openers is how many watches are being opened at a time.
const openers = 32

// measureHostWatches tells whether many watches can be open through one host at
// the same time: how long it takes to open them, until all of them have seen one
// write, and what they cost the server in memory. Between host and server they
// share a few connections.
func measureHostWatches(ctx context.Context, b *bench) error {
	h, err := b.needHostPath(ctx)
	if err != nil {
		return err
	}
	conn, err := crowd.Connect(h.user)
	if err != nil {
		return err
	}
	defer conn.Close()
	before, err := readRSS(b.pid())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel() // before the readers are waited for

	url := h.through() + "/api/v1/namespaces/default/configmaps?watch=true&labelSelector=of%3Dwatches"
	events := make(chan time.Time, b.opts.hostWatches)
	elapsed, err := crowd.Parallel(ctx, openers, b.opts.hostWatches, func(_ context.Context, _, i int) error {
		lines, err := openWatch(ctx, conn.HTTP, url)
		if err != nil {
			return fmt.Errorf("watch %d: %w", i, err)
		}
		readers.Go(func() {
			defer lines.close()
			if lines.Scan() {
				events <- time.Now()
			}
		})
		return nil
	})
	if err != nil {
		return fmt.Errorf("opening %d watches: %w", b.opts.hostWatches, err)
	}
	after, err := readRSS(b.pid())
	if err != nil {
		return err
	}
	client, err := conn.At(h.through())
	if err != nil {
		return err
	}
	obj := newConfigMap(b.id + "-watched-by-the-host")
	obj.SetLabels(map[string]string{"of": "watches"})
	start := time.Now()
	if _, err := client.Resource(configMaps).Namespace(metav1.NamespaceDefault).Create(ctx, obj, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("writing what is watched: %w", err)
	}
	l, err := awaitEvents(ctx, events, b.opts.hostWatches, start)
	if err != nil {
		return err
	}
	b.report.add("host_watches_open", float64(len(l)), unitCount)
	b.report.add("host_watches_open_rate", rate(len(l), elapsed), unitRate)
	b.report.latencies("host_watches_write_to_event", l)
	b.report.add("host_watches_write_to_last_event", milliseconds(l.Sorted().Percentile(1)), unitMilliseconds)
	b.report.add("host_watches_rss_per_watch", kib((after-before)/float64(len(l))), unitKiB)
	return nil
}

// watchLines are the events of a watch, a line each.
type watchLines struct {
	*bufio.Scanner
	close func() error
}

// openWatch returns when the watch is open.
func openWatch(ctx context.Context, client *http.Client, url string) (*watchLines, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s", resp.Status)
	}
	return &watchLines{Scanner: bufio.NewScanner(resp.Body), close: resp.Body.Close}, nil
}

// awaitEvents returns how long after start each of n watches has seen an event.
func awaitEvents(ctx context.Context, events <-chan time.Time, n int, start time.Time) (latencies, error) {
	ctx, cancel := withChangeTimeout(ctx)
	defer cancel()
	var l latencies
	for len(l) < n {
		select {
		case at := <-events:
			l = append(l, at.Sub(start))
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d watches have seen the write: %w", len(l), n, context.Cause(ctx))
		}
	}
	return l, nil
}
