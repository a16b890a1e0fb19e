package leader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/client"
)

// Config says who stands for election. Everything is required.
type Config struct {
	// Live must see every acknowledged write.
	Live   client.Reader
	Writer client.Writer
	// Identity is unique among the servers; see NewIdentity.
	Identity string
	Timing
}

// Timing says how fast a leader is replaced. LeaseDuration, in whole seconds, is longer than RenewDeadline, and that
// longer than 1.2 times RetryPeriod.
type Timing struct {
	// LeaseDuration is how long the others wait for a leader that does not renew.
	LeaseDuration time.Duration
	// RenewDeadline is after how long without a renewal the leader stops its work.
	RenewDeadline time.Duration
	// RetryPeriod is the time between attempts to get or renew the lease.
	RetryPeriod time.Duration
}

// Validate returns every fault of the timing, joined.
func (t Timing) Validate() error {
	var errs []error
	if t.LeaseDuration < time.Second {
		errs = append(errs, fmt.Errorf("a lease of %s: must be a second at least", t.LeaseDuration))
	}
	if t.LeaseDuration <= t.RenewDeadline {
		errs = append(errs, fmt.Errorf("a lease of %s: must be longer than the renew deadline of %s", t.LeaseDuration, t.RenewDeadline))
	}
	if t.RetryPeriod <= 0 || float64(t.RenewDeadline) <= leaderelection.JitterFactor*float64(t.RetryPeriod) {
		errs = append(errs, fmt.Errorf("a retry period of %s: must be more than nothing, and the renew deadline of %s longer than %.1f times that", t.RetryPeriod, t.RenewDeadline, leaderelection.JitterFactor))
	}
	return errors.Join(errs...)
}

// NewIdentity returns a name for this process that no other has: host and chance.
func NewIdentity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "_" + rand.String(8)
}

// Run calls lead whenever this server holds the lease, again and again until ctx ends. The context of lead ends with ctx or
// when the lease is lost; lead must return soon after. The lease is given up once it has returned. When lead fails, another
// server may get the lease.
func Run(ctx context.Context, c Config, lead func(ctx context.Context) error) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("electing a leader: %w", err)
	}
	for {
		err := term(ctx, c, lead)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			klog.FromContext(ctx).Error(err, "Leading ended", "identity", c.Identity)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(c.RetryPeriod):
		}
	}
}

// States of a term.
const (
	waiting int32 = iota
	leading
	over
)

// term waits for the lease, leads once, and returns when lead has returned and the lease is given up.
func term(ctx context.Context, c Config, lead func(ctx context.Context) error) error {
	// The election outlives ctx until what it allowed has ended.
	electing, resign := context.WithCancel(context.WithoutCancel(ctx))
	defer resign()
	working, stopWork := context.WithCancel(ctx)
	defer stopWork()
	// The election notices late that it has lost: it waits for its attempts first. The first renewal starts the clock.
	watchdog := time.AfterFunc(c.RenewDeadline, stopWork)
	watchdog.Stop()
	defer watchdog.Stop()

	var state atomic.Int32
	var failure error
	done := make(chan struct{})
	work := func(held context.Context) {
		if !state.CompareAndSwap(waiting, leading) {
			return
		}
		defer close(done)
		defer resign()
		defer context.AfterFunc(held, stopWork)()
		klog.FromContext(ctx).Info("This server runs the controllers now", "identity", c.Identity)
		failure = lead(working)
		klog.FromContext(ctx).Info("This server no longer runs the controllers", "identity", c.Identity)
	}
	defer context.AfterFunc(ctx, func() {
		if state.CompareAndSwap(waiting, over) {
			resign()
		}
	})()

	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &lock{live: c.Live, writer: c.Writer, identity: c.Identity, renewed: func() {
			if working.Err() == nil {
				watchdog.Reset(c.RenewDeadline)
			}
		}},
		LeaseDuration:   c.LeaseDuration,
		RenewDeadline:   c.RenewDeadline,
		RetryPeriod:     c.RetryPeriod,
		ReleaseOnCancel: true,
		Name:            Name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: work,
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("preparing the election: %w", err)
	}
	elector.Run(electing)
	if !state.CompareAndSwap(waiting, over) && state.Load() == leading {
		<-done
	}
	return failure
}
