package apiexport

import (
	"context"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/virtual"
)

// shown returns what a provider sees of a cluster in which it sees an object: the path if the cluster binds the export, because then the
// provider may read the APIBinding, which has the path too. Otherwise it is the name: the object may belong to another export
// with the same identity, whose consumers have told this provider nothing.
func (e *Endpoint) shown(ctx context.Context, endpoint virtual.Endpoint, cluster logicalcluster.Name) string {
	all, err := client.List[apisv1alpha2.APIBinding](ctx, e.Cached, bindings, client.Scope{Cluster: cluster})
	if err != nil {
		return cluster.String()
	}
	for _, binding := range all {
		if !isTo(binding, endpoint) {
			continue
		}
		if path, known := e.PathOf(cluster); known && !path.Empty() {
			return path.String()
		}
	}
	return cluster.String()
}
