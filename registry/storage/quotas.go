package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/core/quota"
	"github.com/annex-dev/annex/apis/logicalcluster"
	kindtable "github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

const (
	// quotaRetry is the wait before what is stored of quotas is watched again.
	quotaRetry = time.Second
	// quotaRounds is how often all namespaces with quotas are looked at without a change: somebody may have written past the counts.
	quotaRounds = 10 * time.Minute
)

// QuotaCounts returns how many objects there are of each resource that the quotas of a namespace limit. Given are the ResourceQuotas of the
// namespace as somebody has seen them lately: if what is stored of their limits differs, it is put right, and so are numbers that are wrong
// because an older release has written.
func (b *Backend) QuotaCounts(ctx context.Context, cluster logicalcluster.Name, namespace string, quotas []*corev1.ResourceQuota) (counts quota.Counts, err error) {
	if b.main.owners == nil || cluster.IsSystem() {
		return counts, nil
	}
	if err := b.main.owners.Adopt(ctx, cluster, namespace, quotas); err != nil {
		return counts, answer.Error(ctx, fmt.Errorf("reading the quotas of a namespace: %w", err), false)
	}
	if counts.Namespace, err = b.quotaCounts(ctx, quota.RulesOf(quotas), cluster, namespace); err != nil {
		return counts, err
	}
	counts.Cluster, err = b.quotaCounts(ctx, quota.ClusterRulesOf(quotas), cluster, "")
	return counts, err
}

// quotaCounts returns how many objects a namespace has, or the whole cluster if it has no name, of each resource that rules limit.
func (b *Backend) quotaCounts(ctx context.Context, rules quota.Rules, cluster logicalcluster.Name, namespace string) (map[schema.GroupResource]int64, error) {
	counts := map[schema.GroupResource]int64{}
	for _, gr := range rules.Resources() {
		keys, err := b.counted(ctx, gr, cluster, namespace)
		if err != nil {
			return nil, answer.Error(ctx, err, false)
		}
		for _, k := range keys {
			n, err := b.of(k).owners.Objects(ctx, k)
			if err != nil {
				return nil, answer.Error(ctx, fmt.Errorf("counting %s for a quota: %w", gr, err), false)
			}
			counts[gr] += n
		}
	}
	return counts, nil
}

// counted returns keys, without names, of the objects of a resource in a namespace, or in all if it has no name: one for each bucket of which the cluster may have any.
func (b *Backend) counted(ctx context.Context, gr schema.GroupResource, cluster logicalcluster.Name, namespace string) ([]layout.Key, error) {
	k := layout.Key{Resource: gr, Cluster: cluster, Namespace: namespace}
	if isTyped(gr) {
		return []layout.Key{k}, nil
	}
	k.Custom = true
	if _, err := b.of(k).current.Wait(ctx); err != nil {
		return nil, err
	}
	var all []layout.Key
	for _, held := range b.custom[layout.ShardOf(gr)].Holding(cluster) {
		if held.Resource == gr {
			k.Bucket = held.Bucket
			all = append(all, k)
		}
	}
	return all, nil
}

func isTyped(gr schema.GroupResource) bool {
	return kindtable.All.IsEverywhere(gr) || kindtable.All.IsBound(gr)
}

// QuotaExceeded returns, as a quota.ExceededError, which quota one more object of a resource in a namespace, or of a cluster-scoped resource,
// would exceed in the cluster, and for custom resources in the bucket, of ctx; nil for none.
func (b *Backend) QuotaExceeded(ctx context.Context, gr schema.GroupResource, namespace string) error {
	cluster, ok := logicalcluster.FromContext(ctx)
	if !ok {
		return apierrors.NewInternalError(fmt.Errorf("asking for the quotas of a namespace: the request names no logical cluster"))
	}
	k := layout.Key{Resource: gr, Cluster: cluster, Namespace: namespace}
	if !isTyped(gr) {
		if k.Bucket, k.Custom = layout.BucketFrom(ctx); !k.Custom {
			return apierrors.NewInternalError(fmt.Errorf("asking for the quotas of %s: the request does not say whose API it is for", gr))
		}
	}
	e := b.of(k)
	if e.owners == nil {
		return nil
	}
	return answer.Error(ctx, e.owners.Exceeded(ctx, k), false)
}

// WatchQuotaCounts calls changed for every namespace with quotas that limit something, and then for each in which the number of objects that they limit has
// changed, whoever has changed it, until ctx ends. It may call it at any time without a change.
func (b *Backend) WatchQuotaCounts(ctx context.Context, changed func(cluster logicalcluster.Name, namespace string)) {
	var all sync.WaitGroup
	for _, e := range b.etcds() {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := e.watchQuotas(ctx, b.prefix, changed); err != nil && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
					klog.FromContext(ctx).V(2).Info("Watching the counts of quotas again", "reason", err.Error())
				}
				select {
				case <-ctx.Done():
				case <-time.After(quotaRetry):
				}
			}
		})
	}
	all.Wait()
}

// watchQuotas is WatchQuotaCounts for one etcd until the watch ends.
func (e *etcd) watchQuotas(ctx context.Context, prefix string, changed func(cluster logicalcluster.Name, namespace string)) error {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), quotaRounds)
	defer cancel()
	root := prefix + layout.TypedRoot(owners.Quotas) + "/"
	var last layout.Key
	tell := func(kv *mvccpb.KeyValue) {
		k, err := layout.Parse(strings.TrimPrefix(string(kv.Key), prefix))
		if k.Name = ""; err != nil || k == last {
			return
		}
		last = k
		changed(k.Cluster, cmp.Or(k.Namespace, quota.ClusterNamespace))
	}
	for resp := range e.client.Watch(ctx, root, clientv3.WithPrefix(), clientv3.WithCreatedNotify()) {
		if err := resp.Err(); err != nil {
			return err
		}
		if resp.Created { // what changes from now on is seen
			if err := e.eachKey(ctx, root, tell); err != nil {
				return err
			}
		}
		last = layout.Key{}
		for _, event := range resp.Events {
			tell(event.Kv)
		}
	}
	return ctx.Err()
}

// eachKey calls each with the keys that begin with root.
func (e *etcd) eachKey(ctx context.Context, root string, each func(*mvccpb.KeyValue)) error {
	from, end := root, clientv3.GetPrefixRangeEnd(root)
	for more := true; more; {
		resp, err := e.client.KV.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(countPage), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		for _, kv := range resp.Kvs {
			each(kv)
			from = string(kv.Key) + "\x00"
		}
		more = resp.More
	}
	return nil
}
