package index

import (
	"context"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// isLost reports whether the logical cluster of ws is gone, as its controller has found out.
func isLost(ws *tenancyv1alpha1.Workspace) bool {
	return ws.Spec.Cluster != "" && ws.Status.Phase == corev1alpha1.LogicalClusterPhaseUnavailable
}

// Lost returns the cluster and the name of the Workspace at path, for example of root:org:team, if its logical cluster is gone; false for any other.
// It looks only into memory, and usually not even there: hardly ever is one lost.
func (i *Index) Lost(ctx context.Context, path logicalcluster.Path) (parent logicalcluster.Name, name string, ok bool, err error) {
	above, name := path.Split()
	if i.lost.empty() || above.Empty() || path == logicalcluster.Wildcard {
		return "", "", false, nil
	}
	parent, found, err := i.Resolve(ctx, above)
	if err != nil || !found {
		return "", "", false, err
	}
	if _, lost := i.lost.get(child{parent: parent, name: name}); !lost {
		return "", "", false, nil
	}
	return parent, name, true, nil
}
