package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// measureColdStart tells how long a server takes from its start to /readyz: in a
// new directory, where it makes keys and its root workspace; in the same one
// again; and with N workspaces, of which it must still know every one.
func measureColdStart(ctx context.Context, b *bench) error {
	// It was started in a new directory when the program began. This figure
	// runs first (figure.go), so nothing has been created since.
	b.report.add("cold_start_new", b.server.startup.Seconds(), unitSeconds)

	empty, err := b.restart(ctx)
	if err != nil {
		return err
	}
	b.report.add("cold_start_empty", empty.Seconds(), unitSeconds)

	f, err := b.needFleet(ctx)
	if err != nil {
		return err
	}
	full, err := b.restart(ctx)
	if err != nil {
		return err
	}
	b.report.add("cold_start_n", full.Seconds(), unitSeconds)
	return b.checkFleet(ctx, f)
}

// restart returns how long the start took.
func (b *bench) restart(ctx context.Context) (time.Duration, error) {
	b.stopServer()
	if err := b.startServer(ctx); err != nil {
		return 0, err
	}
	return b.server.startup, nil
}

// checkFleet makes sure that a start was not fast because it lost something.
func (b *bench) checkFleet(ctx context.Context, f *fleet) error {
	c, err := crowd.Connect(b.target.admin)
	if err != nil {
		return err
	}
	defer c.Close()
	root, err := c.Cluster(rootCluster)
	if err != nil {
		return err
	}
	list, err := root.Resource(workspaces).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing workspaces after the restart: %w", err)
	}
	there := make(map[string]bool, len(list.Items))
	for i := range list.Items {
		there[list.Items[i].GetName()] = true
	}
	for _, name := range f.names {
		if !there[name] {
			return fmt.Errorf("workspace %q is lost after the restart; %d of them are left", name, len(list.Items))
		}
	}
	return nil
}
