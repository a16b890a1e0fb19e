package owners

import (
	"context"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/lru"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/logicalcluster"
	sized "github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/registry/storage/encryption"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// Config is what a Client needs. Everything but Limits and what may be nil is required.
type Config struct {
	// Interface does everything but write.
	kubernetes.Interface
	KV     clientv3.KV
	Prefix string // what every key begins with
	Cached Cached
	// Limits are the default limits of a workspace.
	Limits limits.Limits
	// Stored counts what a cluster stores, while nothing of it is written. It sees everything that was written before the call.
	Stored func(ctx context.Context, cluster logicalcluster.Name) (limits.Amount, error)
	// Implied knows objects that are there though nothing is stored at their keys, because their LogicalCluster is; nil if there are none.
	Implied Implied
	// Home is the Client of the etcd that has what objects belong to; nil if that is this one.
	Home *Client
	// Elsewhere are the Clients whose Home this one is.
	Elsewhere []*Client
	// Encryption opens values; nil if none is encrypted.
	Encryption *encryption.Encryption
}

// Implied is what is known of implied objects.
type Implied interface {
	// Since returns the revision of all implied objects of a cluster; 0 if it has none, or if that is not in memory.
	Since(cluster logicalcluster.Name) int64
	// Objects returns how many objects, implied or stored, there are of what k is of in its namespace, or in all of them if it has none; k
	// has no name.
	Objects(ctx context.Context, k layout.Key) (int64, error)
	// Look returns what is at k, if that is an implied object; false if not.
	Look(ctx context.Context, k layout.Key) (*mvccpb.KeyValue, bool, error)
}

// Client is the kubernetes.Interface that stock stores write through. It is safe for concurrent use.
type Client struct {
	Config
	recent *lru.Cache // from layout.Key to state
	meters *lru.Cache // from logicalcluster.Name to *meter
	gates  *lru.Cache // from layout.Key, of an owner that is not in this etcd, to gate
	hards  *sized.Cache[namespace, *hard]
}

// New returns a Client.
func New(c Config) *Client {
	return &Client{
		Config: c, recent: lru.New(recentWrites), meters: lru.New(metersKept), gates: lru.New(gatesKept),
		hards: sized.New[namespace, *hard](hardBytes, nil),
	}
}

// change is one write of one key.
type change struct {
	k        layout.Key
	key      string // k as it is in etcd
	revision int64  // that the key must have; 0 if it must not be there
	creates  bool
	deletes  bool
	value    []byte
	lease    clientv3.LeaseID
	owners   []owner // what it belongs to, if it is being created
	previous []byte  // the object as it was, if that is known
	cluster  int64   // revision that the LogicalCluster must have; 0 for any
	needs    string  // key that must be there, whatever its revision; empty for none
	// revealing is whether a conflict is to be answered with what is stored.
	revealing bool
	amends    []namespace // in which it has changed what quotas limit
	version   string      // in which it stores a custom resource; empty if it does not
}

// outcome is what a change has led to.
type outcome struct {
	succeeded bool
	revision  int64            // of etcd
	kv        *mvccpb.KeyValue // what is stored instead of what was expected, if wanted and if there is something
}

// OptimisticPut implements kubernetes.Interface. A put that expects revision 0 creates an object. An error that is an API status says
// what that object would belong to and does not, or which limit of the workspace it would exceed.
func (c *Client) OptimisticPut(ctx context.Context, key string, value []byte, expectedRevision int64, opts kubernetes.PutOptions) (kubernetes.PutResponse, error) {
	ch := &change{key: key, revision: expectedRevision, creates: expectedRevision == 0, value: value, lease: opts.LeaseID, revealing: opts.GetOnFailure}
	done, err := c.commit(ctx, ch)
	return kubernetes.PutResponse{KV: done.kv, Succeeded: done.succeeded, Revision: done.revision}, err
}

// OptimisticDelete implements kubernetes.Interface.
func (c *Client) OptimisticDelete(ctx context.Context, key string, expectedRevision int64, opts kubernetes.DeleteOptions) (kubernetes.DeleteResponse, error) {
	done, err := c.commit(ctx, &change{key: key, revision: expectedRevision, deletes: true, revealing: opts.GetOnFailure})
	return kubernetes.DeleteResponse{KV: done.kv, Succeeded: done.succeeded, Revision: done.revision}, err
}

// Write is one write of one key, for who knows more than kubernetes.Interface can say.
type Write struct {
	Key      layout.Key
	Revision int64  // that the key must have; 0 if it must not be there
	Value    []byte // with Deletes, what is stored instead; nil for nothing
	Lease    clientv3.LeaseID
	// Creates and Deletes say what the write is for the client. Previous is the object as the client saw it before, empty if it creates.
	Creates, Deletes bool
	Previous         []byte
	// Cluster is the revision that the LogicalCluster must have; 0 for any.
	Cluster int64
	// Needs is a key in etcd that must be there; empty for none. Without it, the write does not succeed.
	Needs string
}

// Outcome is what a Write has led to.
type Outcome struct {
	Succeeded bool
	Revision  int64 // of etcd
}

// Write makes a write, like OptimisticPut and OptimisticDelete.
func (c *Client) Write(ctx context.Context, w Write) (Outcome, error) {
	done, err := c.commit(ctx, &change{
		k: w.Key, key: c.path(w.Key), revision: w.Revision, creates: w.Creates, deletes: w.Deletes, value: w.Value, lease: w.Lease,
		previous: w.Previous, cluster: w.Cluster, needs: w.Needs,
	})
	return Outcome{Succeeded: done.succeeded, Revision: done.revision}, err
}

// commit makes the change if the key has the revision, and if everything is there that a created object belongs to.
func (c *Client) commit(ctx context.Context, ch *change) (outcome, error) {
	var err error
	if ch.k, err = layout.Parse(strings.TrimPrefix(ch.key, c.Prefix)); err != nil {
		return outcome{}, apierrors.NewInternalError(err)
	}
	if ch.version, err = versionOf(ctx, ch); err != nil {
		return outcome{}, err
	}
	if ch.creates {
		if err := c.belong(ctx, ch); err != nil {
			return outcome{}, err
		}
	}
	for {
		if err := refusal(ch.k, ch.owners); err != nil {
			return outcome{}, err
		}
		if c.Home != nil {
			if err := c.pass(ctx, ch.k, ch.owners); err != nil {
				return outcome{}, err
			}
		}
		done, conflict, err := c.try(ctx, ch)
		if err != nil {
			return outcome{}, err
		}
		if done.succeeded {
			c.wrote(ctx, ch, done.revision)
		}
		if done.succeeded || conflict {
			return done, nil
		}
		if c.Home != nil { // a gate was shut, or the meter has moved
			c.forget(ch.owners)
			continue
		}
		// The key is as expected, so something of the rest has changed. That is seldom, and is not made dearer by reading it each time.
		if err := c.read(ctx, ch.owners); err != nil {
			return outcome{}, err
		}
		if ch.cluster != 0 || ch.needs != "" {
			return done, refusal(ch.k, ch.owners) // who knew that revision has to look again
		}
	}
}

// belong finds out what an object that is to be created belongs to.
func (c *Client) belong(ctx context.Context, ch *change) (err error) {
	if ch.owners, err = of(ctx, ch.k); err != nil {
		return err
	}
	for i := range ch.owners {
		ch.owners[i].state = c.home().remembered(ctx, ch.owners[i].key)
	}
	if refusal(ch.k, ch.owners) == nil {
		return nil
	}
	return c.home().read(ctx, ch.owners) // what is in memory may be old
}

// try commits one transaction. A conflict is a key that has another revision than expected.
func (c *Client) try(ctx context.Context, ch *change) (done outcome, conflict bool, err error) {
	charge, err := c.charge(ctx, ch)
	if err != nil {
		return done, false, err
	}
	defer charge.close()
	account, err := c.account(ctx, ch)
	if err != nil {
		return done, false, err
	}
	defer account.close()
	compares := slices.Concat(account.compares, charge.compares, []clientv3.Cmp{unmoved(ch.key, ch.revision)})
	for i := range ch.owners {
		compares = append(compares, c.guard(&ch.owners[i]))
	}
	if ch.needs != "" {
		compares = append(compares, clientv3.Compare(clientv3.CreateRevision(ch.needs), ">", 0))
	}
	if ch.cluster != 0 {
		compares = append(compares, clientv3.Compare(clientv3.ModRevision(c.path(ClusterKey(ch.k.Cluster))), "=", ch.cluster))
	}
	var closed []clientv3.Op
	if ch.version != "" {
		key := c.path(RetiredKey(ch.k, ch.version))
		compares = append(compares, clientv3.Compare(clientv3.CreateRevision(key), "=", 0))
		closed = append(closed, clientv3.OpGet(key))
	}
	op := clientv3.OpPut(ch.key, string(ch.value), clientv3.WithLease(ch.lease))
	if ch.deletes && len(ch.value) == 0 {
		op = clientv3.OpDelete(ch.key)
	}
	existing := clientv3.OpGet(ch.key)
	if !ch.revealing {
		existing = clientv3.OpGet(ch.key, clientv3.WithKeysOnly())
	}
	then, otherwise := slices.Concat(account.ops, charge.ops, []clientv3.Op{op}), slices.Concat(account.reads, charge.reads, closed, []clientv3.Op{existing})
	resp, err := c.KV.Txn(ctx).If(compares...).Then(then...).Else(otherwise...).Commit()
	if err != nil {
		account.lost()
		charge.lost()
		return done, false, err
	}
	done.succeeded, done.revision = resp.Succeeded, resp.Header.Revision
	if done.succeeded {
		account.settled()
		charge.settled(done.revision)
		ch.amends = charge.amended()
		return done, false, nil
	}
	last := len(resp.Responses) - 1
	account.moved(resp.Responses[:len(account.reads)])
	if err := charge.moved(resp.Responses[len(account.reads) : last-len(closed)]); err != nil {
		return done, false, err
	}
	var kv *mvccpb.KeyValue
	var revision int64
	if kvs := resp.Responses[last].GetResponseRange().Kvs; len(kvs) > 0 {
		kv, revision = kvs[0], kvs[0].ModRevision
	}
	if ch.revealing {
		done.kv = kv
	}
	if revision != ch.revision {
		return done, true, nil
	}
	for _, read := range resp.Responses[last-len(closed) : last] {
		for _, kv := range read.GetResponseRange().Kvs {
			return done, false, c.enter(ctx, ch, kv)
		}
	}
	return done, false, nil
}
