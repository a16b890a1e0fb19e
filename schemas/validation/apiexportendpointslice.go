package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/rule"
)

// ValidateAPIExportEndpointSlice returns what is wrong with a new APIExportEndpointSlice.
func ValidateAPIExportEndpointSlice(slice *apisv1alpha1.APIExportEndpointSlice) field.ErrorList {
	errs := rule.ObjectMeta(&slice.ObjectMeta, rule.SubdomainName)
	spec := field.NewPath("spec")
	errs = append(errs, rule.WorkspacePath(slice.Spec.APIExport.Path, spec.Child("export", "path"))...)
	errs = append(errs, rule.SubdomainRequired(slice.Spec.APIExport.Name, spec.Child("export", "name"))...)
	if slice.Spec.Partition != "" {
		errs = append(errs, rule.SubdomainRequired(slice.Spec.Partition, spec.Child("partition"))...)
	}
	return errs
}

// ValidateAPIExportEndpointSliceUpdate returns what is wrong with the change of an APIExportEndpointSlice from old to slice.
func ValidateAPIExportEndpointSliceUpdate(slice, old *apisv1alpha1.APIExportEndpointSlice) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&slice.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, ValidateAPIExportEndpointSlice(slice)...)
	return append(errs, rule.Immutable(slice.Spec.APIExport, old.Spec.APIExport, field.NewPath("spec", "export"),
		"APIExport reference must not be changed")...)
}

// ValidateAPIExportEndpointSliceStatusUpdate returns what is wrong with the change of the status from old to slice.
func ValidateAPIExportEndpointSliceStatusUpdate(slice, old *apisv1alpha1.APIExportEndpointSlice) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&slice.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, rule.Conditions(slice.Status.Conditions, status.Child("conditions"))...)
	seen := map[string]bool{}
	for i, e := range slice.Status.APIExportEndpoints {
		at := status.Child("endpoints").Index(i)
		errs = append(errs, rule.Required(e.URL, at.Child("url"))...)
		errs = append(errs, rule.URL(e.URL, at.Child("url"))...)
		if seen[e.URL] {
			errs = append(errs, field.Duplicate(at.Child("url"), e.URL))
		}
		seen[e.URL] = true
		if s := e.Shards; s != nil {
			if s.MatchAll == (s.Selector != nil) {
				errs = append(errs, field.Invalid(at.Child("shards"), s, "must have exactly one of matchAll: true and selector"))
			}
			errs = append(errs, rule.Selector(s.Selector, at.Child("shards", "selector"))...)
		}
	}
	return errs
}
