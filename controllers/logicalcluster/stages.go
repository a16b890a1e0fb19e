package logicalcluster

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

// stage says in which order resources are deleted. The last stage looks at everything, so that nothing is swept away whose
// finalizers nobody asked. The LogicalCluster itself is deleted by that sweep.
func stage(gr schema.GroupResource) int {
	switch gr {
	case apiBindings:
		return 1
	case clusterRoles, clusterRoleBindings:
		return 2
	}
	return 0
}

// empty deletes content as far as it can be and returns what holds it up; nothing when the cluster is empty.
func (r *reconciler) empty(ctx context.Context, key client.Key) (client.Remaining, error) {
	return r.Content.DeleteAll(ctx, client.ContentScope{
		Cluster: key.Cluster,
		Wanted:  func(gr schema.GroupResource, _ string) bool { return gr != logicalClusters },
		Stage:   stage,
	})
}
