package kinds

import (
	"context"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Stamp makes the annotation kcp.io/cluster of obj name the logical cluster of ctx. Without a single cluster in ctx it removes the
// annotation; storage refuses such a write. The annotations of obj are replaced, not written into, as they may be shared.
//
// The workspace storage forces the annotation on everything that is stored. A dry run never gets that far, and neither do the
// objects that admission sees; so strategies stamp too, and no client ever sees or sets another value.
func Stamp(ctx context.Context, obj metav1.Object) {
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

// ResetFields returns the paths in every one of versions, each version as managed fields name it, such as v1 or
// tenancy.kcp.io/v1alpha1. The stamped annotation is added, so that no manager comes to own it.
func ResetFields(versions []fieldpath.APIVersion, paths ...[]any) map[fieldpath.APIVersion]*fieldpath.Set {
	set := fieldpath.NewSet(fieldpath.MakePathOrDie("metadata", "annotations", logicalcluster.AnnotationKey))
	for _, path := range paths {
		set.Insert(fieldpath.MakePathOrDie(path...))
	}
	all := make(map[fieldpath.APIVersion]*fieldpath.Set, len(versions))
	for _, version := range versions {
		all[version] = set
	}
	return all
}
