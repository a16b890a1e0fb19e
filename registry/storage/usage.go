package storage

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/owners"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// Usage returns what a cluster stores in all etcds, as limits of workspaces count it: without Events and the LogicalCluster, and with what is rendered.
// It sees every write that was acknowledged before the call. It comes from the watch caches, which know the size of each object, so etcd is only
// asked how far they have to be. The size of an encrypted object is the one that it has without encryption.
func (b *Backend) Usage(ctx context.Context, cluster logicalcluster.Name) (sum limits.Amount, err error) {
	if cluster.Empty() {
		return sum, errors.New("counting what is stored: no cluster is named")
	}
	scope := HeadScope{Cluster: cluster}
	below, err := scope.below()
	if err != nil {
		return sum, err
	}
	for _, e := range b.etcds() {
		if _, err := e.current.Wait(ctx); err != nil {
			return sum, answer.Error(ctx, err, false)
		}
	}
	for _, p := range b.parts(scope) {
		if p.Resource == owners.Events || p.Resource == owners.LogicalClusters {
			continue
		}
		list, err := p.list(ctx, below)
		if err != nil {
			return sum, err
		}
		err = meta.EachListItem(list, func(obj runtime.Object) error {
			stored, ok := obj.(*raw.Object)
			if !ok {
				return fmt.Errorf("the watch cache of %s holds a %T", p.Resource, obj)
			}
			sum = sum.Plus(limits.Amount{Objects: 1, Bytes: int64(stored.Size())})
			return nil
		})
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}
