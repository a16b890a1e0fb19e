package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/rule"
)

// ValidateAPIBinding returns what is wrong with a new APIBinding.
func ValidateAPIBinding(binding *apisv1alpha2.APIBinding) field.ErrorList {
	errs := rule.ObjectMeta(&binding.ObjectMeta, rule.SubdomainName)
	spec := field.NewPath("spec")
	at := spec.Child("reference", "export")
	if export := binding.Spec.Reference.Export; export == nil {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, rule.WorkspacePath(export.Path, at.Child("path"))...)
		errs = append(errs, rule.SubdomainRequired(export.Name, at.Child("name"))...)
	}
	return append(errs, validateAnswers(binding, spec.Child("permissionClaims"))...)
}

// ValidateAPIBindingUpdate returns what is wrong with the change of an APIBinding from old to binding.
func ValidateAPIBindingUpdate(binding, old *apisv1alpha2.APIBinding) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&binding.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, ValidateAPIBinding(binding)...)
	errs = append(errs, validateAnswersUpdate(binding, old, field.NewPath("spec", "permissionClaims"))...)
	return append(errs, rule.Immutable(binding.Spec.Reference, old.Spec.Reference, field.NewPath("spec", "reference"),
		"APIExport reference must not be changed")...)
}

// ValidateAPIBindingStatusUpdate returns what is wrong with the change of the status of an APIBinding from old to binding.
func ValidateAPIBindingStatusUpdate(binding, old *apisv1alpha2.APIBinding) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&binding.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, rule.ClusterName(binding.Status.APIExportClusterName, status.Child("apiExportClusterName"))...)
	errs = append(errs, rule.OneOf(binding.Status.Phase, status.Child("phase"), apisv1alpha2.APIBindingPhaseBinding, apisv1alpha2.APIBindingPhaseBound)...)
	if old.Status.Phase != "" && binding.Status.Phase == "" {
		errs = append(errs, field.Invalid(status.Child("phase"), "", "cannot be removed once it is set"))
	}
	errs = append(errs, rule.Conditions(binding.Status.Conditions, status.Child("conditions"))...)

	type key struct{ group, resource string }
	seen := map[key]bool{}
	for i, r := range binding.Status.BoundResources {
		at := status.Child("boundResources").Index(i)
		errs = append(errs, rule.Required(r.Resource, at.Child("resource"))...)
		errs = append(errs, rule.Required(r.Schema.Name, at.Child("schema", "name"))...)
		errs = append(errs, rule.Required(r.Schema.UID, at.Child("schema", "UID"))...)
		errs = append(errs, rule.Required(r.Schema.IdentityHash, at.Child("schema", "identityHash"))...)
		if k := (key{r.Group, r.Resource}); seen[k] {
			errs = append(errs, field.Duplicate(at, r.Resource+"."+r.Group))
		} else {
			seen[k] = true
		}
	}
	return errs
}
