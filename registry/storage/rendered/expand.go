package rendered

import (
	"context"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

// Expand returns what stock stores see of an event of etcd: it is the event itself, except for LogicalClusters that are made from a
// template, and for the objects of their templates. It needs the events in their order.
func (c *Client) Expand(ctx context.Context, e *clientv3.Event) ([]*clientv3.Event, error) {
	k, err := layout.Parse(strings.TrimPrefix(string(e.Kv.Key), c.prefix))
	switch {
	case err != nil || k.Custom:
		return []*clientv3.Event{e}, nil
	case k == owners.ClusterKey(k.Cluster):
		return c.cluster(ctx, e)
	case !c.resources[k.Resource] || !owners.InCluster(k):
		return []*clientv3.Event{e}, nil
	}
	shown, err := c.shown(ctx, k, e)
	if err != nil || shown == nil {
		return nil, err
	}
	return []*clientv3.Event{shown}, nil
}

// cluster adds the objects of the template that appear with a LogicalCluster, or go with it.
func (c *Client) cluster(ctx context.Context, e *clientv3.Event) ([]*clientv3.Event, error) {
	lc, gone := e.Kv, e.Type == clientv3.EventTypeDelete
	if gone {
		lc = e.PrevKv
	} else if !e.IsCreate() {
		return []*clientv3.Event{e}, nil
	}
	if lc == nil { // etcd has compacted it; stock stores fail, and read a list
		return []*clientv3.Event{e}, nil
	}
	i, err := c.instance(ctx, lc)
	if err != nil {
		return nil, err
	}
	if gone {
		c.instances.Drop(i.values.cluster)
	}
	events, its := []*clientv3.Event{e}, turn{instance: i, gone: gone}
	for o := range i.template.Objects {
		events = append(events, its.event(c, &i.template.Objects[o], e.Kv.ModRevision))
	}
	if len(events) > 1 {
		c.turns.add(e.Kv.ModRevision, its)
	}
	return events, nil
}

// shown returns what an event of a key for which there may be an object of a template is for the client; nil for nothing.
func (c *Client) shown(ctx context.Context, k layout.Key, e *clientv3.Event) (*clientv3.Event, error) {
	deleted := e.Type == clientv3.EventTypeDelete || layout.IsTombstone(e.Kv.Value)
	previous := e.PrevKv
	switch {
	case previous != nil && layout.IsTombstone(previous.Value):
		previous = nil
	case previous == nil && e.IsCreate():
		var err error
		if previous, err = c.before(ctx, k, e.Kv.ModRevision); err != nil {
			return nil, err
		}
	}
	if deleted && previous == nil {
		return nil, nil
	}
	kv := &mvccpb.KeyValue{Key: e.Kv.Key, Value: e.Kv.Value, ModRevision: e.Kv.ModRevision, Version: e.Kv.Version, Lease: e.Kv.Lease}
	shown := &clientv3.Event{Type: clientv3.EventTypePut, Kv: kv, PrevKv: previous}
	switch {
	case deleted:
		shown.Type = clientv3.EventTypeDelete
		kv.Value, kv.Version = nil, 0
	case previous == nil:
		kv.CreateRevision = kv.ModRevision
	default:
		kv.CreateRevision = previous.CreateRevision
	}
	return shown, nil
}

// before returns the rendered object that was at k before something was stored there, in a revision; nil if there was none. Usually that
// is known: the events of the LogicalCluster come first, and no event says that it is gone.
func (c *Client) before(ctx context.Context, k layout.Key, revision int64) (*mvccpb.KeyValue, error) {
	if i, ok := c.instances.Get(k.Cluster); ok && i.revision < revision {
		if o := i.object(k); o != nil {
			return c.render(i, o), nil
		}
		return nil, nil
	}
	s, err := c.look(ctx, k, revision-1)
	return s.shown, err
}
