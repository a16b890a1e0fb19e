package owners

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// metersKept is how many meters are kept in memory. Others are read when they are needed, after a transaction that did not know of them.
const metersKept = 4096

// countTimeout is how long it may take to count what a workspace stores. etcd reads some 200 MB a second.
const countTimeout = 10 * time.Minute

// beingCounted is the value of a meter while nothing may be written, because what is stored is being counted.
const beingCounted = "counting"

// Events are not metered, because etcd removes them by itself: see limits.EventSize.
var Events = schema.GroupResource{Resource: "events"}

// MeterKey returns the key of the meter of a cluster.
func MeterKey(cluster logicalcluster.Name) layout.Key {
	return layout.Key{Resource: schema.GroupResource{Group: "annex.dev", Resource: "usage"}, Cluster: cluster, Name: "content"}
}

// meter is what this process knows of the meter of a cluster. Whoever has the turn may use it: writes of one cluster would only fail
// because of each other.
type meter struct {
	turn  chan struct{}
	value string // empty if there is none
}

// account is what a transaction does with the meter of its cluster.
type account struct {
	compares []clientv3.Cmp
	ops      []clientv3.Op
	reads    []clientv3.Op
	cluster  logicalcluster.Name
	client   *Client
	meter    *meter // nil if there is none; this account has its turn
	next     string // value of the meter afterwards
}

// isMetered reports whether a meter counts what is stored under k.
func isMetered(k layout.Key) bool { return InCluster(k) && k.Resource != Events }

// account returns what the transaction of ch does with the meter, and refuses what exceeds a limit. Close it.
func (c *Client) account(ctx context.Context, ch *change) (*account, error) {
	a := &account{cluster: ch.k.Cluster, client: c}
	if !isMetered(ch.k) {
		if ch.k.Resource == LogicalClusters && ch.deletes {
			a.ops = append(a.ops, clientv3.OpDelete(c.meterPath(a.cluster)))
		}
		return a, c.checkEvent(ctx, ch)
	}
	if ch.lease != 0 {
		return nil, apierrors.NewInternalError(fmt.Errorf("storing an object of %s: what expires by itself cannot be metered", ch.k.Resource))
	}
	a.reads = append(a.reads, clientv3.OpGet(c.meterPath(a.cluster)))
	creates := len(ch.owners) > 0
	limited := creates && ch.owners[0].limits.Any()
	for {
		m, err := c.take(ctx, a.cluster)
		if err != nil {
			return nil, err
		}
		a.meter = m
		switch {
		case m == nil && !limited:
			a.compares = append(a.compares, clientv3.Compare(clientv3.CreateRevision(c.meterPath(a.cluster)), "=", 0))
			return a, nil
		case m == nil:
			var begun bool
			if begun, err = c.begin(ctx, ch); err == nil && !begun { // the LogicalCluster is another by now, which the transaction finds, too
				a.compares = append(a.compares, clientv3.Compare(clientv3.CreateRevision(c.meterPath(a.cluster)), "=", 0))
				return a, nil
			}
		case m.value == beingCounted:
			err = c.count(ctx, a.cluster, m)
		case creates && !limited:
			a.compares = append(a.compares, a.unmoved())
			a.ops = append(a.ops, clientv3.OpDelete(c.meterPath(a.cluster)))
			return a, nil
		default:
			var again bool
			if again, err = a.add(ctx, ch); err == nil && !again {
				return a, nil
			}
		}
		a.close()
		if err != nil {
			return nil, err
		}
	}
}

// add adds to the meter what ch changes. It has to be called again if the meter has moved.
func (a *account) add(ctx context.Context, ch *change) (again bool, err error) {
	c := a.client
	used, err := limits.Read(a.meter.value)
	if err != nil {
		return false, apierrors.NewInternalError(err)
	}
	more, err := c.difference(ctx, ch)
	if err != nil {
		return false, err
	}
	a.next = a.meter.value
	if more == (limits.Amount{}) {
		return false, nil
	}
	allowed, err := c.limitsFor(ctx, ch)
	if err != nil {
		return false, err
	}
	if exceeded := allowed.Exceeded(a.cluster, used, more); exceeded != nil {
		// Another process may have deleted something.
		before := a.meter.value
		if err := c.refresh(ctx, a.cluster, a.meter); err != nil {
			return false, err
		}
		if a.meter.value != before {
			return true, nil
		}
		return false, forbidden(ch.k, exceeded)
	}
	a.next = used.Plus(more).String()
	a.compares = append(a.compares, a.unmoved())
	a.ops = append(a.ops, clientv3.OpPut(c.meterPath(a.cluster), a.next))
	return false, nil
}

// difference returns by how much ch changes what its cluster stores: by nothing if the key does not have the revision that ch expects.
func (c *Client) difference(ctx context.Context, ch *change) (more limits.Amount, err error) {
	if !ch.deletes {
		more = limits.Amount{Objects: 1, Bytes: int64(len(ch.value))}
	}
	if len(ch.previous) > 0 {
		return more.Plus(limits.Amount{Objects: -1, Bytes: -int64(len(ch.previous))}), nil
	}
	if ch.creates {
		return more, nil
	}
	resp, err := c.KV.Get(ctx, ch.key)
	if err != nil || len(resp.Kvs) == 0 || resp.Kvs[0].ModRevision != ch.revision {
		return limits.Amount{}, err // the transaction finds a conflict
	}
	return more.Plus(limits.Amount{Objects: -1, Bytes: -int64(len(resp.Kvs[0].Value))}), nil
}

