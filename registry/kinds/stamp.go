package kinds

import (
	"bytes"
	"context"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Stamp makes the annotation kcp.io/cluster of obj name the logical cluster of ctx. Without a single cluster in ctx it removes the
// annotation; storage refuses such a write. The annotations of obj are replaced, not written into, as they may be shared.
//
// The workspace storage forces the annotation on everything that is stored. A dry run never gets that far, and neither do the
// objects that admission sees; so strategies stamp too, and no client ever sees or sets another value.
//
// Nobody manages the annotation: what managed fields say of it is removed.
func Stamp(ctx context.Context, obj metav1.Object) {
	disown(obj)
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

// beforeApply is the manager to which a stock field manager gives, at the first apply, all that an object without managed fields has.
const beforeApply = "before-first-apply"

var (
	annotationsPath = fieldpath.MakePathOrDie("metadata", "annotations")
	stampedPath     = fieldpath.MakePathOrDie("metadata", "annotations", logicalcluster.AnnotationKey)
)

// disown removes the annotation from what was there before the first apply, with the map of annotations if it holds no other. The fields that
// [ResetFields] returns do not suffice: they leave the empty map, and custom resources have none.
func disown(obj metav1.Object) {
	managers := obj.GetManagedFields()
	i := slices.IndexFunc(managers, func(entry metav1.ManagedFieldsEntry) bool { return entry.Manager == beforeApply })
	if i < 0 || managers[i].FieldsV1 == nil || !bytes.Contains(managers[i].FieldsV1.GetRawBytes(), []byte(`"f:annotations"`)) {
		return
	}
	var owned fieldpath.Set
	if err := owned.FromJSON(managers[i].FieldsV1.GetRawReader()); err != nil {
		return // validation refuses it
	}
	rest := owned.Difference(fieldpath.NewSet(stampedPath))
	if others := rest.WithPrefix(annotationsPath[0]).WithPrefix(annotationsPath[1]); others.Empty() {
		rest = rest.Difference(fieldpath.NewSet(annotationsPath))
	}
	if rest.Equals(&owned) {
		return
	}
	managers = slices.Clone(managers)
	if rest.Empty() {
		obj.SetManagedFields(slices.Delete(managers, i, i+1))
		return
	}
	data, err := rest.ToJSON()
	if err != nil {
		return
	}
	managers[i].FieldsV1 = metav1.NewFieldsV1(string(data))
	obj.SetManagedFields(managers)
}

// ResetFields returns the paths in every one of versions, each version as managed fields name it, such as v1 or
// tenancy.kcp.io/v1alpha1. The stamped annotation is added, so that no manager comes to own it.
func ResetFields(versions []fieldpath.APIVersion, paths ...[]any) map[fieldpath.APIVersion]*fieldpath.Set {
	set := fieldpath.NewSet(stampedPath)
	for _, path := range paths {
		set.Insert(fieldpath.MakePathOrDie(path...))
	}
	all := make(map[fieldpath.APIVersion]*fieldpath.Set, len(versions))
	for _, version := range versions {
		all[version] = set
	}
	return all
}
