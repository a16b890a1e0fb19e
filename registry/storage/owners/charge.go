package owners

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/apis/core/quota"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// charge is what a transaction does with the quotas of its namespace.
type charge struct {
	client   *Client
	k        layout.Key
	compares []clientv3.Cmp
	ops      []clientv3.Op
	reads    []clientv3.Op
	hard     *hard       // nil if quotas have nothing to do with it
	used     *used       // nil if it is not counted; this charge has its turn
	next     int64       // number of objects afterwards
	rules    quota.Rules // what the quotas limit afterwards, if that changes
	size     int         // of them; 0 if they do not change
}

// isCharged reports whether the quotas of a namespace have to do with ch.
func isCharged(ch *change) bool {
	return InCluster(ch.k) && ch.k.Namespace != "" && (ch.k.Resource == quota.Resource || (ch.creates || ch.deletes) && quota.IsCounted(ch.k.Resource))
}

// charge returns what the transaction of ch does with the quotas of its namespace, and refuses what exceeds one. Close it.
func (c *Client) charge(ctx context.Context, ch *change) (*charge, error) {
	g := &charge{client: c, k: ch.k}
	switch {
	case isCharged(ch):
	case ch.deletes && ch.k.Resource == LogicalClusters:
		g.ops = append(g.ops, c.forgetQuotas(ch.k.Cluster, ""))
		return g, nil
	case ch.deletes && ch.k.Resource == Namespaces:
		g.ops = append(g.ops, c.forgetQuotas(ch.k.Cluster, ch.k.Name))
		return g, nil
	default:
		return g, nil
	}
	for {
		*g = charge{client: c, k: ch.k}
		again, err := g.prepare(ctx, ch)
		if err == nil && !again {
			return g, nil
		}
		g.close()
		if err != nil {
			return nil, err
		}
	}
}

// prepare fills g. It has to be called again if something else is stored than is known.
func (g *charge) prepare(ctx context.Context, ch *change) (again bool, err error) {
	c, ns := g.client, namespaceOf(g.k)
	g.hard = c.hard(ns)
	g.compares = append(g.compares, unmoved(c.hardPath(ns), g.hard.revision))
	g.reads = append(g.reads, clientv3.OpGet(c.hardPath(ns)))
	if g.k.Resource == quota.Resource {
		if again, err := g.amend(ctx, ch); err != nil || again {
			return again, err
		}
	}
	if !ch.creates && !ch.deletes || !g.hard.Rules.Limits(g.k.Resource) {
		return false, nil
	}
	path := c.path(UsedKey(g.k))
	if g.used, err = g.hard.take(ctx, path); err != nil {
		return false, err
	}
	if g.used.Hard != g.hard.revision {
		if same, err := c.look(ctx, g.hard, g.used, g.k); err != nil || !same {
			return true, err
		}
	}
	if g.used.Hard != g.hard.revision {
		if right, err := c.tally(ctx, g.hard, g.used, g.k); err != nil || !right {
			return true, err
		}
	}
	if ch.creates {
		if again, err := g.admit(ctx); err != nil || again {
			return again, err
		}
		g.next = g.used.Objects + 1
	} else {
		g.next = max(g.used.Objects-1, 0)
	}
	g.compares = append(g.compares, unmoved(path, g.used.revision))
	g.reads = append(g.reads, clientv3.OpGet(path))
	if g.size == 0 { // else it is counted again
		g.ops = append(g.ops, clientv3.OpPut(path, usedValue{Hard: g.hard.revision, Objects: g.next}.encode()))
	}
	return false, nil
}

// admit refuses one more object if it exceeds a quota.
func (g *charge) admit(ctx context.Context) (again bool, err error) {
	exceeded := g.hard.Rules.Exceeded(g.k.Resource, g.used.Objects)
	if exceeded == nil {
		return false, nil
	}
	// Another process may have deleted something.
	before := g.used.revision
	if same, err := g.client.look(ctx, g.hard, g.used, g.k); err != nil || !same || g.used.revision != before {
		return true, err
	}
	return false, apierrors.NewForbidden(g.k.Resource, g.k.Name, exceeded)
}

