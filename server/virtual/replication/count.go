package replication

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/cachekcp"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/server/serve"
)

// Heads returns the heads of what clusters store.
type Heads interface {
	Heads(ctx context.Context, scope storage.HeadScope) ([]head.Head, error)
}

// Count returns what counts the objects that a ClusterCachedResource shares.
func (e *Endpoint) Count(from Heads) cachekcp.Counter {
	return func(ctx context.Context, cluster logicalcluster.Name, gr schema.GroupResource, selector labels.Selector) (int, error) {
		served, err := serve.Lookup(ctx, e.Catalog, cluster, gr, nil)
		if err != nil {
			return 0, err
		}
		if served == nil || Shareable(served) != nil {
			return 0, nil
		}
		heads, err := from.Heads(ctx, storage.HeadScope{Cluster: cluster, Wanted: func(resource schema.GroupResource, bucket string) bool {
			return resource == gr && bucket == served.Bucket
		}})
		if err != nil {
			return 0, fmt.Errorf("counting objects of %s: %w", gr, err)
		}
		n := 0
		for _, h := range heads {
			if !h.Damaged && selector.Matches(labels.Set(h.Labels)) {
				n++
			}
		}
		return n, nil
	}
}
