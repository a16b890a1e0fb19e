package owners

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kjson "sigs.k8s.io/json"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// recentWrites is how many writes of this process are remembered. The watch caches learn of a write a moment later.
const recentWrites = 256

// state is what is known of an owner.
type state struct {
	revision int64 // of its last change; 0 if it does not exist
	uid      types.UID
	deleting bool
	implied  bool          // whether nothing is stored at its key
	limits   limits.Limits // of a LogicalCluster, for what it contains
}

// stored returns the revision of what is stored at the key of an owner.
func (s *state) stored() int64 {
	if s.implied {
		return 0
	}
	return s.revision
}

// parse returns the state of k from what is stored.
func (c *Client) parse(ctx context.Context, k layout.Key, kv *mvccpb.KeyValue) (state, error) {
	data, err := c.Encryption.Open(ctx, k.Resource, kv)
	if err != nil {
		return state{}, err
	}
	h, ok := raw.MetadataOf(data)
	if !ok {
		return state{}, fmt.Errorf("the object stored as %q cannot be read", kv.Key)
	}
	s := state{revision: kv.ModRevision, uid: h.UID, deleting: h.DeletionTimestamp != nil}
	if k.Resource == LogicalClusters {
		var lc metav1.PartialObjectMetadata
		if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &lc); err != nil {
			return state{}, fmt.Errorf("reading the LogicalCluster stored as %q: %w", kv.Key, err)
		}
		s.limits = c.Limits.In(k.Cluster, lc.Annotations)
	}
	return s, nil
}

// remembered returns the newest state of k that is in memory.
func (c *Client) remembered(ctx context.Context, k layout.Key) state {
	var known state
	if seen, ok := c.Cached(ctx, k); ok {
		known = state{revision: seen.Revision, uid: seen.UID, deleting: seen.Deleting}
		if k.Resource == LogicalClusters {
			known.limits = c.Limits.In(k.Cluster, seen.Annotations)
		} else if c.Implied != nil {
			known.implied = seen.Revision != 0 && seen.Revision == c.Implied.Since(k.Cluster)
		}
	}
	if recent, ok := c.recent.Get(k); ok && recent.(state).revision > known.revision {
		return recent.(state)
	}
	return known
}

// remember keeps the state of an owner until the watch caches have it.
func (c *Client) remember(k layout.Key, s state) { c.recent.Add(k, s) }

// wrote remembers what was written, if something can belong to it.
func (c *Client) wrote(ctx context.Context, ch *change, revision int64) {
	switch {
	case ch.amends:
		c.announce(ctx, namespaceOf(ch.k))
	case ch.deletes && ch.k.Resource == Namespaces:
		c.announce(ctx, namespace{ch.k.Cluster, ch.k.Name})
	}
	switch ch.k.Resource {
	case LogicalClusters, Namespaces, Definitions, Bindings:
	default:
		return
	}
	var s state
	if !ch.deletes {
		var err error
		if s, err = c.parse(ctx, ch.k, &mvccpb.KeyValue{Key: []byte(ch.key), Value: ch.value, ModRevision: revision}); err != nil {
			return
		}
	}
	if len(c.Elsewhere) > 0 && (ch.deletes || s.deleting && !c.remembered(ctx, ch.k).deleting) {
		c.left(ctx, ch.k)
	}
	if !ch.deletes {
		c.remember(ch.k, s)
	}
}

// read sets the states of all to what is in etcd now.
func (c *Client) read(ctx context.Context, all []owner) error {
	if len(all) == 0 {
		return nil
	}
	ops := make([]clientv3.Op, len(all))
	for i := range all {
		ops[i] = clientv3.OpGet(c.path(all[i].key))
	}
	resp, err := c.KV.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return err
	}
	for i := range all {
		all[i].state = state{}
		kvs, implied := resp.Responses[i].GetResponseRange().Kvs, false
		if len(kvs) == 0 && c.Implied != nil {
			var kv *mvccpb.KeyValue
			if kv, implied, err = c.Implied.Look(ctx, all[i].key); err != nil {
				return err
			}
			if implied {
				kvs = []*mvccpb.KeyValue{kv}
			}
		}
		for _, kv := range kvs {
			if layout.IsTombstone(kv.Value) {
				continue
			}
			if all[i].state, err = c.parse(ctx, all[i].key, kv); err != nil {
				return err
			}
			all[i].implied = implied
			c.remember(all[i].key, all[i].state)
		}
	}
	return nil
}

// path returns the key as it is in etcd.
func (c *Client) path(k layout.Key) string { return c.Prefix + k.String() }

// Cached returns an object as the watch caches have it; false if they do not have it.
type Cached func(ctx context.Context, k layout.Key) (Seen, bool)

// Seen is what the watch caches have of an object.
type Seen struct {
	UID         types.UID
	Deleting    bool
	Revision    int64             // of its last change
	Annotations map[string]string // of a LogicalCluster
}
