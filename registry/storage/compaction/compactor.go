package compaction

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// history is how long revisions are kept at least, unless they take too much.
	history = 30 * time.Second
	// lookPeriod is the time after which the size is looked at in any case.
	lookPeriod = 5 * time.Second
	// firstLook is how many bytes are written before the size is looked at for the first time.
	firstLook = 1 << 20
	// statusTimeout and turnTimeout bound how long a look, and a turn, may take. A database of 8 GiB is compacted in some ten seconds.
	statusTimeout, turnTimeout = 5 * time.Second, time.Minute
)

// Compactor compacts one etcd.
type Compactor struct {
	stock    stock
	client   *clientv3.Client
	interval time.Duration
	clock    clock.PassiveClock

	cancel context.CancelFunc
	loop   sync.WaitGroup
	wake   chan struct{}
	unseen atomic.Int64 // bytes that were written since somebody last wanted a look
	enough atomic.Int64 // of them for a look

	// Only the loop uses these.
	version, revision int64 // of the last turn: of the key, and of etcd. 0 before it was seen
	turned            time.Time
	failed            time.Time
	growth            growth
}

// stock is etcd3's compactor without its loop. It keeps the revision up to which etcd is compacted.
type stock interface {
	etcd3.Compactor
	UpdateCompactRevision(int64)
	Stop()
}

// New returns a Compactor that runs. Interval is the longest time between two turns; zero means that it never compacts.
func New(client *clientv3.Client, interval time.Duration) *Compactor {
	c := newCompactor(client, interval, clock.RealClock{})
	if interval == 0 {
		return c
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.loop.Go(func() { c.run(ctx) })
	return c
}

func newCompactor(client *clientv3.Client, interval time.Duration, now clock.PassiveClock) *Compactor {
	c := &Compactor{
		stock: etcd3.NewCompactor(client, 0, clock.RealClock{}, nil), client: client, interval: interval, clock: now,
		wake: make(chan struct{}, 1), cancel: func() {},
	}
	c.enough.Store(firstLook)
	return c
}

// CompactRevision implements etcd3.Compactor. It returns the revision up to which etcd was compacted when this replica last had, or lost,
// a turn.
func (c *Compactor) CompactRevision() int64 { return c.stock.CompactRevision() }

// Stop ends the loop and waits for it.
func (c *Compactor) Stop() {
	c.cancel()
	c.loop.Wait()
	c.stock.Stop()
}

// Wrote says that so many bytes were written to etcd, by whichever replica.
func (c *Compactor) Wrote(bytes int) {
	if c.unseen.Add(int64(bytes)) < c.enough.Load() {
		return
	}
	c.unseen.Store(0)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Compactor) run(ctx context.Context) {
	ticker := time.NewTicker(lookPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-ticker.C:
		}
		if err := c.look(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Compacting etcd failed: it keeps old revisions until the next try", "servers", c.client.Endpoints())
		}
	}
}

// look takes a turn if it is time.
func (c *Compactor) look(ctx context.Context) error {
	status, err := c.status(ctx)
	if err != nil {
		// It is not reached, or its data is not for this program. Others say so.
		klog.FromContext(ctx).V(4).Info("Asking etcd for its size failed", "err", err)
		return nil
	}
	if c.revision == 0 {
		c.revision, c.turned = status.Header.Revision, c.clock.Now()
	}
	if !c.due(status) {
		return nil
	}
	if err := c.turn(ctx, status.Header.Revision); err != nil {
		c.failed = c.clock.Now()
		return fmt.Errorf("compacting etcd: %w", err)
	}
	c.turned, c.growth = c.clock.Now(), growth{}
	if status, err = c.status(ctx); err == nil { // else the next look is where growth begins
		c.growth.measure(status)
	}
	return nil
}

// status asks one member after the other, since each has its own database: the client takes turns.
func (c *Compactor) status(ctx context.Context) (*etcdserverpb.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	return etcdserverpb.NewMaintenanceClient(c.client.ActiveConnection()).Status(ctx, &etcdserverpb.StatusRequest{})
}

func (c *Compactor) due(status *etcdserverpb.StatusResponse) bool {
	grown, room := c.growth.measure(status)
	c.enough.Store(room / looksInRoom)
	elapsed := c.clock.Since(c.turned)
	switch {
	case c.clock.Since(c.failed) < history:
		return false
	case isFull(status): // nobody can write, which is worse than any 410
		return c.revision > c.CompactRevision()
	case grown >= room/most:
		return true
	default:
		return elapsed >= c.interval || elapsed >= history && grown >= room/some
	}
}

// turn compacts up to the revision of the previous turn, if no other replica has had one since. Now is the revision of etcd.
func (c *Compactor) turn(ctx context.Context, now int64) error {
	ctx, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	upTo := c.revision
	version, revision, compacted, err := etcd3.Compact(ctx, c.client, c.version, upTo)
	if errors.Is(err, rpctypes.ErrNoSpace) {
		// A full etcd does not take the key either. Without that, replicas compact twice what one of them can.
		revision, compacted = now, upTo
		_, err = c.client.Compact(ctx, upTo)
	}
	c.version, c.revision = version, revision
	if errors.Is(err, rpctypes.ErrCompacted) { // by somebody who does not use the key
		compacted, err = upTo, nil
	}
	if err != nil {
		return err
	}
	c.stock.UpdateCompactRevision(compacted)
	if compacted == upTo {
		// Asked again, etcd answers when it is done: the next compaction should not begin before.
		_, _ = c.client.Compact(ctx, upTo, clientv3.WithCompactPhysical())
	}
	return nil
}
