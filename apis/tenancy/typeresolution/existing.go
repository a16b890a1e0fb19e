package typeresolution

import (
	"slices"
	"strings"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// A change of a type may concern workspaces that exist. A workspace names its type by a path, which may lead to the workspace of somebody
// else by now, and a type may come to extend types of others. Neither may reach into existing workspaces: those follow types only in the
// clusters in which their types were when they were created.

// RecordedClusters returns what a new workspace records about the clusters that contain its types, for annotation
// internal.annex.dev/type-clusters; empty if all are in root, which never goes.
func RecordedClusters(aliases []*Type) string {
	var clusters []string
	for _, t := range aliases {
		if in := logicalcluster.From(t); in != logicalcluster.Root && !slices.Contains(clusters, in.String()) {
			clusters = append(clusters, in.String())
		}
	}
	slices.Sort(clusters)
	return strings.Join(clusters, ",")
}

// Followed returns the types among aliases, the types of the workspace of lc as they are now, that it follows when they change.
func Followed(lc *corev1alpha1.LogicalCluster, aliases []*Type) []*Type {
	recorded := strings.Split(lc.Annotations[corev1alpha1.TypeClustersAnnotationKey], ",")
	return slices.DeleteFunc(slices.Clone(aliases), func(t *Type) bool {
		in := logicalcluster.From(t)
		return in.Empty() || in != logicalcluster.Root && !slices.Contains(recorded, in.String())
	})
}
