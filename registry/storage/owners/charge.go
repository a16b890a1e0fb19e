package owners

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
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
	used     *used       // nil if it is not counted
	taken    [2]int      // parts of used that this charge has taken; negative for none
	next     [2]room     // what they are afterwards
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
		c.hards.Remove(namespace{ch.k.Cluster, ch.k.Name})
		g.ops = append(g.ops, c.forgetQuotas(ch.k.Cluster, ch.k.Name))
		return g, nil
	default:
		return g, nil
	}
	for {
		*g = charge{client: c, k: ch.k, taken: [2]int{-1, -1}}
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
	most, limited := g.hard.Rules.Most(g.k.Resource)
	if !limited || !ch.creates && !ch.deletes {
		return false, nil
	}
	g.used = g.hard.of(c, g.k)
	if g.taken[0], g.taken[1], err = g.used.take(ctx, g.hard.revision, ch.creates); err != nil {
		return false, err
	}
	if g.taken[0] < 0 {
		return true, g.find(ctx, ch, most)
	}
	g.reads = append(g.reads, g.used.gets()...)
	g.divide(ch.creates)
	return false, nil
}

// find finds room, in etcd, or refuses one more object.
func (g *charge) find(ctx context.Context, ch *change, most int64) error {
	c := g.client
	all, same, err := c.look(ctx, g.hard, g.used, g.k)
	if err != nil || !same {
		return err
	}
	room, counted := roomIn(all, g.hard.revision)
	if !counted {
		_, _, err := c.tally(ctx, g.hard, g.used, g.k, all, most)
		return err
	}
	if room > 0 || !ch.creates {
		return nil
	}
	return apierrors.NewForbidden(g.k.Resource, g.k.Name, g.hard.Rules.Exceeded(g.k.Resource, most-room))
}

// divide says what the parts that are taken are afterwards.
func (g *charge) divide(creates bool) {
	var left [2]int64
	for i, part := range g.taken {
		if part >= 0 {
			left[i] = g.used.parts[part].left(g.hard.revision)
		}
	}
	if creates {
		left[0]--
	} else {
		left[0]++
	}
	if g.taken[1] >= 0 {
		given := left[0] / 2
		left[0], left[1] = left[0]-given, left[1]+given
	}
	for i, part := range g.taken {
		if part < 0 {
			continue
		}
		g.next[i] = room{Hard: g.hard.revision, Room: left[i]}
		g.compares = append(g.compares, unmoved(g.used.keys[part], g.used.parts[part].revision))
		if g.size == 0 { // else the objects are counted again
			g.ops = append(g.ops, clientv3.OpPut(g.used.keys[part], g.next[i].encode()))
		}
	}
}

// amend changes what the quotas limit if ch, a write of one of them, does.
func (g *charge) amend(ctx context.Context, ch *change) (again bool, err error) {
	var limits quota.Hard
	if !ch.deletes {
		q, err := g.client.readQuota(ctx, &mvccpb.KeyValue{Key: []byte(ch.key), Value: ch.value})
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
	default:
		for i, part := range g.taken {
			if g.used != nil && part >= 0 {
				g.used.set(part, revision, g.next[i])
			}
		}
	}
}

// moved says that the transaction has failed, and what its reads have returned.
func (g *charge) moved(reads []*etcdserverpb.ResponseOp) error {
	if g.hard == nil {
		return nil
	}
	known, err := g.client.learnHard(namespaceOf(g.k), reads[0].GetResponseRange().Kvs)
	if err == nil && known && g.used != nil {
		g.used.read(reads[1:], g.taken[:]...)
	}
	return err
}

// lost says that nobody knows whether the transaction is committed.
func (g *charge) lost() {
	if g.hard != nil {
		g.client.hards.Remove(namespaceOf(g.k))
	}
	if g.used != nil {
		g.used.forget()
	}
}

// close gives what is taken to the next.
func (g *charge) close() {
	if g.used != nil {
		g.used.release(g.taken[:]...)
		g.used = nil
	}
}

// Objects returns how many objects there are of what k is of in its namespace, and corrects what is stored of that if quotas limit them: a
// release that does not count may have written.
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
	if !isCharged(&change{k: k, creates: true}) {
		return nil
	}
	resp, err := c.KV.Get(ctx, c.hardPath(namespaceOf(k)))
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
