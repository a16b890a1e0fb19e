package inheritance

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// AnnotationKey is the annotation that says what is inherited. Its values are "true" and "false".
const AnnotationKey = "rbac.annex.dev/inherit"

// Verb is the verb that lets users write what is inherited, on the ClusterRole or ClusterRoleBinding, and lets them accept what comes from above
// again, on the LogicalCluster.
const Verb = "inherit"

// Gives reports whether a ClusterRoleBinding counts in the workspaces below, or whether a ClusterRole may be behind such a binding.
func Gives(obj metav1.Object) bool { return obj.GetAnnotations()[AnnotationKey] == "true" }

// Refuses reports whether a workspace with this LogicalCluster, or a new one of this WorkspaceType, takes nothing from above.
func Refuses(obj metav1.Object) bool { return obj.GetAnnotations()[AnnotationKey] == "false" }

// RefusedBy reports whether one of the WorkspaceTypes of a new workspace refuses what comes from above.
func RefusedBy[T metav1.Object](types []T) bool {
	return slices.ContainsFunc(types, func(t T) bool { return Refuses(t) })
}

// Validate returns what is wrong with the annotation. Where it means nothing, it is wrong to have it.
func Validate(annotations map[string]string, meaningful bool) field.ErrorList {
	value, set := annotations[AnnotationKey]
	at := field.NewPath("metadata", "annotations").Key(AnnotationKey)
	switch {
	case !set:
		return nil
	case !meaningful:
		return field.ErrorList{field.Forbidden(at, "only ClusterRoles and ClusterRoleBindings are inherited")}
	case value != "true" && value != "false":
		return field.ErrorList{field.NotSupported(at, value, []string{"true", "false"})}
	}
	return nil
}
