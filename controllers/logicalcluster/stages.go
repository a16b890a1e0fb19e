package logicalcluster

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

// stage says in which order resources are deleted. The last stage checks everything again, so that the sweep removes no object
// whose finalizers were not respected. The sweep deletes the LogicalCluster itself.
func stage(gr schema.GroupResource) int {
	switch gr {
	case apiBindings:
		return 1
	case clusterRoles, clusterRoleBindings:
		return 2
	}
	return 0
}

// empty continues to delete content and returns what blocks it; nothing if the cluster is empty.
func (r *reconciler) empty(ctx context.Context, key client.Key) (client.Remaining, error) {
	return r.Content.DeleteAll(ctx, client.ContentScope{
		Cluster: key.Cluster,
		Wanted:  func(gr schema.GroupResource, _ string) bool { return gr != logicalClusters },
		Stage:   stage,
	})
}
