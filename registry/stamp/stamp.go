package stamp

import (
	"context"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Cluster makes obj say that it lives in the logical cluster of ctx. Without a single cluster in ctx it removes what obj
// says; storage refuses such a write. The annotations of obj are replaced, not written into, as they may be shared.
func Cluster(ctx context.Context, obj metav1.Object) {
	cluster, _ := logicalcluster.FromContext(ctx)
	said, ok := obj.GetAnnotations()[logicalcluster.AnnotationKey]
	if said == string(cluster) && ok == !cluster.Empty() {
		return
	}
	annotations := maps.Clone(obj.GetAnnotations())
	if cluster.Empty() {
		delete(annotations, logicalcluster.AnnotationKey)
	} else {
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[logicalcluster.AnnotationKey] = string(cluster)
	}
	obj.SetAnnotations(annotations)
}

// Path is the path of the annotation. Strategies name it among their reset fields, so that no manager comes to own it.
func Path() fieldpath.Path {
	return fieldpath.MakePathOrDie("metadata", "annotations", logicalcluster.AnnotationKey)
}
