package owners

import (
	"context"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
)

const (
	// gatesKept is how many gates are kept in memory. Others are read when they are needed, and their owners with them.
	gatesKept = 4096
	// shutTimeout is how long the write that begins a deletion waits for etcds that hold objects.
	shutTimeout = 2 * time.Second
	// gatePage is how many gates are read at a time.
	gatePage = 500
)

// Gates is the resource under which gates are stored. They are no objects.
var Gates = schema.GroupResource{Group: "annex.dev", Resource: "gates"}

// gate is what this process knows of the gate of an owner: its revision, and the UID of the owner, which was there, and not being
// deleted, at some time after that revision. The owner had the revision seen then.
type gate struct {
	revision int64
	uid      types.UID
	seen     int64
}

// GateKey returns the key of the gate of an owner.
func GateKey(owner layout.Key) layout.Key {
	return layout.Key{Resource: Gates, Cluster: owner.Cluster, Namespace: owner.Resource.Resource, Name: owner.Name}
}

// OwnerOf returns the key of the owner whose gate k is; false if k is none.
func OwnerOf(k layout.Key) (layout.Key, bool) {
	if k.Resource != Gates || k.Custom {
		return layout.Key{}, false
	}
	for _, gr := range []schema.GroupResource{LogicalClusters, Namespaces, Definitions, Bindings} {
		if gr.Resource == k.Namespace {
			return layout.Key{Resource: gr, Cluster: k.Cluster, Name: k.Name}, true
		}
	}
	return layout.Key{}, false
}

// home returns the Client of the etcd that has the owners.
func (c *Client) home() *Client {
	if c.Home != nil {
		return c.Home
	}
	return c
}

// guard returns the condition under which o is still there.
func (c *Client) guard(o *owner) clientv3.Cmp {
	if c.Home != nil {
		return clientv3.Compare(clientv3.ModRevision(c.path(GateKey(o.key))), "=", o.gate)
	}
	return clientv3.Compare(clientv3.ModRevision(c.path(o.key)), "=", o.stored())
}

// pass finds the gates of all owners of k, and makes those that are missing. An error may say that an owner is not there.
func (c *Client) pass(ctx context.Context, k layout.Key, all []owner) error {
	known := true
	for i := range all {
		kept, ok := c.gates.Get(all[i].key)
		g, _ := kept.(gate)
		all[i].gate = g.revision
		// What is remembered of the owner may be older than the gate, and not say that a resource is leaving.
		known = known && ok && g.uid == all[i].state.uid && g.seen <= all[i].state.revision
	}
	if known {
		return nil
	}
	made, err := c.open(ctx, all)
	if err == nil {
		err = c.home().read(ctx, all) // after the gates are there: whoever deletes an owner from now on finds them
	}
	if err == nil {
		err = refusal(k, all)
	}
	if err == nil && k.Namespace != "" {
		err = c.follow(ctx, namespaceOf(k)) // of a former namespace of this name, quotas may be left
	}
	if err != nil {
		c.undo(ctx, k, all, made)
		return err
	}
	for i := range all {
		c.gates.Add(all[i].key, gate{revision: all[i].gate, uid: all[i].state.uid, seen: all[i].state.revision})
	}
	return nil
}

// forget has the gates of all owners read again.
func (c *Client) forget(all []owner) {
	for i := range all {
		c.gates.Remove(all[i].key)
	}
}

// open reads the gates of all owners, makes those that are missing, and returns which it made.
func (c *Client) open(ctx context.Context, all []owner) (made map[int]bool, err error) {
	reads := make([]clientv3.Op, len(all))
	for i := range all {
		reads[i] = clientv3.OpGet(c.path(GateKey(all[i].key)))
	}
	found, err := c.KV.Txn(ctx).Then(reads...).Commit()
	if err != nil {
		return nil, err
	}
	made = map[int]bool{}
	for i := range all {
		key, kvs := c.path(GateKey(all[i].key)), found.Responses[i].GetResponseRange().Kvs
		for len(kvs) == 0 && !made[i] {
			resp, err := c.KV.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
				Then(clientv3.OpPut(key, string(all[i].state.uid))).Else(clientv3.OpGet(key)).Commit()
			if err != nil {
				return made, err
			}
			if made[i] = resp.Succeeded; made[i] {
				all[i].gate = resp.Header.Revision
			} else {
				kvs = resp.Responses[0].GetResponseRange().Kvs
			}
		}
		if !made[i] {
			all[i].gate = kvs[0].ModRevision
		}
	}
	return made, nil
}