// amend changes what the quotas limit if ch, a write of one of them, does.
func (g *charge) amend(ctx context.Context, ch *change) (again bool, err error) {
	var limits quota.Hard
	if !ch.deletes {
		q, err := readQuota(ch.value)
		if err != nil {
			return false, apierrors.NewInternalError(err)
		}
		limits = quota.HardOf(&q.Spec)
	}
	if g.hard.Rules[g.k.Name].Equal(limits) {
		return false, nil
	}
	g.rules = g.hard.Rules.With(g.k.Name, limits)
	if len(g.rules) == 0 {
		g.size = 1
		g.ops = append(g.ops, g.client.forgetQuotas(g.k.Cluster, g.k.Namespace))
		return false, nil
	}
	value := hardValue{Rules: g.rules}.encode()
	if g.size = len(value); g.size > quota.MostBytes && !ch.deletes {
		resp, err := g.client.KV.Get(ctx, g.client.hardPath(namespaceOf(g.k)))
		if err != nil {
			return false, err
		}
		if known, err := g.client.learnHard(namespaceOf(g.k), resp.Kvs); err != nil || !known {
			return true, err
		}
		return false, apierrors.NewForbidden(g.k.Resource, g.k.Name, fmt.Errorf(
			"the names and numbers that all quotas of a namespace limit may take %d bytes, and would take %d", quota.MostBytes, g.size))
	}
	g.ops = append(g.ops, clientv3.OpPut(g.client.hardPath(namespaceOf(g.k)), value))
	return false, nil
}

// settled says that the transaction is committed in a revision.
func (g *charge) settled(revision int64) {
	switch {
	case g.size > 0 && len(g.rules) == 0:
		g.client.hards.Remove(namespaceOf(g.k))
	case g.size > 0:
		g.client.keepHard(namespaceOf(g.k), revision, hardValue{Rules: g.rules}, g.size)
	case g.used != nil:
		g.used.revision, g.used.Objects = revision, g.next
	}
}

// moved says that the transaction has failed, and what its reads have returned.
func (g *charge) moved(reads []*etcdserverpb.ResponseOp) error {
	if g.hard == nil {
		return nil
	}
	known, err := g.client.learnHard(namespaceOf(g.k), reads[0].GetResponseRange().Kvs)
	if err == nil && known && g.used != nil {
		g.used.read(reads[1].GetResponseRange().Kvs)
	}
	return err
}

// lost says that nobody knows whether the transaction is committed.
func (g *charge) lost() {
	if g.hard != nil {
		g.client.hards.Remove(namespaceOf(g.k))
	}
}

// close gives the turn to the next.
func (g *charge) close() {
	if g.used != nil {
		<-g.used.turn
		g.used = nil
	}
}

// Objects returns how many objects there are of what k is of in its namespace, whose quotas limit them, and corrects the number that is
// stored: a release that does not count may have written.
func (c *Client) Objects(ctx context.Context, k layout.Key) (int64, error) {
	for {
		h := c.hard(namespaceOf(k))
		if !h.Rules.Limits(k.Resource) {
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
		objects, done, err := c.corrected(ctx, h, k)
		if done || err != nil {
			return objects, err
		}
	}
}

// corrected is Objects for a resource that h limits, as long as it does.
func (c *Client) corrected(ctx context.Context, h *hard, k layout.Key) (objects int64, done bool, err error) {
	u, err := h.take(ctx, c.path(UsedKey(k)))
	if err != nil {
		return 0, false, err
	}
	defer func() { <-u.turn }()
	if same, err := c.look(ctx, h, u, k); err != nil || !same {
		return 0, false, err
	}
	right, err := c.tally(ctx, h, u, k)
	if err != nil {
		return 0, false, err
	}
	if !right { // others write
		if same, err := c.look(ctx, h, u, k); err != nil || !same {
			return 0, false, err
		}
	}
	return u.usedValue.Objects, u.Hard == h.revision, nil
}

// Exceeded returns, as a quota.ExceededError, which quota one more object under k would exceed; nil for none.
func (c *Client) Exceeded(ctx context.Context, k layout.Key) error {
	if !isCharged(&change{k: k, creates: true}) {
		return nil
	}
	resp, err := c.KV.Get(ctx, c.hardPath(namespaceOf(k)))
	if err != nil || len(resp.Kvs) == 0 {
		return err
	}
	value, err := readHard(resp.Kvs[0].Value)
	if err != nil || !value.Rules.Limits(k.Resource) {
		return err
	}
	used, err := c.Objects(ctx, k)
	if err != nil {
		return err
	}
	if exceeded := value.Rules.Exceeded(k.Resource, used); exceeded != nil {
		return exceeded
	}
	return nil
}
