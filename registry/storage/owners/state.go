package owners

import (
	"bytes"
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kjson "sigs.k8s.io/json"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
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
	leaving  string        // of an APIBinding, the resources of which nothing is created any more; see apis/apis/lifecycle
}

// stored returns the revision of what is stored at the key of an owner.
func (s *state) stored() int64 {
	if s.implied {
		return 0
	}
	return s.revision
}

// leavingKey is in the bytes of every APIBinding that has a resource that is leaving.
var leavingKey = []byte(apisv1alpha2.LeavingResourcesAnnotationKey)

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
	if leaves := k.Resource == Bindings && bytes.Contains(data, leavingKey); !leaves && k.Resource != LogicalClusters {
		return s, nil
	}
	var object metav1.PartialObjectMetadata
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &object); err != nil {
		return state{}, fmt.Errorf("reading the object stored as %q: %w", kv.Key, err)
	}
	if k.Resource == LogicalClusters {
		s.limits = c.Limits.In(k.Cluster, object.Annotations)
	} else {
		s.leaving = object.Annotations[apisv1alpha2.LeavingResourcesAnnotationKey]
	}
	return s, nil
}

// remembered returns the newest state of k that is in memory.
func (c *Client) remembered(ctx context.Context, k layout.Key) state {
	var known state
	if seen, ok := c.Cached(ctx, k); ok {
		known = state{revision: seen.Revision, uid: seen.UID, deleting: seen.Deleting, leaving: seen.Leaving}
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
	for _, ns := range ch.amends {
		c.announce(ctx, ns)
	}
	if ch.deletes && ch.k.Resource == Namespaces {
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
	if len(c.Elsewhere) > 0 {
		if before := c.remembered(ctx, ch.k); ch.deletes || s.deleting && !before.deleting || s.leaving != before.leaving {
			c.left(ctx, ch.k)
		}
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
	Leaving     string            // of an APIBinding, the value of apisv1alpha2.LeavingResourcesAnnotationKey
	Revision    int64             // of its last change
	Annotations map[string]string // of a LogicalCluster
}