// limitsFor returns the limits that count for ch. Nothing keeps a workspace from being deleted.
func (c *Client) limitsFor(ctx context.Context, ch *change) (limits.Limits, error) {
	if ch.deletes {
		return limits.Limits{}, nil
	}
	if len(ch.owners) > 0 {
		return ch.owners[0].limits, nil
	}
	lc := []owner{{key: ClusterKey(ch.k.Cluster)}}
	if lc[0].state = c.home().remembered(ctx, lc[0].key); lc[0].revision == 0 {
		if err := c.home().read(ctx, lc); err != nil {
			return limits.Limits{}, err
		}
	}
	if lc[0].deleting {
		return limits.Limits{}, nil
	}
	return lc[0].limits, nil
}

// checkEvent refuses an Event that exceeds a limit.
func (c *Client) checkEvent(ctx context.Context, ch *change) error {
	if ch.k.Resource != Events || !InCluster(ch.k) || ch.deletes {
		return nil
	}
	allowed, err := c.limitsFor(ctx, ch)
	if err != nil || !allowed.Any() {
		return err
	}
	var stored int64 = -1 // an update adds none
	if len(ch.owners) > 0 {
		resp, err := c.KV.Get(ctx, c.Prefix+layout.TypedRoot(Events)+"/"+string(ch.k.Cluster)+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return err
		}
		stored = resp.Count
	}
	if exceeded := allowed.ExceededByEvent(ch.k.Cluster, stored, len(ch.value)); exceeded != nil {
		return forbidden(ch.k, exceeded)
	}
	return nil
}

func forbidden(k layout.Key, exceeded error) error {
	return because(metav1.StatusCause{Type: limits.ExceededCause, Message: exceeded.Error()}, apierrors.NewForbidden(k.Resource, k.Name, exceeded))
}

// take waits for the turn at the meter of cluster, and returns it; nil if there is none, as far as is known.
func (c *Client) take(ctx context.Context, cluster logicalcluster.Name) (*meter, error) {
	for {
		kept, ok := c.meters.Get(cluster)
		if !ok {
			return nil, nil
		}
		m := kept.(*meter)
		select {
		case m.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if m.value != "" {
			return m, nil
		}
		<-m.turn // it was removed meanwhile
	}
}

// begin makes a meter for the creation of an object, unless somebody else does. It reports false if there is none because the
// LogicalCluster has changed: a cluster that is gone must not leave a meter behind.
func (c *Client) begin(ctx context.Context, ch *change) (bool, error) {
	cluster, key := ch.k.Cluster, c.meterPath(ch.k.Cluster)
	resp, err := c.KV.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0), c.guard(&ch.owners[0])).
		Then(clientv3.OpPut(key, beingCounted)).Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return false, err
	}
	value := beingCounted
	if !resp.Succeeded {
		value = valueOf(resp.Responses[0])
	}
	c.learn(cluster, value)
	return value != "", nil
}

// count gives a meter its first sum.
func (c *Client) count(ctx context.Context, cluster logicalcluster.Name, m *meter) error {
	// Nothing is written before this ends, so it must not begin again and again because requests give up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTimeout)
	defer cancel()
	sum, err := c.Stored(ctx, cluster)
	if err != nil {
		return err
	}
	key := c.meterPath(cluster)
	resp, err := c.KV.Txn(ctx).If(clientv3.Compare(clientv3.Value(key), "=", beingCounted)).
		Then(clientv3.OpPut(key, sum.String())).Else(clientv3.OpGet(key)).Commit()
	if err != nil {
		return err
	}
	value := sum.String()
	if !resp.Succeeded {
		value = valueOf(resp.Responses[0])
	}
	c.set(cluster, m, value)
	return nil
}

// refresh reads a meter.
func (c *Client) refresh(ctx context.Context, cluster logicalcluster.Name, m *meter) error {
	resp, err := c.KV.Get(ctx, c.meterPath(cluster))
	if err != nil {
		return err
	}
	value := ""
	for _, kv := range resp.Kvs {
		value = string(kv.Value)
	}
	c.set(cluster, m, value)
	return nil
}

// learn keeps a meter that was not known.
func (c *Client) learn(cluster logicalcluster.Name, value string) {
	if value != "" {
		c.meters.Add(cluster, &meter{turn: make(chan struct{}, 1), value: value})
	}
}

// set sets a meter whose turn the caller has.
func (c *Client) set(cluster logicalcluster.Name, m *meter, value string) {
	if m.value = value; value == "" {
		c.meters.Remove(cluster)
	}
}

func (a *account) unmoved() clientv3.Cmp {
	return clientv3.Compare(clientv3.Value(a.client.meterPath(a.cluster)), "=", a.meter.value)
}

// settled says that the transaction is committed.
func (a *account) settled() {
	if a.meter != nil {
		a.client.set(a.cluster, a.meter, a.next)
	}
}

// moved says that the transaction has failed, and what its reads have returned.
func (a *account) moved(reads []*etcdserverpb.ResponseOp) {
	switch {
	case len(reads) == 0:
	case a.meter != nil:
		a.client.set(a.cluster, a.meter, valueOf(reads[0]))
	default:
		a.client.learn(a.cluster, valueOf(reads[0]))
	}
}

// lost says that nobody knows whether the transaction is committed.
func (a *account) lost() {
	if a.meter != nil {
		a.client.set(a.cluster, a.meter, "")
	}
}

// close gives the turn to the next.
func (a *account) close() {
	if a.meter != nil {
		<-a.meter.turn
		a.meter = nil
	}
}

// meterPath returns the key of the meter of a cluster, as it is in etcd.
func (c *Client) meterPath(cluster logicalcluster.Name) string { return c.path(MeterKey(cluster)) }

func valueOf(read *etcdserverpb.ResponseOp) string {
	for _, kv := range read.GetResponseRange().Kvs {
		return string(kv.Value)
	}
	return ""
}
