package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// makeWorkspaces creates n workspaces "<run>-<label>-<i>" under root with all
// clients at a time, and calls then, unless nil, in the client that saw its
// workspace become Ready. Latencies are those from create to Ready; elapsed is
// how long all took, with what then did.
func (b *bench) makeWorkspaces(ctx context.Context, label string, n int, then func(ctx context.Context, c *crowd.Connection, name string) error) (names []string, ready latencies, elapsed time.Duration, err error) {
	clients, err := crowd.ConnectAll(b.target.admin, b.opts.clients)
	if err != nil {
		return nil, nil, 0, err
	}
	defer crowd.CloseAll(clients)
	t, err := b.trackWorkspaces(ctx)
	if err != nil {
		return nil, nil, 0, err
	}
	defer t.close()

	names = make([]string, n)
	for i := range names {
		names[i] = b.id + "-" + label + "-" + strconv.Itoa(i)
	}
	// Before they exist, since a failed run leaves some behind as well.
	b.remember(names...)

	ready = make(latencies, n)
	elapsed, err = crowd.Parallel(ctx, len(clients), n, func(ctx context.Context, client, i int) error {
		var err error
		if ready[i], err = b.makeWorkspace(ctx, clients[client], t, names[i]); err != nil || then == nil {
			return err
		}
		return then(ctx, clients[client], names[i])
	})
	if err != nil {
		return nil, nil, 0, err
	}
	return names, ready, elapsed, nil
}

func (b *bench) makeWorkspace(ctx context.Context, c *crowd.Connection, t *tracker, name string) (time.Duration, error) {
	root, err := c.Cluster(rootCluster)
	if err != nil {
		return 0, err
	}
	wait := t.expect(name, hasPhase("Ready"))
	start := time.Now()
	if _, err := root.Resource(workspaces).Create(ctx, newWorkspace(name, b.opts.workspaceType), metav1.CreateOptions{}); err != nil {
		return 0, fmt.Errorf("creating workspace %q: %w", name, err)
	}
	at, err := wait(ctx)
	if err != nil {
		return 0, fmt.Errorf("creating workspace %q: until Ready: %w", name, err)
	}
	return at.Sub(start), nil
}

// trackWorkspaces watches the workspaces under root, over a connection that no
// client waits on.
func (b *bench) trackWorkspaces(ctx context.Context) (*tracker, error) {
	c, err := crowd.Connect(b.target.admin)
	if err != nil {
		return nil, err
	}
	root, err := c.Cluster(rootCluster)
	if err != nil {
		return nil, err
	}
	t, err := track(ctx, c, root.Resource(workspaces))
	if err != nil {
		return nil, fmt.Errorf("watching workspaces: %w", err)
	}
	return t, nil
}

// removeWorkspaces deletes the named workspaces with all clients at a time and
// waits until they are gone.
func (b *bench) removeWorkspaces(ctx context.Context, names []string) (gone latencies, elapsed time.Duration, err error) {
	clients, err := crowd.ConnectAll(b.target.admin, b.opts.clients)
	if err != nil {
		return nil, 0, err
	}
	defer crowd.CloseAll(clients)
	t, err := b.trackWorkspaces(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer t.close()

	gone = make(latencies, len(names))
	elapsed, err = crowd.Parallel(ctx, len(clients), len(names), func(ctx context.Context, client, i int) error {
		var err error
		gone[i], err = b.removeWorkspace(ctx, clients[client], t, names[i])
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	b.forget(names)
	return gone, elapsed, nil
}

func (b *bench) removeWorkspace(ctx context.Context, c *crowd.Connection, t *tracker, name string) (time.Duration, error) {
	root, err := c.Cluster(rootCluster)
	if err != nil {
		return 0, err
	}
	wait := t.expect(name, isGone)
	start := time.Now()
	err = root.Resource(workspaces).Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return 0, nil // a run that failed has not made all of them
	}
	if err != nil {
		return 0, fmt.Errorf("deleting workspace %q: %w", name, err)
	}
	at, err := wait(ctx)
	if err != nil {
		return 0, fmt.Errorf("deleting workspace %q: until gone: %w", name, err)
	}
	return at.Sub(start), nil
}

// removeCreated deletes what this run has made and not deleted yet.
func (b *bench) removeCreated(ctx context.Context) error {
	b.mu.Lock()
	names := slices.Clone(b.created)
	b.mu.Unlock()
	if len(names) == 0 {
		return nil
	}
	b.logf("removing %d workspaces ...", len(names))
	if _, _, err := b.removeWorkspaces(ctx, names); err != nil {
		return fmt.Errorf("removing workspaces: %w", err)
	}
	return nil
}

// clustersOf returns the logical clusters of named workspaces under root.
func (b *bench) clustersOf(ctx context.Context, names []string) ([]string, error) {
	c, err := crowd.Connect(b.target.admin)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	root, err := c.Cluster(rootCluster)
	if err != nil {
		return nil, err
	}
	all, err := root.Resource(workspaces).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("finding the clusters of workspaces: %w", err)
	}
	found := map[string]string{}
	for i := range all.Items {
		found[all.Items[i].GetName()] = stringAt(&all.Items[i], "spec", "cluster")
	}
	clusters := make([]string, len(names))
	for i, name := range names {
		if clusters[i] = found[name]; clusters[i] == "" {
			return nil, fmt.Errorf("workspace %q has no cluster", name)
		}
	}
	return clusters, nil
}

// workspacePath returns the path of a workspace under root.
func workspacePath(name string) string { return rootCluster + ":" + name }
