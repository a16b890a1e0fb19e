package watchcache

import (
	"context"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"
)

// A consistent list waits until its watch cache has reached etcd's current revision. While nobody writes the resource it
// learns that only from etcd's progress, for which a stock cacher asks ten times a second at most: a list of a quiet
// resource takes 50 ms as soon as others are busy. Here it is asked for at once. All caches share one stream, so that one
// answer serves them all.

// progressPeriod is the least time between two questions.
const progressPeriod = 5 * time.Millisecond

// progress asks etcd how far its watches are.
type progress struct {
	ask func() // at most one at a time

	lock    sync.Mutex
	waiting bool // whether a question is to be asked, later than now
	last    time.Time
}

// request has the question asked soon, and after the call: an answer to an earlier one may be too old for the caller.
func (p *progress) request() {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.waiting {
		return
	}
	p.waiting = true
	time.AfterFunc(progressPeriod-time.Since(p.last), func() {
		p.lock.Lock()
		p.waiting, p.last = false, time.Now()
		p.lock.Unlock()
		p.ask()
	})
}

const (
	// caughtUpPeriod is the time between two looks at how far the watch caches are.
	caughtUpPeriod = time.Millisecond
	// progressPatience is how many looks pass before etcd is asked for its progress again: every answer goes through all caches.
	progressPatience = 25
)

// reached reports whether the cache holds everything up to revision rv.
func (c *Cache) reached(rv uint64) bool {
	if !c.watchCache.Ready() {
		return false
	}
	at, err := c.watchCache.LastSyncResourceVersion()
	return err == nil && at >= rv
}

// Has reports whether the cache has the object at key in the state of a resourceVersion. It never asks etcd, and is false while the cache
// is being filled.
func (c *Cache) Has(key, version string) bool {
	if !c.watchCache.Ready() {
		return false
	}
	now := c.NewFunc()
	// What is in memory is there for any request, and at once.
	if err := c.watchCache.Get(context.Background(), key, apistorage.GetOptions{ResourceVersion: "0"}, now); err != nil {
		return false
	}
	accessor, err := meta.Accessor(now)
	return err == nil && accessor.GetResourceVersion() == version
}

// reach hastens that the cache gets to revision rv.
func (c *Cache) reach(rv uint64) {
	if !c.watchCache.Ready() {
		return
	}
	if at, err := c.watchCache.LastSyncResourceVersion(); err == nil && at < rv {
		c.progress.request()
	}
}

// GetList implements storage.Interface.
func (c *Cache) GetList(ctx context.Context, key string, opts apistorage.ListOptions, list runtime.Object) error {
	if opts.ResourceVersion != "" || opts.ResourceVersionMatch != "" || opts.Predicate.Continue != "" || !c.watchCache.Ready() {
		if rv, err := strconv.ParseUint(opts.ResourceVersion, 10, 64); err == nil {
			c.reach(rv)
		}
		return c.CacheDelegator.GetList(ctx, key, opts, list)
	}
	rv, err := c.GetCurrentResourceVersion(ctx)
	if err != nil {
		return err
	}
	c.reach(rv)
	atLeast := opts
	atLeast.ResourceVersion, atLeast.ResourceVersionMatch = strconv.FormatUint(rv, 10), metav1.ResourceVersionMatchNotOlderThan
	err = c.CacheDelegator.GetList(ctx, key, atLeast, list)
	if apistorage.IsTooLargeResourceVersion(err) { // the cache is stuck, which is not the client's fault
		return c.store.GetList(ctx, key, opts, list)
	}
	return err
}
