package owners

import (
	"cmp"
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/core/quota"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// quotaPage is how many ResourceQuotas are read at a time.
const quotaPage = 50

// Adopt makes what is stored of the quotas of a namespace what they say, in all etcds; also if that is about the whole cluster. What is in memory says whether that may be necessary:
// each write of a ResourceQuota sees to it, but older releases did not, and another etcd may have been away.
func (c *Client) Adopt(ctx context.Context, cluster logicalcluster.Name, name string, quotas []*corev1.ResourceQuota) error {
	for _, ns := range (namespace{cluster, name}).ruled() {
		if err := c.adopt(ctx, ns, quotas); err != nil {
			return err
		}
	}
	return nil
}

// adopt is Adopt for what quotas limit in ns.
func (c *Client) adopt(ctx context.Context, ns namespace, quotas []*corev1.ResourceQuota) error {
	for !c.hard(ns).Rules.Equal(ns.rules(quotas)) {
		there, err := c.KV.Get(ctx, c.hardPath(ns))
		if err != nil {
			return err
		}
		if _, err := c.learnHard(ns, there.Kvs); err != nil {
			return err
		}
		rules, err := c.said(ctx, ns, there.Header.Revision)
		if err != nil {
			return err
		}
		known := c.hard(ns)
		if known.Rules.Equal(rules) {
			break
		}
		write := c.forgetRules(ns)
		if value := (hardValue{Rules: rules}).encode(); len(rules) > 0 {
			write = []clientv3.Op{clientv3.OpPut(c.hardPath(ns), value)}
		}
		// A ResourceQuota that is written meanwhile writes this, too, unless that is right already.
		if _, err := c.KV.Txn(ctx).If(unmoved(c.hardPath(ns), known.revision)).Then(write...).Commit(); err != nil {
			return err
		}
	}
	for _, other := range c.Elsewhere {
		if err := other.follow(ctx, ns); err != nil {
			return err
		}
	}
	return nil
}

// said returns what ResourceQuotas limit in ns, at a revision.
func (c *Client) said(ctx context.Context, ns namespace, revision int64) (quota.Rules, error) {
	from := c.path(layout.Key{Resource: quota.Resource, Cluster: ns.cluster, Namespace: cmp.Or(ns.name, quota.ClusterNamespace)})
	end := clientv3.GetPrefixRangeEnd(from)
	var quotas []*corev1.ResourceQuota
	for more := true; more; {
		resp, err := c.KV.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(quotaPage), clientv3.WithRev(revision))
		if err != nil {
			return nil, fmt.Errorf("reading the ResourceQuotas of a namespace: %w", err)
		}
		for _, kv := range resp.Kvs {
			q, err := c.readQuota(ctx, kv)
			if err != nil {
				return nil, err
			}
			quotas = append(quotas, &corev1.ResourceQuota{ObjectMeta: q.ObjectMeta, Spec: q.Spec})
			from = string(kv.Key) + "\x00"
		}
		more = resp.More
	}
	return ns.rules(quotas), nil
}

// announce says in the other etcds what the quotas of a namespace limit now, so that the answer to the write of a ResourceQuota means that
// it is heeded there, too.
func (c *Client) announce(ctx context.Context, ns namespace) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutTimeout)
	defer cancel()
	for _, other := range c.Elsewhere {
		if err := other.follow(ctx, ns); err != nil {
			// The controller of quotas tries again.
			klog.FromContext(ctx).V(2).Info("A quota is heeded later", "cluster", ns.cluster, "namespace", ns.name, "reason", err.Error())
		}
	}
}

// follow copies what the quotas of a namespace limit from the main etcd. The copy says of which revision it is; it is never replaced by an
// older one, because it is read before that of which it is to be one.
func (c *Client) follow(ctx context.Context, ns namespace) error {
	path := c.hardPath(ns)
	for {
		here, err := c.KV.Get(ctx, path)
		if err != nil {
			return err
		}
		there, err := c.Home.KV.Get(ctx, path)
		if err != nil {
			return err
		}
		var is hardValue
		for _, kv := range here.Kvs {
			if is, err = readHard(kv.Value); err != nil {
				return err
			}
		}
		if is.Of == revisionOf(there.Kvs) {
			_, err := c.learnHard(ns, here.Kvs)
			return err
		}
		write := c.forgetRules(ns)
		for _, kv := range there.Kvs {
			value, err := readHard(kv.Value)
			if err != nil {
				return err
			}
			value.Of = kv.ModRevision
			write = []clientv3.Op{clientv3.OpPut(path, value.encode())}
		}
		if _, err := c.KV.Txn(ctx).If(unmoved(path, revisionOf(here.Kvs))).Then(write...).Commit(); err != nil {
			return err
		}
	}
}

func revisionOf(kvs []*mvccpb.KeyValue) int64 {
	for _, kv := range kvs {
		return kv.ModRevision
	}
	return 0
}
