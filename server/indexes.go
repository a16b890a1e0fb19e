package server

import (
	"context"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/census"
	"github.com/annex-dev/annex/registry/index"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/maximal"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual/apiexport"
)

// indexes is the second layer: what is kept in memory of the stores, and follows them.
type indexes struct {
	// watches are the open watches, which the layers above end when something changes.
	watches *serve.Watches
	// index finds clusters by path, evaluator decides by their RBAC.
	index     *index.Index
	evaluator *policy.Evaluator
	// catalog knows what each cluster serves, and maximal which of the exports behind it have a maximal permission policy.
	catalog *catalog.Catalog
	maximal *maximal.Policies
	// census counts objects for /metrics.
	census *census.Census
	// forget drops what the layers above keep for a cluster that is gone. They add to it before anything runs.
	forget []func(cluster logicalcluster.Name)
}

func newIndexes(c Config, s *stores) *indexes {
	watches := serve.NewWatches()
	switched := func(ctx context.Context, cluster logicalcluster.Name) {
		recheckSwitched(ctx, watches, s.reader, cluster)
	}
	i := &indexes{
		watches:   watches,
		evaluator: policy.NewBounded(s.reader, s.gate(policy.Followed()...), c.Memory.Policies),
		catalog:   newCatalog(c, s, watches),
		maximal:   maximal.New(s.reader, s.gate(maximal.Followed()...)),
		census:    census.New(s.reader, clock.RealClock{}, c.ShardName),
	}
	i.forget = []func(logicalcluster.Name){c.Backend.Forget, i.catalog.Forget}
	i.index = index.New(index.Config{
		Paths: s.paths, Cached: s.reader, Fresh: s.gate(index.Followed()...), Switched: switched, Changed: watches.Recheck,
		Gone: func(cluster logicalcluster.Name) {
			for _, forget := range i.forget {
				forget(cluster)
			}
		},
	})
	return i
}

func newCatalog(c Config, s *stores, watches *serve.Watches) *catalog.Catalog {
	return catalog.New(catalog.Config{
		Reader: s.reader, Fresh: s.gate(catalog.Followed()...), IsBound: kinds.All.IsBound, Builtin: kinds.All.IsEverywhere, Changed: watches.Recheck,
		Heads: func(ctx context.Context, cluster logicalcluster.Name) ([]head.Head, error) {
			return s.backend.Cached(ctx, apiextensions.Resource("customresourcedefinitions"), cluster)
		},
		AllHeads: func(ctx context.Context) ([]head.Head, error) {
			return s.backend.CachedEverywhere(ctx, apiextensions.Resource("customresourcedefinitions"))
		},
		Capacity: c.Memory.Snapshots, HashCapacity: c.Memory.Hashes,
	})
}

// recheckSwitched looks again at the watches on a cluster that is switched off or on, and at those that cover it: those of its providers, and those on
// all clusters.
func recheckSwitched(ctx context.Context, watches *serve.Watches, from client.Reader, cluster logicalcluster.Name) {
	watches.Recheck(cluster)
	if cluster.Empty() {
		return // these were all
	}
	watches.Recheck(serve.AllClusters)
	providers, err := apiexport.Providers(ctx, from, cluster)
	if err != nil {
		watches.Recheck("")
		return
	}
	for _, provider := range providers {
		watches.Recheck(provider)
	}
}
