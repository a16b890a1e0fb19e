package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	"github.com/annex-dev/annex/apis/rule"
)

// ValidateClusterCachedResourceEndpointSlice returns what is wrong with a new ClusterCachedResourceEndpointSlice.
func ValidateClusterCachedResourceEndpointSlice(slice *cachev1alpha1.ClusterCachedResourceEndpointSlice) field.ErrorList {
	errs := rule.ObjectMeta(&slice.ObjectMeta, rule.SubdomainName)
	spec := field.NewPath("spec")
	cached, export := spec.Child("clusterCachedResource"), spec.Child("export")
	errs = append(errs, rule.WorkspacePath(slice.Spec.ClusterCachedResource.Path, cached.Child("path"))...)
	errs = append(errs, rule.SubdomainRequired(slice.Spec.ClusterCachedResource.Name, cached.Child("name"))...)
	errs = append(errs, rule.WorkspacePath(slice.Spec.APIExport.Path, export.Child("path"))...)
	errs = append(errs, rule.SubdomainRequired(slice.Spec.APIExport.Name, export.Child("name"))...)
	if slice.Spec.Partition != "" {
		errs = append(errs, rule.SubdomainRequired(slice.Spec.Partition, spec.Child("partition"))...)
	}
	return errs
}

// ValidateClusterCachedResourceEndpointSliceUpdate returns what is wrong with the change of a slice from old to slice.
func ValidateClusterCachedResourceEndpointSliceUpdate(slice, old *cachev1alpha1.ClusterCachedResourceEndpointSlice) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&slice.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, ValidateClusterCachedResourceEndpointSlice(slice)...)
	spec := field.NewPath("spec")
	errs = append(errs, rule.Immutable(slice.Spec.ClusterCachedResource, old.Spec.ClusterCachedResource, spec.Child("clusterCachedResource"),
		"ClusterCachedResource reference must not be changed")...)
	return append(errs, rule.Immutable(slice.Spec.APIExport, old.Spec.APIExport, spec.Child("export"), "APIExport reference must not be changed")...)
}

// ValidateClusterCachedResourceEndpointSliceStatusUpdate returns what is wrong with the change of the status from old to slice.
func ValidateClusterCachedResourceEndpointSliceStatusUpdate(slice, old *cachev1alpha1.ClusterCachedResourceEndpointSlice) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&slice.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, rule.Conditions(slice.Status.Conditions, status.Child("conditions"))...)
	seen := map[string]bool{}
	for i, e := range slice.Status.Endpoints {
		at := status.Child("endpoints").Index(i).Child("url")
		errs = append(errs, rule.Required(e.URL, at)...)
		errs = append(errs, rule.URL(e.URL, at)...)
		if seen[e.URL] {
			errs = append(errs, field.Duplicate(at, e.URL))
		}
		seen[e.URL] = true
	}
	return errs
}
