package storage

import (
	"context"
	"slices"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// OpsPerTxn is how many operations a transaction has at most. It stays below etcd's default limit of 128.
const OpsPerTxn = 100

// CustomCaches returns the names under which the watch caches of custom resources are measured.
func CustomCaches() []schema.GroupResource {
	all := make([]schema.GroupResource, layout.Shards)
	for number := range all {
		all[number] = customCache(number)
	}
	return all
}

func customCache(number int) schema.GroupResource {
	return schema.GroupResource{Group: "annex", Resource: "customresources-" + strconv.Itoa(number)}
}

// newShard starts one of the watch caches of custom resources.
func (b *Backend) newShard(number int) (*raw.Cache, error) {
	root := layout.ShardRoot(number)
	e := b.at(root)
	return b.shared.NewCustom(e.caches, customCache(number), root, func(ctx context.Context, bases []string) ([]bool, error) {
		return e.live(ctx, b.prefix, bases)
	})
}

// live returns which of the bases have keys in etcd.
func (e *etcd) live(ctx context.Context, prefix string, bases []string) ([]bool, error) {
	live := make([]bool, 0, len(bases))
	for some := range slices.Chunk(bases, OpsPerTxn) {
		ops := make([]clientv3.Op, len(some))
		for i, base := range some {
			ops[i] = clientv3.OpGet(prefix+base+"/", clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		}
		resp, err := e.client.KV.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return nil, err
		}
		for _, r := range resp.Responses {
			live = append(live, len(r.GetResponseRange().Kvs) > 0)
		}
	}
	return live, nil
}
