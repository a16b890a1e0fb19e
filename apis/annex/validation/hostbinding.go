package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/apis/annex/mapping"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/rule"
)

// ValidateHostBinding returns what is wrong with a new HostBinding.
func ValidateHostBinding(binding *annexv1alpha1.HostBinding) field.ErrorList {
	errs := rule.ObjectMeta(&binding.ObjectMeta, rule.SubdomainName)
	spec := field.NewPath("spec")
	at := spec.Child("reference", "export")
	if export := binding.Spec.Reference.Export; export == nil {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, rule.WorkspacePath(export.Path, at.Child("path"))...)
		errs = append(errs, rule.SubdomainRequired(export.Name, at.Child("name"))...)
	}
	errs = append(errs, validateWorkspace(binding.Spec.Workspace, spec.Child("workspace"))...)
	authorization := spec.Child("authorization")
	errs = append(errs, rule.Required(string(binding.Spec.Authorization), authorization)...)
	return append(errs, rule.OneOf(binding.Spec.Authorization, authorization, annexv1alpha1.AuthorizationWorkspace, annexv1alpha1.AuthorizationHost)...)
}

func validateWorkspace(ws annexv1alpha1.HostBindingWorkspace, at *field.Path) field.ErrorList {
	path := at.Child("path")
	if ws.Path == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	m, err := mapping.Parse(ws.Path)
	if err != nil {
		return field.ErrorList{field.Invalid(path, ws.Path, err.Error())}
	}
	if ws.Create == nil {
		return nil
	}
	var errs field.ErrorList
	create := at.Child("create")
	if parent, _ := m.Base().Split(); m.Fixed() && parent.Empty() {
		errs = append(errs, field.Invalid(path, ws.Path, "must have at least two segments, because a workspace that is created on demand needs a parent"))
	}
	if !m.Fixed() && !m.Last() {
		errs = append(errs, field.Invalid(path, ws.Path, mapping.Placeholder+" must be the last segment of the path if the workspace is created on demand"))
	}
	if ref := ws.Create.Type; ref != nil {
		errs = append(errs, rule.SubdomainRequired(string(ref.Name), create.Child("type", "name"))...)
		// Require the path, so that the permission check does not depend on which type is found first.
		errs = append(errs, rule.Required(ref.Path, create.Child("type", "path"))...)
		errs = append(errs, rule.WorkspacePath(ref.Path, create.Child("type", "path"))...)
	}
	return errs
}

// ValidateHostBindingUpdate returns what is wrong with the change of a HostBinding from old to binding. The reference and
// the path must not change, because objects would appear and disappear on the host although nobody created or deleted them.
func ValidateHostBindingUpdate(binding, old *annexv1alpha1.HostBinding) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&binding.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, ValidateHostBinding(binding)...)
	spec := field.NewPath("spec")
	errs = append(errs, rule.Immutable(binding.Spec.Reference, old.Spec.Reference, spec.Child("reference"), "the reference must not be changed")...)
	return append(errs, rule.Immutable(binding.Spec.Workspace.Path, old.Spec.Workspace.Path, spec.Child("workspace", "path"), "the path must not be changed")...)
}

// ValidateHostBindingStatusUpdate returns what is wrong with the change of the status of a HostBinding from old to binding.
func ValidateHostBindingStatusUpdate(binding, old *annexv1alpha1.HostBinding) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&binding.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, rule.ClusterName(binding.Status.APIExportClusterName, status.Child("apiExportClusterName"))...)
	errs = append(errs, rule.Conditions(binding.Status.Conditions, status.Child("conditions"))...)
	seen := map[string]bool{}
	for i, gv := range binding.Status.GroupVersions {
		at := status.Child("groupVersions").Index(i)
		errs = append(errs, rule.Required(gv.Name, at.Child("name"))...)
		if seen[gv.Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), gv.Name))
		}
		seen[gv.Name] = true
		errs = append(errs, rule.Required(string(gv.State), at.Child("state"))...)
		errs = append(errs, rule.OneOf(gv.State, at.Child("state"), annexv1alpha1.HostGroupVersionPending, annexv1alpha1.HostGroupVersionRegistered,
			annexv1alpha1.HostGroupVersionAvailable, annexv1alpha1.HostGroupVersionConflict)...)
	}
	return errs
}
