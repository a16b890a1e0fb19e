package validation

import (
	"slices"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/apis/core/limits"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/apis/rbac/rules"
	"github.com/annex-dev/annex/apis/rule"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// ValidateWorkspaceType returns what is wrong with a new WorkspaceType. Admission checks that root
// exists only in the root workspace, because the object alone does not tell where it is.
func ValidateWorkspaceType(wt *tenancyv1alpha1.WorkspaceType) field.ErrorList {
	errs := append(rule.ObjectMeta(&wt.ObjectMeta, typeName), limits.Validate(wt.Annotations)...)
	errs = append(errs, inheritance.Validate(wt.Annotations, true)...)
	if name := tenancyv1alpha1.WorkspaceTypeName(wt.Name); name == tenancyv1alpha1.AnyWorkspaceTypeName || name == tenancyv1alpha1.SystemWorkspaceTypeName {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), wt.Name, "is reserved"))
	}
	spec := field.NewPath("spec")
	for i, ref := range wt.Spec.Extend.With {
		errs = append(errs, validateTypeReference(ref, spec.Child("extend", "with").Index(i))...)
	}
	errs = append(errs, metav1validation.ValidateLabels(wt.Spec.AdditionalWorkspaceLabels, spec.Child("additionalWorkspaceLabels"))...)
	if ref := wt.Spec.DefaultChildWorkspaceType; ref != nil {
		errs = append(errs, validateQualifiedTypeReference(*ref, spec.Child("defaultChildWorkspaceType"))...)
	}
	errs = append(errs, validateTypeSelector(wt.Spec.LimitAllowedChildren, spec.Child("limitAllowedChildren"))...)
	errs = append(errs, validateTypeSelector(wt.Spec.LimitAllowedParents, spec.Child("limitAllowedParents"))...)
	for i, ref := range wt.Spec.DefaultAPIBindings {
		at := spec.Child("defaultAPIBindings").Index(i)
		errs = append(errs, rule.WorkspacePath(ref.Path, at.Child("path"))...)
		errs = append(errs, rule.SubdomainRequired(ref.Export, at.Child("export"))...)
	}
	errs = append(errs, rules.Validate(wt.Spec.InitializerPermissions, false, spec.Child("initializerPermissions"))...)
	errs = append(errs, rules.Validate(wt.Spec.TerminatorPermissions, false, spec.Child("terminatorPermissions"))...)
	modes := []tenancyv1alpha1.APIBindingLifecycleMode{tenancyv1alpha1.APIBindingLifecycleModeInitializeOnly, tenancyv1alpha1.APIBindingLifecycleModeMaintain}
	if mode := wt.Spec.DefaultAPIBindingLifecycle; mode != nil && !slices.Contains(modes, *mode) {
		errs = append(errs, field.NotSupported(spec.Child("defaultAPIBindingLifecycle"), *mode, modes))
	}
	named := map[string]bool{}
	for i, ref := range wt.Spec.AuthenticationConfigurations {
		at := spec.Child("authenticationConfigurations").Index(i).Child("name")
		errs = append(errs, rule.SubdomainRequired(ref.Name, at)...)
		if named[ref.Name] {
			errs = append(errs, field.Duplicate(at, ref.Name))
		}
		named[ref.Name] = true
	}
	return errs
}

// ValidateWorkspaceTypeUpdate returns what is wrong with the change of a WorkspaceType from old to wt.
func ValidateWorkspaceTypeUpdate(wt, old *tenancyv1alpha1.WorkspaceType) field.ErrorList {
	return append(rule.ObjectMetaUpdate(&wt.ObjectMeta, &old.ObjectMeta), ValidateWorkspaceType(wt)...)
}

// ValidateWorkspaceTypeStatusUpdate returns what is wrong with the change of the status of a WorkspaceType from old to wt.
func ValidateWorkspaceTypeStatusUpdate(wt, old *tenancyv1alpha1.WorkspaceType) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&wt.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, rule.Conditions(wt.Status.Conditions, status.Child("conditions"))...)
	for i, vw := range wt.Status.VirtualWorkspaces {
		at := status.Child("virtualWorkspaces").Index(i)
		errs = append(errs, rule.Required(vw.URL, at.Child("url"))...)
		errs = append(errs, rule.URL(vw.URL, at.Child("url"))...)
		errs = append(errs, rule.OneOf(vw.Type, at.Child("type"), tenancyv1alpha1.VirtualWorkspaceTypeInitializing, tenancyv1alpha1.VirtualWorkspaceTypeTerminating)...)
	}
	return errs
}

// validateQualifiedTypeReference checks a reference that needs a path, because it is resolved from many workspaces.
func validateQualifiedTypeReference(ref tenancyv1alpha1.WorkspaceTypeReference, path *field.Path) field.ErrorList {
	return append(validateTypeReference(ref, path), rule.Required(ref.Path, path.Child("path"))...)
}

func validateTypeSelector(selector *tenancyv1alpha1.WorkspaceTypeSelector, path *field.Path) field.ErrorList {
	if selector == nil {
		return nil
	}
	if selector.None == (len(selector.Types) > 0) {
		return field.ErrorList{field.Invalid(path, selector, "must have exactly one of none: true and types")}
	}
	var errs field.ErrorList
	for i, ref := range selector.Types {
		errs = append(errs, validateQualifiedTypeReference(ref, path.Child("types").Index(i))...)
	}
	return errs
}
