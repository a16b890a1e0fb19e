package owners

import (
	"context"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/apis/core/quota"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// charge is what a transaction does with the quotas of its namespace, and with those of its cluster. It always takes room in the namespace
// before it waits for some in the cluster, so that no two wait for each other.
type charge struct {
	bills    []*bill
	compares []clientv3.Cmp
	ops      []clientv3.Op
	reads    []clientv3.Op
}

// bill is what a transaction does with the quotas of its namespace, or with those of its cluster.
type bill struct {
	client   *Client
	ns       namespace
	k        layout.Key // as it is counted there
	compares []clientv3.Cmp
	ops      []clientv3.Op
	reads    []clientv3.Op
	hard     *hard
	used     *used       // nil if it is not counted
	taken    [2]int      // parts of used that this bill has taken; negative for none
	next     [2]room     // what they are afterwards
	rules    quota.Rules // what the quotas limit afterwards, if that changes
	size     int         // of them; 0 if they do not change
}

// charged returns whose quotas have to do with ch: those of its namespace first.
func charged(ch *change) []namespace {
	if !InCluster(ch.k) {
		return nil
	}
	ns := namespaceOf(ch.k)
	var all []namespace
	if ch.k.Resource == quota.Resource {
		all = ns.ruled()
	}
	if (ch.creates || ch.deletes) && quota.IsCounted(ch.k.Resource) {
		all = []namespace{ns, {cluster: ns.cluster}}
	}
	return slices.Compact(all) // a cluster-scoped object is in no namespace
}

// charge returns what the transaction of ch does with quotas, and refuses what exceeds one. Close it.
func (c *Client) charge(ctx context.Context, ch *change) (*charge, error) {
	g := &charge{}
	switch {
	case ch.deletes && ch.k.Resource == LogicalClusters:
		g.ops = append(g.ops, c.forgetQuotas(ch.k.Cluster))
	case ch.deletes && ch.k.Resource == Namespaces:
		gone := namespace{ch.k.Cluster, ch.k.Name}
		c.hards.Remove(gone)
		g.ops = append(g.ops, c.forgetRules(gone)...)
	}
	for _, ns := range charged(ch) {
		b, err := c.bill(ctx, ch, ns)
		if err != nil {
			g.close()
			return nil, err
		}
		g.bills = append(g.bills, b)
		g.compares, g.ops, g.reads = append(g.compares, b.compares...), append(g.ops, b.ops...), append(g.reads, b.reads...)
	}
	return g, nil
}

// settled says that the transaction is committed in a revision.
func (g *charge) settled(revision int64) {
	for _, b := range g.bills {
		b.settled(revision)
	}
}

// amended returns in which namespaces the transaction has changed what quotas limit.
func (g *charge) amended() (all []namespace) {
	for _, b := range g.bills {
		if b.size > 0 {
			all = append(all, b.ns)
		}
	}
	return all
}

// moved says that the transaction has failed, and what its reads have returned.
func (g *charge) moved(reads []*etcdserverpb.ResponseOp) error {
	for _, b := range g.bills {
		if err := b.moved(reads[:len(b.reads)]); err != nil {
			return err
		}
		reads = reads[len(b.reads):]
	}
	return nil
}

// lost says that nobody knows whether the transaction is committed.
func (g *charge) lost() {
	for _, b := range g.bills {
		b.lost()
	}
}

// close gives what is taken to the next.
func (g *charge) close() {
	for _, b := range g.bills {
		b.close()
	}
}

// bill returns what the transaction of ch does with the quotas of ns.
func (c *Client) bill(ctx context.Context, ch *change, ns namespace) (*bill, error) {
	for {
		b := &bill{client: c, ns: ns, k: ns.in(ch.k), taken: [2]int{-1, -1}}
		again, err := b.prepare(ctx, ch)
		if err == nil && !again {
			return b, nil
		}
		b.close()
		if err != nil {
			return nil, err
		}
	}
}

// prepare fills b. It has to be called again, for a new one, if something else is stored than is known.
func (b *bill) prepare(ctx context.Context, ch *change) (again bool, err error) {
	c := b.client
	b.hard = c.hard(b.ns)
	b.compares = append(b.compares, unmoved(c.hardPath(b.ns), b.hard.revision))
	b.reads = append(b.reads, clientv3.OpGet(c.hardPath(b.ns)))
	if slices.Contains(namespaceOf(ch.k).ruled(), b.ns) && b.k.Resource == quota.Resource {
		if again, err := b.amend(ctx, ch); err != nil || again {
			return again, err
		}
	}
	most, limited := b.hard.Rules.Most(b.k.Resource)
	if !limited || !ch.creates && !ch.deletes {
		return false, nil
	}
	b.used = b.hard.of(c, b.k)
	if b.taken[0], b.taken[1], err = b.used.take(ctx, b.hard.revision, ch.creates); err != nil {
		return false, err
	}
	if b.taken[0] < 0 {
		return true, b.find(ctx, ch, most)
	}
	b.reads = append(b.reads, b.used.gets()...)
	b.divide(ch.creates)
	return false, nil
}

// find finds room, in etcd, or refuses one more object.
func (b *bill) find(ctx context.Context, ch *change, most int64) error {
	c := b.client
	all, same, err := c.look(ctx, b.hard, b.used, b.k)
	if err != nil || !same {
		return err
	}
	room, counted := roomIn(all, b.hard.revision)
	if !counted {
		_, _, err := c.tally(ctx, b.hard, b.used, b.k, all, most)
		return err
	}
	if room > 0 || !ch.creates {
		return nil
	}
	return apierrors.NewForbidden(b.k.Resource, b.k.Name, b.hard.Rules.Exceeded(b.k.Resource, most-room))
}

// divide says what the parts that are taken are afterwards.
func (b *bill) divide(creates bool) {
	var left [2]int64
	for i, part := range b.taken {
		if part >= 0 {
			left[i] = b.used.parts[part].left(b.hard.revision)
		}
	}
	if creates {
		left[0]--
	} else {
		left[0]++
	}
	if b.taken[1] >= 0 {
		given := left[0] / 2
		left[0], left[1] = left[0]-given, left[1]+given
	}
	for i, part := range b.taken {
		if part < 0 {
			continue
		}
		b.next[i] = room{Hard: b.hard.revision, Room: left[i]}
		b.compares = append(b.compares, unmoved(b.used.keys[part], b.used.parts[part].revision))
		if b.size == 0 { // else the objects are counted again
			b.ops = append(b.ops, clientv3.OpPut(b.used.keys[part], b.next[i].encode()))
		}
	}
}

// amend changes what the quotas limit if ch, a write of one of them, does.
func (b *bill) amend(ctx context.Context, ch *change) (again bool, err error) {
	var limits quota.Hard
	if !ch.deletes {
		q, err := b.client.readQuota(ctx, &mvccpb.KeyValue{Key: []byte(ch.key), Value: ch.value})
		if err != nil {
			return false, apierrors.NewInternalError(err)
		}
		q.Name, q.Namespace = ch.k.Name, ch.k.Namespace
		limits = b.ns.rules([]*corev1.ResourceQuota{q})[q.Name]
	}
	if b.hard.Rules[b.k.Name].Equal(limits) {
		return false, nil
	}
	b.rules = b.hard.Rules.With(b.k.Name, limits)
	if len(b.rules) == 0 {
		b.size = 1
		b.ops = append(b.ops, b.client.forgetRules(b.ns)...)
		return false, nil
	}
	value := hardValue{Rules: b.rules}.encode()
	if b.size = len(value); b.size > quota.MostBytes && !ch.deletes {
		resp, err := b.client.KV.Get(ctx, b.client.hardPath(b.ns))
		if err != nil {
			return false, err
		}
		if known, err := b.client.learnHard(b.ns, resp.Kvs); err != nil || !known {
			return true, err
		}
		return false, apierrors.NewForbidden(b.k.Resource, b.k.Name, fmt.Errorf(
			"the names and numbers that all quotas of a namespace limit may take %d bytes, and would take %d", quota.MostBytes, b.size))
	}
	b.ops = append(b.ops, clientv3.OpPut(b.client.hardPath(b.ns), value))
	return false, nil
}

// settled says that the transaction is committed in a revision.
func (b *bill) settled(revision int64) {
	switch {
	case b.size > 0 && len(b.rules) == 0:
		b.client.hards.Remove(b.ns)
	case b.size > 0:
		b.client.keepHard(b.ns, revision, hardValue{Rules: b.rules}, b.size)
	default:
		for i, part := range b.taken {
			if b.used != nil && part >= 0 {
				b.used.set(part, revision, b.next[i])
			}
		}
	}
}

// moved says that the transaction has failed, and what its reads have returned.
func (b *bill) moved(reads []*etcdserverpb.ResponseOp) error {
	known, err := b.client.learnHard(b.ns, reads[0].GetResponseRange().Kvs)
	if err == nil && known && b.used != nil {
		b.used.read(reads[1:], b.taken[:]...)
	}
	return err
}

// lost says that nobody knows whether the transaction is committed.
func (b *bill) lost() {
	b.client.hards.Remove(b.ns)
	if b.used != nil {
		b.used.forget()
	}
}

// close gives what is taken to the next.
func (b *bill) close() {
	if b.used != nil {
		b.used.release(b.taken[:]...)
		b.used = nil
	}
}

// Objects returns how many objects there are of what k is of in its namespace, or in the whole cluster if it has none. It corrects what is
// stored of that if quotas limit them: a release that does not count may have written.
func (c *Client) Objects(ctx context.Context, k layout.Key) (int64, error) {
	for {
		h := c.hard(namespaceOf(k))
		most, limited := h.Rules.Most(k.Resource)
		if !limited {
			resp, err := c.KV.Get(ctx, c.hardPath(namespaceOf(k)))
			if err != nil {
				return 0, err
			}
			known, err := c.learnHard(namespaceOf(k), resp.Kvs)
			if err != nil {
				return 0, err
			}
			if known {
				return c.objects(ctx, k)
			}
			continue
		}
		u := h.of(c, k)
		all, same, err := c.look(ctx, h, u, k)
		if err != nil {
			return 0, err
		}
		if !same {
			continue
		}
		if objects, right, err := c.tally(ctx, h, u, k, all, most); right || err != nil {
			return objects, err
		}
		if room, counted := roomIn(all, h.revision); counted { // others write
			return most - room, nil
		}
	}
}

// Exceeded returns, as a quota.ExceededError, which quota one more object under k would exceed; nil for none.
func (c *Client) Exceeded(ctx context.Context, k layout.Key) error {
	for _, ns := range charged(&change{k: k, creates: true}) {
		if err := c.exceeded(ctx, ns, ns.in(k)); err != nil {
			return err
		}
	}
	return nil
}

// exceeded is Exceeded for the quotas of ns.
func (c *Client) exceeded(ctx context.Context, ns namespace, k layout.Key) error {
	resp, err := c.KV.Get(ctx, c.hardPath(ns))
	if err != nil || len(resp.Kvs) == 0 {
		return err
	}
	value, err := readHard(resp.Kvs[0].Value)
	if err != nil {
		return err
	}
	if _, limited := value.Rules.Most(k.Resource); !limited {
		return nil
	}
	used, err := c.Objects(ctx, k)
	if err != nil {
		return err
	}
	exceeded := value.Rules.Exceeded(k.Resource, used)
	if exceeded == nil {
		return nil // and no error that holds a nil
	}
	return exceeded
}
