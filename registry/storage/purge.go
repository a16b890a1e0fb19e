package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

const (
	// purgeWorkers is how many keys are deleted at once: each in a revision of its own.
	purgeWorkers = 8
	// logicalClustersRoot is where LogicalClusters are stored: the object whose existence says that a cluster exists.
	logicalClustersRoot = "/core.kcp.io/logicalclusters/"
)

// Purge deletes every key of the cluster, whatever finalizers its objects have, and returns how many there were. It is
// for a cluster whose content was deleted before, so that normally only its LogicalCluster is left. That is deleted last: while
// it exists, the deletion is resumed after a crash. The watch caches say what there is; etcd is read only for resources
// without one, which an earlier version of the server left.
func (b *Backend) Purge(ctx context.Context, cluster logicalcluster.Name) (int64, error) {
	if cluster.Empty() {
		return 0, errors.New("only a cluster can be purged")
	}
	heads, err := b.Heads(ctx, HeadScope{Cluster: cluster})
	if err != nil {
		return 0, err
	}
	keys, err := b.leftKeys(ctx, cluster)
	if err != nil {
		return 0, answer.Error(ctx, err, false)
	}
	for _, h := range heads {
		keys = append(keys, b.prefix+keyOf(h).String())
	}
	made, err := b.rendered.Keys(ctx, cluster)
	if err != nil {
		return 0, answer.Error(ctx, err, false)
	}
	var last []clientv3.Op
	keys = slices.DeleteFunc(keys, func(key string) bool {
		is := strings.HasPrefix(key, b.prefix+logicalClustersRoot)
		if is {
			last = append(last, clientv3.OpDelete(key))
		}
		return is || slices.Contains(made, key)
	})
	count := int64(len(keys) + len(last))
	for _, key := range made {
		last = append(last, clientv3.OpDelete(key))
	}
	err = b.delete(ctx, append(keys, b.prefix+owners.MeterKey(cluster).String()))
	if err == nil && len(last) > 0 {
		_, err = b.client.KV.Txn(ctx).Then(last...).Commit()
	}
	if err != nil {
		return 0, answer.Error(ctx, fmt.Errorf("deleting what is left of cluster %s: %w", cluster, err), true)
	}
	return count, nil
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

// leftKeys returns the keys of a cluster in typed resources that have no watch cache here.
func (b *Backend) leftKeys(ctx context.Context, cluster logicalcluster.Name) ([]string, error) {
	if err := b.sweep(ctx); err != nil {
		return nil, err
	}
	b.lock.Lock()
	roots := maps.Clone(b.left)
	b.lock.Unlock()
	for _, c := range b.caches.All() {
		delete(roots, c.Root)
	}
	delete(roots, layout.TypedRoot(owners.MeterKey(cluster).Resource)) // no objects
	var keys []string
	for root := range roots {
		resp, err := b.client.KV.Get(ctx, b.prefix+root+"/"+string(cluster)+"/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			return nil, fmt.Errorf("reading the keys of a cluster: %w", err)
		}
		for _, kv := range resp.Kvs {
			keys = append(keys, string(kv.Key))
		}
	}
	return keys, nil
}

// sweep finds, once, the typed resources that are in etcd: it reads the first key, then the first one behind that
// resource, and so on, so that it costs a round trip for each resource and not for each object.
func (b *Backend) sweep(ctx context.Context) error {
	// Although it asks for one key, etcd counts all that are behind it: one sweep must do for all who come meanwhile.
	b.sweeping.Lock()
	defer b.sweeping.Unlock()
	b.lock.Lock()
	swept := b.left != nil
	b.lock.Unlock()
	if swept {
		return nil
	}
	found := map[string]bool{}
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
		k, err := layout.Parse(strings.TrimPrefix(full, b.prefix))
		switch {
		case err != nil: // not ours
		case k.Custom:
			from = clientv3.GetPrefixRangeEnd(b.prefix + layout.CustomRoot + "/")
		default:
			found[layout.TypedRoot(k.Resource)] = true
			from = clientv3.GetPrefixRangeEnd(b.prefix + layout.TypedRoot(k.Resource) + "/")
		}
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	b.left = found
	return nil
}
