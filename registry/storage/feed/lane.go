package feed

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/klog/v2"
)

const (
	// recentBytes is how much a lane remembers: what is written in a second or two on a busy server.
	recentBytes = 4 << 20
	// eventBytes is about what an event takes in memory without its keys and values.
	eventBytes = 300
)

// lane is one watch of everything. The lock of the feed guards its fields.
type lane struct {
	feed   *Feed
	ctx    context.Context
	cancel context.CancelFunc

	subscribers map[*subscriber]struct{}
	first, last int64 // revisions with which it began, and up to which it has delivered
	// since is the first revision of which everything is in recent, or still to come.
	since  int64
	recent []batch
	bytes  int
}

// batch is what one response of etcd held: the events of whole revisions.
type batch struct {
	response clientv3.WatchResponse
	bytes    int
}

// run delivers what is written from a revision on, until the lane has no subscribers or etcd ends the watch.
func (l *lane) run(revision int64) {
	defer l.cancel()
	responses := l.feed.watcher.Watch(l.ctx, l.feed.prefix,
		clientv3.WithPrefix(), clientv3.WithRev(revision), clientv3.WithPrevKV(), clientv3.WithProgressNotify())
	for response := range responses {
		events, last := len(response.Events) > 0, int64(0)
		if events {
			last = response.Events[len(response.Events)-1].Kv.ModRevision
		} else if response.IsProgressNotify() {
			last = response.Header.GetRevision()
		}
		if err := l.expand(&response); err != nil {
			// Who watches again begins where it was.
			klog.ErrorS(err, "Reading what etcd reports failed", "revision", response.Header.GetRevision())
			break
		}
		l.feed.lock.Lock()
		l.last = max(l.last, last)
		if events && len(response.Events) == 0 { // it would look like progress
			l.feed.lock.Unlock()
			continue
		}
		if response.Err() != nil {
			delete(l.feed.lanes, l) // who watches again gets another
		}
		l.deliver(response)
		l.feed.lock.Unlock()
		if response.Err() != nil {
			break
		}
	}
	l.feed.lock.Lock()
	defer l.feed.lock.Unlock()
	delete(l.feed.lanes, l)
	for s := range l.subscribers {
		s.finish()
	}
}

func (l *lane) expand(response *clientv3.WatchResponse) error {
	if l.feed.expand == nil || len(response.Events) == 0 {
		return nil
	}
	events := make([]*clientv3.Event, 0, len(response.Events))
	for _, e := range response.Events {
		expanded, err := l.feed.expand(l.ctx, e)
		if err != nil {
			return err
		}
		events = append(events, expanded...)
	}
	response.Events = events
	return nil
}

func (l *lane) deliver(response clientv3.WatchResponse) {
	for s := range l.subscribers {
		s.take(response)
	}
	if len(response.Events) == 0 {
		return
	}
	b := batch{response: response, bytes: size(response)}
	l.recent = append(l.recent, b)
	l.bytes += b.bytes
	for l.bytes > recentBytes {
		oldest := l.recent[0]
		l.recent[0] = batch{}
		l.recent = l.recent[1:]
		l.bytes -= oldest.bytes
		events := oldest.response.Events
		l.since = events[len(events)-1].Kv.ModRevision + 1
	}
}

func size(response clientv3.WatchResponse) int {
	sum := 0
	for _, e := range response.Events {
		sum += eventBytes + len(e.Kv.Key) + len(e.Kv.Value)
		if e.PrevKv != nil {
			sum += len(e.PrevKv.Key) + len(e.PrevKv.Value)
		}
	}
	return sum
}

// add gives s what it has missed, and everything from now on.
func (l *lane) add(s *subscriber) {
	for _, b := range l.recent {
		s.take(b.response)
	}
	l.subscribers[s] = struct{}{}
}

// remove ends a lane that has no subscribers left.
func (l *lane) remove(s *subscriber) {
	delete(l.subscribers, s)
	if len(l.subscribers) == 0 {
		delete(l.feed.lanes, l)
		l.cancel()
	}
}
