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
	made, err := b.rendered.Keys(ctx, cluster)
	if err != nil {
		return 0, answer.Error(ctx, err, false)
	}
	for _, h := range heads {
		k := keyOf(h)
		key := b.prefix + k.String()
		keys = append(keys, storedKey{b.of(k), key})
		if h.Rendered && !slices.Contains(made, key) {
			made = append(made, key) // it may be stored until the LogicalCluster goes
		}
	}
	var last []clientv3.Op
	keys = slices.DeleteFunc(keys, func(k storedKey) bool {
		is := strings.HasPrefix(k.key, b.prefix+logicalClustersRoot)
		if is {
			last = append(last, clientv3.OpDelete(k.key))
		}
		return is || k.etcd == b.main && slices.Contains(made, k.key)
	})
	count := int64(len(keys) + len(last))
	for _, key := range append(made, b.prefix+owners.MeterKey(cluster).String()) {
		last = append(last, clientv3.OpDelete(key))
	}
	for _, root := range []string{owners.QuotasOf(cluster), owners.RetiredOf(cluster)} {
		last = append(last, clientv3.OpDelete(b.prefix+root, clientv3.WithPrefix()))
	}
	err = b.delete(ctx, keys)
	for _, e := range b.others {
		if err == nil && e.owners != nil {
			err = e.owners.Leave(ctx, cluster)
		}
	}
	if err == nil {
		_, err = b.main.client.KV.Txn(ctx).Then(last...).Commit()
	}
	if err != nil {
		return 0, answer.Error(ctx, fmt.Errorf("deleting what is left of cluster %s: %w", cluster, err), true)
	}
	return count, nil
}

// storedKey is a key in an etcd.
type storedKey struct {
	etcd *etcd
	key  string
}

// delete deletes keys, several at a time and each in a revision of its own.
func (b *Backend) delete(ctx context.Context, keys []storedKey) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(purgeWorkers)
	for _, k := range keys {
		group.Go(func() error {
			_, err := k.etcd.client.KV.Delete(groupCtx, k.key)
			return err
		})
	}
	return group.Wait()
}

// left is what was in etcd when Purge first looked: a root of a typed resource.
type left struct {
	etcd *etcd
	root string
}

// leftKeys returns the keys of a cluster in typed resources that have no watch cache here.
func (b *Backend) leftKeys(ctx context.Context, cluster logicalcluster.Name) ([]storedKey, error) {
	if err := b.sweep(ctx); err != nil {
		return nil, err
	}
	b.lock.Lock()
	roots := maps.Clone(b.left)
	b.lock.Unlock()
	for _, e := range b.etcds() {
		for _, c := range e.caches.All() {
			delete(roots, left{e, c.Root})
		}
		for _, k := range []layout.Key{owners.MeterKey(cluster), {Resource: owners.Gates}, {Resource: owners.Quotas}, {Resource: owners.Retired}} { // no objects
			delete(roots, left{e, layout.TypedRoot(k.Resource)})
		}
	}
	var keys []storedKey
	for l := range roots {
		resp, err := l.etcd.client.KV.Get(ctx, b.prefix+l.root+"/"+string(cluster)+"/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			return nil, fmt.Errorf("reading the keys of a cluster: %w", err)
		}
		for _, kv := range resp.Kvs {
			keys = append(keys, storedKey{l.etcd, string(kv.Key)})
		}
	}
	return keys, nil
}

// sweep finds, once, the typed resources that are in etcd.
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
	found := map[left]bool{}
	for _, e := range b.etcds() {
		if err := e.sweep(ctx, b.prefix, func(root string) { found[left{e, root}] = true }); err != nil {
			return fmt.Errorf("finding the resources in etcd: %w", err)
		}
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	b.left = found
	return nil
}

// sweep calls each with every root of a typed resource. It reads the first key, then the first one behind that resource, and so on, so
// that it costs a round trip for each resource and not for each object.
func (e *etcd) sweep(ctx context.Context, prefix string, each func(root string)) error {
	from, end := prefix+"/", clientv3.GetPrefixRangeEnd(prefix+"/")
	for {
		resp, err := e.client.KV.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		if err != nil || len(resp.Kvs) == 0 {
			return err
		}
		full := string(resp.Kvs[0].Key)
		from = full + "\x00"
		k, err := layout.Parse(strings.TrimPrefix(full, prefix))
		switch {
		case err != nil: // not ours
		case k.Custom:
			from = clientv3.GetPrefixRangeEnd(prefix + layout.CustomRoot + "/")
		default:
			each(layout.TypedRoot(k.Resource))
			from = clientv3.GetPrefixRangeEnd(prefix + layout.TypedRoot(k.Resource) + "/")
		}
	}
}
