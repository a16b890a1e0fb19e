package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// earlyCount is the number of workspaces at which the counts are read for the
// first time.
const earlyCount = 100

// fleet is the N empty workspaces under root which several figures look at from
// different sides. It is made once, by the first that asks.
type fleet struct {
	made    bool
	err     error // why it could not be made; every figure fails with it
	names   []string
	ready   latencies     // create to Ready
	elapsed time.Duration // while workspaces were being created, without rests

	before snapshot // after warming up, no workspace of the fleet yet
	early  snapshot // earlyCount workspaces; like before when N is not larger
	after  snapshot // all of them, after the rest
}

// needFleet makes the fleet unless it is there.
func (b *bench) needFleet(ctx context.Context) (*fleet, error) {
	f := &b.fleet
	if !f.made {
		f.made = true
		f.err = b.makeFleet(ctx, f)
	}
	if f.err != nil {
		return nil, fmt.Errorf("making %d workspaces: %w", b.opts.workspaces, f.err)
	}
	return f, nil
}

func (b *bench) makeFleet(ctx context.Context, f *fleet) error {
	var err error
	// One workspace for each client first: what a server makes once, with its
	// first workspace or connection, is no cost of a workspace.
	if _, _, _, err = b.makeWorkspaces(ctx, "warm", b.opts.clients, nil); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	if f.before, err = b.snapshotAfterRest(ctx, "memory", "counts"); err != nil {
		return err
	}
	early := min(earlyCount, b.opts.workspaces)
	if err := b.growFleet(ctx, f, "early", early); err != nil {
		return err
	}
	if f.early, err = b.snapshotAfterRest(ctx, "counts"); err != nil {
		return err
	}
	if err := b.growFleet(ctx, f, "late", b.opts.workspaces-early); err != nil {
		return err
	}
	f.after, err = b.snapshotAfterRest(ctx, "memory", "counts")
	return err
}

func (b *bench) growFleet(ctx context.Context, f *fleet, label string, n int) error {
	if n == 0 {
		return nil
	}
	names, ready, elapsed, err := b.makeWorkspaces(ctx, label, n, nil)
	if err != nil {
		return err
	}
	f.names = append(f.names, names...)
	f.ready = append(f.ready, ready...)
	f.elapsed += elapsed
	return nil
}

// dropFleet deletes the fleet; figures that ask for it afterwards fail.
func (b *bench) dropFleet(ctx context.Context) (latencies, time.Duration, error) {
	f, err := b.needFleet(ctx)
	if err != nil {
		return nil, 0, err
	}
	gone, elapsed, err := b.removeWorkspaces(ctx, f.names)
	f.err = errors.New("they are deleted already")
	return gone, elapsed, err
}
