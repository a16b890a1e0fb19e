package rendered

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

// turnsKept is how many turns are remembered, of some 500 bytes each.
const turnsKept = 8192

// turn is a revision in which all rendered objects of a cluster came or were deleted.
type turn struct {
	instance *instance // nil if it was no such revision
	gone     bool
}

// turns are the latest ones.
type turns struct {
	lock      sync.Mutex
	of        map[int64]turn
	order     []int64
	forgotten int64 // the newest revision that is not remembered any more
}

func (t *turns) add(revision int64, its turn) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if _, known := t.of[revision]; known {
		return
	}
	if t.of == nil {
		t.of = map[int64]turn{}
	}
	t.of[revision] = its
	t.order = append(t.order, revision)
	if len(t.order) > turnsKept {
		delete(t.of, t.order[0])
		t.forgotten = max(t.forgotten, t.order[0])
		t.order = t.order[1:]
	}
}

// at returns what a revision was; false if it is not known. Expanded is whether the events of the revision were seen.
func (t *turns) at(revision int64, expanded bool) (turn, bool) {
	t.lock.Lock()
	defer t.lock.Unlock()
	its, known := t.of[revision]
	return its, known || expanded && revision > t.forgotten
}

// Again implements feed.Again.
func (c *Client) Again(ctx context.Context, prefix string, revision int64, expanded bool) ([]*clientv3.Event, error) {
	s, ok := c.spanOf(prefix, "")
	if !ok || !s.cluster.Empty() || revision < 2 {
		return nil, nil
	}
	its, known := c.turns.at(revision, expanded)
	if !known {
		var err error
		if its, err = c.find(ctx, revision); err != nil {
			return nil, fmt.Errorf("reading what happened in revision %d: %w", revision, err)
		}
	}
	if its.instance == nil {
		return nil, nil
	}
	var events []*clientv3.Event
	for o := range its.instance.template.Objects {
		if o := &its.instance.template.Objects[o]; o.GroupResource() == s.resource {
			events = append(events, its.event(c, o, revision))
		}
	}
	return events, nil
}

// event returns what happens to an object.
func (t turn) event(c *Client, o *Object, revision int64) *clientv3.Event {
	kv := c.render(t.instance, o)
	if !t.gone {
		return &clientv3.Event{Type: clientv3.EventTypePut, Kv: kv}
	}
	return &clientv3.Event{Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{Key: kv.Key, ModRevision: revision}, PrevKv: kv}
}

// find asks etcd what a revision was: the number of LogicalClusters says whether one came or was deleted.
func (c *Client) find(ctx context.Context, revision int64) (turn, error) {
	before, err := c.countClusters(ctx, revision-1)
	if err != nil {
		return turn{}, unlessTooOldOrNew(err)
	}
	after, err := c.countClusters(ctx, revision)
	switch {
	case err != nil:
		return turn{}, unlessTooOldOrNew(err)
	case before == after:
		return turn{}, nil
	}
	gone := before > after
	there, missing := revision, revision-1 // the LogicalCluster is in the first, and not in the second
	if gone {
		there, missing = missing, there
	}
	key, err := c.difference(ctx, there, missing)
	if err != nil || key == "" {
		return turn{}, err
	}
	resp, err := c.kv.Get(ctx, key, clientv3.WithRev(there))
	if err != nil || len(resp.Kvs) == 0 {
		return turn{}, err
	}
	i, err := c.instance(ctx, resp.Kvs[0])
	return turn{instance: i, gone: gone}, err
}

// unlessTooOldOrNew returns err, unless etcd does not have the revision: nobody who watches from there can miss a part of it that a watch
// cache would still have.
func unlessTooOldOrNew(err error) error {
	if errors.Is(err, rpctypes.ErrCompacted) || errors.Is(err, rpctypes.ErrFutureRev) {
		return nil
	}
	return err
}

func (c *Client) countClusters(ctx context.Context, revision int64) (int64, error) {
	resp, err := c.kv.Get(ctx, c.clusters(), clientv3.WithPrefix(), clientv3.WithCountOnly(), clientv3.WithRev(revision))
	if err != nil {
		return 0, err
	}
	return resp.Count, nil
}

// difference returns the key of the LogicalCluster that is in one revision and not in the other.
func (c *Client) difference(ctx context.Context, there, missing int64) (string, error) {
	all := map[string]bool{}
	for _, revision := range []int64{missing, there} {
		resp, err := c.kv.Get(ctx, c.clusters(), clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithRev(revision))
		if err != nil {
			return "", err
		}
		for _, kv := range resp.Kvs {
			if key := string(kv.Key); revision == missing {
				all[key] = true
			} else if !all[key] {
				return key, nil
			}
		}
	}
	return "", nil
}

// clusters returns what the keys of LogicalClusters begin with.
func (c *Client) clusters() string { return c.prefix + layout.TypedRoot(owners.LogicalClusters) + "/" }
