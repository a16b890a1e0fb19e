package storage

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/owners"
)

// countPage is how many objects are read at a time to count them.
const countPage = 500

// stored counts what a cluster stores in one etcd, as owners.Config.Stored must: the watch caches say which resources there are, and etcd what they
// take. An object that is written meanwhile may be counted or not.
func (b *Backend) stored(ctx context.Context, e *etcd, cluster logicalcluster.Name) (sum limits.Amount, err error) {
	if _, err := e.current.Wait(ctx); err != nil {
		return sum, answer.Error(ctx, err, false)
	}
	scope := HeadScope{Cluster: cluster}
	below, err := scope.below()
	if err != nil {
		return sum, err
	}
	// What is rendered counts as if it were stored.
	for _, p := range b.parts(scope) {
		if p.etcd != e || p.Resource == owners.Events || p.Resource == owners.LogicalClusters {
			continue
		}
		from := b.prefix + p.Base + below
		end := clientv3.GetPrefixRangeEnd(from)
		for more := true; more; {
			resp, err := e.kv.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(countPage))
			if err != nil {
				return sum, answer.Error(ctx, fmt.Errorf("counting what is stored of %s: %w", p.Resource, err), false)
			}
			for _, kv := range resp.Kvs {
				sum = sum.Plus(limits.Amount{Objects: 1, Bytes: int64(len(b.encryption.Unmarked(kv.Value)))})
				from = string(kv.Key) + "\x00"
			}
			more = resp.More
		}
	}
	return sum, nil
}
