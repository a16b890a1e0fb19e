package validation

import (
	"regexp"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/apis/core/validation"
	"github.com/annex-dev/annex/apis/rule"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

var typeNameExp = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

var typeName = rule.Matching(typeNameExp, "universal")

// ValidateWorkspace returns what is wrong with a new Workspace.
func ValidateWorkspace(ws *tenancyv1alpha1.Workspace) field.ErrorList {
	errs := rule.ObjectMeta(&ws.ObjectMeta, rule.LabelName)
	spec := field.NewPath("spec")
	if ref := ws.Spec.Type; ref != nil {
		errs = append(errs, validateTypeReference(*ref, spec.Child("type"))...)
	}
	if ws.Spec.Location != nil {
		errs = append(errs, rule.Selector(ws.Spec.Location.Selector, spec.Child("location", "selector"))...)
	}
	errs = append(errs, rule.ClusterName(ws.Spec.Cluster, spec.Child("cluster"))...)
	errs = append(errs, rule.URL(ws.Spec.URL, spec.Child("URL"))...)
	if mount := ws.Spec.Mount; mount != nil {
		errs = append(errs, validateMount(mount.Reference, spec.Child("mount", "ref"))...)
		if ws.Spec.Cluster != "" {
			errs = append(errs, field.Forbidden(spec.Child("cluster"), "a mounted workspace has no logical cluster"))
		}
	}
	return errs
}

// validateMount checks the reference to the object that a workspace is mounted on.
func validateMount(ref tenancyv1alpha1.ObjectReference, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if ref.APIVersion == "" {
		errs = append(errs, field.Required(path.Child("apiVersion"), ""))
	} else if gv, err := schema.ParseGroupVersion(ref.APIVersion); err != nil || gv.Version == "" {
		errs = append(errs, field.Invalid(path.Child("apiVersion"), ref.APIVersion, "must be a group and a version, such as example.com/v1"))
	}
	if ref.Kind == "" {
		errs = append(errs, field.Required(path.Child("kind"), ""))
	}
	if ref.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	} else {
		for _, msg := range content.IsPathSegmentName(ref.Name) {
			errs = append(errs, field.Invalid(path.Child("name"), ref.Name, msg))
		}
	}
	if ref.Namespace != "" {
		for _, msg := range content.IsDNS1123Label(ref.Namespace) {
			errs = append(errs, field.Invalid(path.Child("namespace"), ref.Namespace, msg))
		}
	}
	return errs
}

// ValidateWorkspaceUpdate returns what is wrong with the change of a Workspace from old to ws.
func ValidateWorkspaceUpdate(ws, old *tenancyv1alpha1.Workspace) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&ws.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, ValidateWorkspace(ws)...)
	spec := field.NewPath("spec")
	if was := old.Spec.Type; was != nil {
		is := ws.Spec.Type
		if is == nil {
			errs = append(errs, field.Invalid(spec.Child("type"), nil, "the type of a workspace cannot be removed"))
		} else {
			errs = append(errs, rule.Immutable(is.Name, was.Name, spec.Child("type", "name"), "the type of a workspace cannot be changed")...)
			errs = append(errs, rule.Immutable(is.Path, was.Path, spec.Child("type", "path"), "the type of a workspace cannot be changed")...)
		}
	}
	errs = append(errs, rule.Immutable(ws.Spec.Mount, old.Spec.Mount, spec.Child("mount"), "a workspace is mounted from its creation, on the same object, or not at all")...)
	errs = append(errs, rule.SetOnce(ws.Spec.Cluster, old.Spec.Cluster, spec.Child("cluster"))...)
	if old.Spec.URL != "" && ws.Spec.URL == "" {
		errs = append(errs, field.Invalid(spec.Child("URL"), "", "cannot be removed once it is set"))
	}
	return errs
}

// ValidateWorkspaceStatusUpdate returns what is wrong with the change of the status of a Workspace from old to ws.
func ValidateWorkspaceStatusUpdate(ws, old *tenancyv1alpha1.Workspace) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&ws.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, validation.ValidateWorkspaceStep(ws, old, status.Child("phase"))...)
	errs = append(errs, rule.Conditions(ws.Status.Conditions, status.Child("conditions"))...)
	errs = append(errs, validation.ValidateInitializers(ws.Status.Initializers, status.Child("initializers"))...)
	errs = append(errs, validation.ValidateTerminators(ws.Status.Terminators, status.Child("terminators"))...)
	return errs
}

// validateTypeReference checks a reference whose path may be left out.
func validateTypeReference(ref tenancyv1alpha1.WorkspaceTypeReference, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if ref.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	} else {
		for _, msg := range typeName(string(ref.Name), false) {
			errs = append(errs, field.Invalid(path.Child("name"), ref.Name, msg))
		}
	}
	return append(errs, rule.WorkspacePath(ref.Path, path.Child("path"))...)
}
