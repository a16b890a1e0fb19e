package main

import (
	"context"
	"time"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// servedInterval is how often a client asks again for a resource that is not
// served yet; the bind figure cannot be more exact than that.
const servedInterval = 2 * time.Millisecond

// measureBind tells how long a consumer waits for an API: from the start of the
// call that creates the binding to the answer of the call that creates the first
// object, one workspace after the other.
func measureBind(ctx context.Context, b *bench) error {
	p, err := b.needProvider(ctx)
	if err != nil {
		return err
	}
	names, _, _, err := b.makeWorkspaces(ctx, "bind", b.opts.samples+1, nil)
	if err != nil {
		return err
	}
	c, err := crowd.Connect(b.target.admin)
	if err != nil {
		return err
	}
	defer c.Close()
	// The first one pays for the connection, and for what the server makes
	// once for each schema.
	if err := p.bindAndCreate(ctx, c, names[0]); err != nil {
		return err
	}
	var l latencies
	for _, name := range names[1:] {
		start := time.Now()
		if err := p.bindAndCreate(ctx, c, name); err != nil {
			return err
		}
		l = append(l, time.Since(start))
	}
	b.report.latencies("bind_to_first_object", l)
	return nil
}
