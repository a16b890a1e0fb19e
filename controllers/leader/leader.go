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

// Config describes the candidate. All fields are required.
type Config struct {
	// Live must see every acknowledged write.
	Live   client.Reader
	Writer client.Writer
	// Identity is unique among the servers; see NewIdentity.
	Identity string
	Timing
}

// Timing defines how fast a leader is replaced. LeaseDuration, in whole seconds, must be longer than RenewDeadline, and RenewDeadline
// longer than 1.2 times RetryPeriod.
type Timing struct {
	// LeaseDuration is how long other servers wait for a leader that does not renew its lease.
	LeaseDuration time.Duration
	// RenewDeadline is how long the leader works without a renewal before it stops.
	RenewDeadline time.Duration
	// RetryPeriod is the time between attempts to get or renew the lease.
	RetryPeriod time.Duration
}

// Validate returns every fault of the timing, joined.
func (t Timing) Validate() error {
	var errs []error
	if t.LeaseDuration < time.Second {
		errs = append(errs, fmt.Errorf("a lease of %s: must be at least one second", t.LeaseDuration))
	}
	if t.LeaseDuration <= t.RenewDeadline {
		errs = append(errs, fmt.Errorf("a lease of %s: must be longer than the renew deadline of %s", t.LeaseDuration, t.RenewDeadline))
	}
	if t.RetryPeriod <= 0 || float64(t.RenewDeadline) <= leaderelection.JitterFactor*float64(t.RetryPeriod) {
		errs = append(errs, fmt.Errorf("a retry period of %s: must be greater than 0, and the renew deadline of %s must be longer than %.1f times the retry period", t.RetryPeriod, t.RenewDeadline, leaderelection.JitterFactor))
	}
	return errors.Join(errs...)
}

// NewIdentity returns a unique name for this process: the host name and a random part.
func NewIdentity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "_" + rand.String(8)
}

// Run calls lead each time this server gets the lease, until ctx ends. The context of lead ends with ctx or when the lease is lost;
// lead must return soon after that. The lease is released after lead has returned. If lead fails, another server may get the lease.
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

// term waits for the lease, leads once, and returns when lead has returned and the lease is released.
func term(ctx context.Context, c Config, lead func(ctx context.Context) error) error {
	// The election continues after ctx ends, until the work has ended.
	electing, resign := context.WithCancel(context.WithoutCancel(ctx))
	defer resign()
	working, stopWork := context.WithCancel(ctx)
	defer stopWork()
	// The election detects a lost lease late, because it waits for its attempts first. The first renewal starts this timer.
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
