package dynamic

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
)

// Catalog knows what clusters serve; registry/catalog.Catalog is one.
type Catalog interface {
	For(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error)
	Refresh(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error)
}

// Decider is the workspace whose webhooks and policies are asked about a request.
type Decider struct {
	// Cluster is that of the request, or that of the provider of a bound resource.
	Cluster logicalcluster.Name
	// Foreign says that it is that of a provider. What it says must not show a consumer where the provider's webhooks are.
	Foreign bool
	// Leaving says that the binding of the resource is being deleted.
	Leaving bool
}

// Decides returns whose webhooks and policies decide about a request in cluster: for a resource that the cluster has bound those of its provider,
// and no others. It is an error if nobody knows who that is.
func (w *Workspace) Decides(ctx context.Context, cluster logicalcluster.Name, a admission.Attributes) (Decider, error) {
	gr := a.GetResource().GroupResource()
	if kinds.All.IsEverywhere(gr) {
		return Decider{Cluster: cluster}, nil
	}
	for _, look := range []func(context.Context, logicalcluster.Name) (*catalog.Snapshot, error){w.Catalog.For, w.Catalog.Refresh} {
		snapshot, err := look(ctx, cluster)
		if err != nil {
			return Decider{}, fmt.Errorf("finding out whose webhooks and policies decide: %w", err)
		}
		served, ok := snapshot.Served(gr)
		switch {
		case !ok:
			continue // what serves the request may know more than the watch cache
		case served.Binding == "":
			return Decider{Cluster: cluster}, nil
		case served.Source.Export.Cluster.Empty():
			return Decider{}, fmt.Errorf("APIBinding %s of cluster %s does not say whose %s it binds", served.Binding, cluster, gr)
		}
		provider := served.Source.Export.Cluster
		return Decider{Cluster: provider, Foreign: provider != cluster, Leaving: served.Terminating}, nil
	}
	return Decider{Cluster: cluster}, nil
}
