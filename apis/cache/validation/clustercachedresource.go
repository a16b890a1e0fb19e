package validation

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	"github.com/annex-dev/annex/apis/rule"
)

// ValidateClusterCachedResource returns what is wrong with a new ClusterCachedResource.
func ValidateClusterCachedResource(r *cachev1alpha1.ClusterCachedResource) field.ErrorList {
	errs := rule.ObjectMeta(&r.ObjectMeta, rule.SubdomainName)
	spec := field.NewPath("spec")
	errs = append(errs, label(r.Spec.Resource, spec.Child("resource"))...)
	errs = append(errs, label(r.Spec.Version, spec.Child("version"))...)
	switch group := r.Spec.Group; {
	case group == "":
		errs = append(errs, field.Invalid(spec.Child("group"), group, "resources of the core group cannot be shared"))
	case group == "kcp.io", strings.HasSuffix(group, ".kcp.io"):
		errs = append(errs, field.Invalid(spec.Child("group"), group, "resources of the server's own groups cannot be shared"))
	default:
		errs = append(errs, rule.SubdomainRequired(group, spec.Child("group"))...)
	}
	errs = append(errs, rule.Selector(r.Spec.LabelSelector, spec.Child("labelSelector"))...)
	if identity := r.Spec.Identity; identity != nil {
		at := spec.Child("identity", "secretRef")
		if ref := identity.SecretRef; ref == nil {
			errs = append(errs, field.Required(at, ""))
		} else {
			errs = append(errs, rule.SubdomainRequired(ref.Namespace, at.Child("namespace"))...)
			errs = append(errs, rule.SubdomainRequired(ref.Name, at.Child("name"))...)
		}
	}
	return errs
}

// label checks the plural name of a resource, or a version.
func label(value string, path *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	for _, msg := range validation.IsDNS1035Label(value) {
		errs = append(errs, field.Invalid(path, value, msg))
	}
	return errs
}

// ValidateClusterCachedResourceUpdate returns what is wrong with the change of a ClusterCachedResource from old to r.
func ValidateClusterCachedResourceUpdate(r, old *cachev1alpha1.ClusterCachedResource) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&r.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, ValidateClusterCachedResource(r)...)
	return append(errs, rule.Immutable(r.Spec.GroupVersionResource, old.Spec.GroupVersionResource, field.NewPath("spec"),
		"group, version and resource must not be changed")...)
}

// ValidateClusterCachedResourceStatusUpdate returns what is wrong with the change of the status from old to r.
func ValidateClusterCachedResourceStatusUpdate(r, old *cachev1alpha1.ClusterCachedResource) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&r.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, rule.SetOnce(r.Status.IdentityHash, old.Status.IdentityHash, status.Child("identityHash"))...)
	errs = append(errs, rule.OneOf(r.Status.Phase, status.Child("phase"), cachev1alpha1.ClusterCachedResourcePhaseInitializing,
		cachev1alpha1.ClusterCachedResourcePhaseReady, cachev1alpha1.ClusterCachedResourcePhaseDeleting, cachev1alpha1.ClusterCachedResourcePhaseDeleted)...)
	return append(errs, rule.Conditions(r.Status.Conditions, status.Child("conditions"))...)
}