// undo removes the gates that were made for a create that is refused, and those of owners that are not there.
func (c *Client) undo(ctx context.Context, k layout.Key, all []owner, made map[int]bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutTimeout)
	defer cancel()
	c.forget(all)
	for i := range all {
		if all[i].gate == 0 || !made[i] && all[i].refusal(k) == nil {
			continue
		}
		key := c.path(GateKey(all[i].key))
		unchanged := clientv3.Compare(clientv3.ModRevision(key), "=", all[i].gate)
		if _, err := c.KV.Txn(ctx).If(unchanged).Then(clientv3.OpDelete(key)).Commit(); err != nil {
			// It lets nobody pass who has not looked at the owner. `annex check data` finds it.
			klog.FromContext(ctx).V(2).Info("A gate stays in etcd", "key", key, "reason", err.Error())
		}
	}
}

// left says that an owner is gone, or is being deleted from now on. It shuts the gates of the owner in other etcds, so that the answer
// to the deletion means that creates are refused there, too. Whoever then deletes what belongs to the owner shuts them in any case.
func (c *Client) left(ctx context.Context, k layout.Key) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutTimeout)
	defer cancel()
	for _, other := range c.Elsewhere {
		if err := other.shut(ctx, k); err != nil {
			klog.FromContext(ctx).V(2).Info("A gate is shut later", "cluster", k.Cluster, "resource", k.Resource.String(), "reason", err.Error())
		}
	}
}

// shut removes the gate of an owner. Most owners have none, and reading is cheaper than deleting nothing: who makes one after the read
// looks at the owner after that.
func (c *Client) shut(ctx context.Context, owner layout.Key) error {
	c.gates.Remove(owner)
	key := c.path(GateKey(owner))
	resp, err := c.KV.Get(ctx, key, clientv3.WithCountOnly())
	if err == nil && resp.Count > 0 {
		_, err = c.KV.Delete(ctx, key)
	}
	return err
}

// Shut removes the gates of those owners in cluster, or the one of the namespace if that is not empty, that are not there, or are
// being deleted. A create that has not reached etcd by then is refused, if is says what is so at the time of the call.
func (c *Client) Shut(ctx context.Context, cluster logicalcluster.Name, namespace string, is func(owner layout.Key) bool) error {
	if namespace != "" {
		if owner := NamespaceKey(cluster, namespace); !is(owner) {
			return c.shut(ctx, owner)
		}
		return nil
	}
	from := c.gatesOf(cluster)
	end := clientv3.GetPrefixRangeEnd(from)
	for more := true; more; {
		resp, err := c.KV.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(gatePage), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		for _, kv := range resp.Kvs {
			k, err := layout.Parse(string(kv.Key[len(c.Prefix):]))
			if owner, ok := OwnerOf(k); err == nil && ok && !is(owner) {
				c.gates.Remove(owner)
				if _, err := c.KV.Delete(ctx, string(kv.Key)); err != nil {
					return err
				}
			}
			from = string(kv.Key) + "\x00"
		}
		more = resp.More
	}
	return nil
}

// Leave removes all gates of a cluster, its meter, and what is stored of its quotas.
func (c *Client) Leave(ctx context.Context, cluster logicalcluster.Name) error {
	ops := []clientv3.Op{
		clientv3.OpGet(c.gatesOf(cluster), clientv3.WithPrefix(), clientv3.WithCountOnly()), clientv3.OpGet(c.meterPath(cluster), clientv3.WithCountOnly()),
		clientv3.OpGet(c.Prefix+QuotasOf(cluster), clientv3.WithPrefix(), clientv3.WithCountOnly()),
		clientv3.OpGet(c.Prefix+RetiredOf(cluster), clientv3.WithPrefix(), clientv3.WithCountOnly()),
	}
	found, err := c.KV.Txn(ctx).Then(ops...).Commit()
	if err != nil || !slices.ContainsFunc(found.Responses, func(r *etcdserverpb.ResponseOp) bool { return r.GetResponseRange().Count > 0 }) {
		return err
	}
	_, err = c.KV.Txn(ctx).Then(clientv3.OpDelete(c.gatesOf(cluster), clientv3.WithPrefix()), clientv3.OpDelete(c.meterPath(cluster)), c.forgetQuotas(cluster),
		clientv3.OpDelete(c.Prefix+RetiredOf(cluster), clientv3.WithPrefix())).Commit()
	return err
}

// gatesOf returns what the keys of all gates of a cluster begin with.
func (c *Client) gatesOf(cluster logicalcluster.Name) string {
	return c.Prefix + layout.TypedRoot(Gates) + "/" + cluster.String() + "/"
}
