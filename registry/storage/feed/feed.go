package feed

import (
	"context"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/klog/v2"
)

// Feed is a clientv3.Watcher. It is safe for concurrent use.
type Feed struct {
	watcher clientv3.Watcher
	prefix  string
	expand  Expand
	again   Again

	lock  sync.Mutex
	lanes map[*lane]struct{}
}

var _ clientv3.Watcher = &Feed{}

// Expand returns what watchers see of an event of etcd: none, one or more, in the same revision. It is called for one event after the
// other, in the order of their revisions; by each lane for itself.
type Expand func(ctx context.Context, e *clientv3.Event) ([]*clientv3.Event, error)

// Again returns the events of one revision, if there may be several of keys that begin with prefix: a watch that broke inside of the
// revision resumes after it, and would miss the rest. Expanded is whether Expand was called for the events of the revision.
type Again func(ctx context.Context, prefix string, revision int64, expanded bool) ([]*clientv3.Event, error)

// New returns a Feed of what is below prefix, which ends with a slash. Everything else is watched through watcher. A nil expand stands
// for the events as they are, and needs no again.
func New(watcher clientv3.Watcher, prefix string, expand Expand, again Again) *Feed {
	return &Feed{watcher: watcher, prefix: prefix, expand: expand, again: again, lanes: map[*lane]struct{}{}}
}

// Watch implements clientv3.Watcher. All watches below the prefix have previous values, and progress notifications.
func (f *Feed) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	op := clientv3.OpGet(key, opts...)
	if !strings.HasPrefix(key, f.prefix) || op.Rev() == 0 {
		return f.watcher.Watch(ctx, key, opts...)
	}
	s := newSubscriber(key, op.IsOptsWithPrefix(), op.Rev())
	if op.IsOptsWithPrefix() {
		events, err := f.Again(ctx, key, s.from-1)
		if err != nil {
			// Who watches again begins where it was.
			klog.FromContext(ctx).Error(err, "Reading what etcd reported failed", "key", key, "revision", s.from-1)
			close(s.out)
			return s.out
		}
		if len(events) > 0 {
			s.queue(clientv3.WatchResponse{Header: &etcdserverpb.ResponseHeader{Revision: s.from - 1}, Events: events})
		}
	}
	f.lock.Lock()
	l := f.laneFrom(s.from)
	l.add(s)
	f.lock.Unlock()
	go func() {
		s.pump(ctx)
		f.lock.Lock()
		defer f.lock.Unlock()
		l.remove(s)
	}()
	return s.out
}

// laneFrom returns a lane that still has everything since a revision. The caller holds the lock.
func (f *Feed) laneFrom(revision int64) *lane {
	for l := range f.lanes {
		if l.since <= revision {
			return l
		}
	}
	// A lane is of all clusters, and outlives the watch that it is made for.
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(context.Background()))
	l := &lane{feed: f, ctx: ctx, cancel: cancel, first: revision, since: revision, subscribers: map[*subscriber]struct{}{}}
	f.lanes[l] = struct{}{}
	go l.run(revision)
	return l
}

// Again returns the events of a revision, if there may be several of keys that begin with prefix.
func (f *Feed) Again(ctx context.Context, prefix string, revision int64) ([]*clientv3.Event, error) {
	if f.again == nil {
		return nil, nil
	}
	return f.again(ctx, prefix, revision, f.expanded(revision))
}

// expanded reports whether a lane has seen the events of a revision.
func (f *Feed) expanded(revision int64) bool {
	f.lock.Lock()
	defer f.lock.Unlock()
	for l := range f.lanes {
		if l.first <= revision && revision <= l.last {
			return true
		}
	}
	return false
}

// RequestProgress implements clientv3.Watcher.
func (f *Feed) RequestProgress(context.Context) error {
	f.lock.Lock()
	defer f.lock.Unlock()
	for l := range f.lanes {
		go func() { _ = f.watcher.RequestProgress(l.ctx) }() // it waits for the stream; who asks asks again
	}
	return nil
}

// Compacted ends all watches as if etcd had compacted what they are for: who watches reads a list.
func (f *Feed) Compacted() {
	f.lock.Lock()
	defer f.lock.Unlock()
	for l := range f.lanes {
		delete(f.lanes, l) // who watches again gets another
		for s := range l.subscribers {
			s.queue(clientv3.WatchResponse{Canceled: true, CompactRevision: max(s.from, l.last) + 1})
			s.finish()
		}
		l.cancel()
	}
}

// Close implements clientv3.Watcher: it ends the watches of the feed. What it is made from stays open.
func (f *Feed) Close() error {
	f.lock.Lock()
	defer f.lock.Unlock()
	for l := range f.lanes {
		l.cancel()
	}
	return nil
}
