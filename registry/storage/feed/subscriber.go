package feed

import (
	"bytes"
	"context"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// subscriber is one watch that a lane serves.
type subscriber struct {
	key    []byte
	prefix bool // whether it is for all keys that begin with key
	from   int64
	out    chan clientv3.WatchResponse

	lock     sync.Mutex
	waiting  []clientv3.WatchResponse
	finished bool
	wake     chan struct{}
}

func newSubscriber(key string, prefix bool, from int64) *subscriber {
	return &subscriber{key: []byte(key), prefix: prefix, from: from, out: make(chan clientv3.WatchResponse), wake: make(chan struct{}, 1)}
}

// take queues the part of a response that is for s.
func (s *subscriber) take(response clientv3.WatchResponse) {
	if len(response.Events) == 0 {
		// Progress that the list had made already would set a watch cache back.
		if response.Err() != nil || response.IsProgressNotify() && response.Header.GetRevision() >= s.from-1 {
			s.queue(response)
		}
		return
	}
	var mine []*clientv3.Event
	for _, e := range response.Events {
		if e.Kv.ModRevision >= s.from && s.watches(e.Kv.Key) {
			mine = append(mine, e)
		}
	}
	if len(mine) > 0 {
		response.Events = mine
		s.queue(response)
	}
}

func (s *subscriber) watches(key []byte) bool {
	return bytes.HasPrefix(key, s.key) && (s.prefix || len(key) == len(s.key))
}

func (s *subscriber) queue(response clientv3.WatchResponse) {
	s.lock.Lock()
	s.waiting = append(s.waiting, response)
	s.lock.Unlock()
	s.signal()
}

// finish ends the watch after what is queued.
func (s *subscriber) finish() {
	s.lock.Lock()
	s.finished = true
	s.lock.Unlock()
	s.signal()
}

func (s *subscriber) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// pump sends what is queued, until the lane or the context ends.
func (s *subscriber) pump(ctx context.Context) {
	defer close(s.out)
	for {
		s.lock.Lock()
		waiting, finished := s.waiting, s.finished
		s.waiting = nil
		s.lock.Unlock()
		for _, response := range waiting {
			select {
			case s.out <- response:
			case <-ctx.Done():
				return
			}
		}
		if finished {
			return
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}
