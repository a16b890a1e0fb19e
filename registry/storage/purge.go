package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

const (
	// rangesPerTxn stays below etcd's default limit of 128 operations in a transaction.
	rangesPerTxn = 100
	// purgeWorkers is how many keys are deleted at once: each in a revision of its own.
	purgeWorkers = 8
	// logicalClustersRoot is where the object lies that says that a cluster exists.
	logicalClustersRoot = "/core.kcp.io/logicalclusters/"
)

// CountKeys returns how many keys the cluster has in etcd, in all resources.
func (b *Backend) CountKeys(ctx context.Context, cluster logicalcluster.Name) (int64, error) {
	prefixes, err := b.prefixesOf(ctx, cluster)
	if err != nil {
		return 0, err
	}
	var count int64
	err = b.ranges(ctx, prefixes, func(resp *clientv3.GetResponse) { count += resp.Count }, clientv3.WithCountOnly())
	return count, err
}

// Purge deletes every key of the cluster, whatever finalizers its objects have, and returns how many there were. It is
// for a cluster whose content was deleted before, so that there normally is none but its LogicalCluster. That goes last: as
// long as it is there, somebody comes back after a crash.
func (b *Backend) Purge(ctx context.Context, cluster logicalcluster.Name) (int64, error) {
	prefixes, err := b.prefixesOf(ctx, cluster)
	if err != nil {
		return 0, err
	}
	var keys, last []string
	if err := b.ranges(ctx, prefixes, func(resp *clientv3.GetResponse) {
		for _, kv := range resp.Kvs {
			if key := string(kv.Key); strings.HasPrefix(key, b.prefix+logicalClustersRoot) {
				last = append(last, key)
			} else {
				keys = append(keys, key)
			}
		}
	}, clientv3.WithKeysOnly()); err != nil {
		return 0, err
	}
	for _, some := range [][]string{keys, last} {
		if err := b.delete(ctx, some); err != nil {
			return 0, apiError(ctx, fmt.Errorf("deleting what is left of cluster %s: %w", cluster, err), true)
		}
	}
	return int64(len(keys) + len(last)), nil
}

// delete deletes keys, several at a time and each in a revision of its own.
func (b *Backend) delete(ctx context.Context, keys []string) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(purgeWorkers)
	for _, k := range keys {
		group.Go(func() error {
			_, err := b.client.KV.Delete(groupCtx, k)
			return err
		})
	}
	return group.Wait()
}

// ranges reads all prefixes, many in one round trip.
func (b *Backend) ranges(ctx context.Context, prefixes []string, each func(*clientv3.GetResponse), opts ...clientv3.OpOption) error {
	for some := range slices.Chunk(prefixes, rangesPerTxn) {
		ops := make([]clientv3.Op, len(some))
		for i, prefix := range some {
			ops[i] = clientv3.OpGet(prefix, append([]clientv3.OpOption{clientv3.WithPrefix()}, opts...)...)
		}
		resp, err := b.client.KV.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return apiError(ctx, fmt.Errorf("reading the keys of a cluster: %w", err), false)
		}
		for _, r := range resp.Responses {
			each((*clientv3.GetResponse)(r.GetResponseRange()))
		}
	}
	return nil
}

// prefixesOf returns one prefix of etcd keys, with Config.Prefix, for each resource that may hold objects of the cluster:
// those with a store here, those that an earlier version of the server left, and every kind of custom resource.
func (b *Backend) prefixesOf(ctx context.Context, cluster logicalcluster.Name) ([]string, error) {
	if !validSegment(string(cluster)) {
		return nil, fmt.Errorf("invalid cluster %q", cluster)
	}
	if err := b.sweep(ctx); err != nil {
		return nil, apiError(ctx, err, false)
	}
	if err := b.catchUp(ctx); err != nil {
		return nil, apiError(ctx, err, false)
	}
	var bases []string
	b.lock.Lock()
	for root := range b.typed {
		bases = append(bases, root)
	}
	b.lock.Unlock()
	for _, s := range b.custom {
		bases = append(bases, s.bases()...)
	}
	slices.Sort(bases)
	for i, base := range bases {
		bases[i] = b.prefix + base + "/" + string(cluster) + "/"
	}
	return bases, nil
}

// sweep finds, once, the typed resources that are in etcd: it reads the first key, then the first one behind that
// resource, and so on, so that it costs a round trip for each resource and not for each object.
func (b *Backend) sweep(ctx context.Context) error {
	b.lock.Lock()
	swept := b.swept
	b.lock.Unlock()
	if swept {
		return nil
	}
	found := map[string]schema.GroupResource{}
	from, end := b.prefix+"/", clientv3.GetPrefixRangeEnd(b.prefix+"/")
	for {
		resp, err := b.client.KV.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		if err != nil {
			return fmt.Errorf("finding the resources in etcd: %w", err)
		}
		if len(resp.Kvs) == 0 {
			break
		}
		full := string(resp.Kvs[0].Key)
		from = full + "\x00"
		k, err := parseKey(strings.TrimPrefix(full, b.prefix))
		switch {
		case err != nil: // not ours
		case k.custom:
			from = clientv3.GetPrefixRangeEnd(b.prefix + customRoot + "/")
		default:
			found[typedRoot(k.resource)] = k.resource
			from = clientv3.GetPrefixRangeEnd(b.prefix + typedRoot(k.resource) + "/")
		}
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	for root, gr := range found {
		if _, ok := b.typed[root]; !ok {
			b.typed[root] = gr
		}
	}
	b.swept = true
	return nil
}
