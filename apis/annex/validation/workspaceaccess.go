package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rule"
)

// ValidateWorkspaceAccess returns what is wrong with a WorkspaceAccess.
func ValidateWorkspaceAccess(access *annexv1alpha1.WorkspaceAccess) field.ErrorList {
	errs := apivalidation.ValidateObjectMeta(&access.ObjectMeta, true, rule.SubdomainName, field.NewPath("metadata"))
	spec := field.NewPath("spec")
	at := spec.Child("workspace", "path")
	switch path := access.Spec.Workspace.Path; {
	case path == "":
		errs = append(errs, field.Required(at, ""))
	case logicalcluster.Name(path).IsSystem():
		errs = append(errs, field.Invalid(at, path, "must be a workspace, not a cluster of the server itself"))
	default:
		errs = append(errs, rule.WorkspacePath(path, at)...)
	}
	at = spec.Child("role", "clusterRole")
	if role := access.Spec.Role.ClusterRole; role == "" {
		errs = append(errs, field.Required(at, ""))
	} else {
		for _, msg := range content.IsPathSegmentName(role) {
			errs = append(errs, field.Invalid(at, role, msg))
		}
	}
	if access.Spec.SecretName != "" {
		errs = append(errs, rule.SubdomainRequired(access.Spec.SecretName, spec.Child("secretName"))...)
	}
	at = spec.Child("format")
	errs = append(errs, rule.Required(string(access.Spec.Format), at)...)
	errs = append(errs, rule.OneOf(access.Spec.Format, at, annexv1alpha1.AccessFormatKubeconfig, annexv1alpha1.AccessFormatArgoCD, annexv1alpha1.AccessFormatFlux)...)
	at = spec.Child("expirationSeconds")
	switch seconds := access.Spec.ExpirationSeconds; {
	case seconds == nil:
		errs = append(errs, field.Required(at, ""))
	case *seconds < annexv1alpha1.MinAccessSeconds || *seconds > annexv1alpha1.MaxAccessSeconds:
		errs = append(errs, field.Invalid(at, *seconds, fmt.Sprintf("must be between %d and %d", annexv1alpha1.MinAccessSeconds, annexv1alpha1.MaxAccessSeconds)))
	}
	return errs
}

// ValidateWorkspaceAccessUpdate returns what is wrong with the change of a WorkspaceAccess from old to access. What the credentials are for and
// where they are must not change, because whoever uses them would not notice.
func ValidateWorkspaceAccessUpdate(access, old *annexv1alpha1.WorkspaceAccess) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&access.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, ValidateWorkspaceAccess(access)...)
	spec := field.NewPath("spec")
	errs = append(errs, rule.Immutable(access.Spec.Workspace, old.Spec.Workspace, spec.Child("workspace"), "the workspace must not be changed")...)
	errs = append(errs, rule.Immutable(access.Spec.Role, old.Spec.Role, spec.Child("role"), "the role must not be changed")...)
	return append(errs, rule.Immutable(access.Spec.SecretName, old.Spec.SecretName, spec.Child("secretName"), "the name of the Secret must not be changed")...)
}

// ValidateWorkspaceAccessStatusUpdate returns what is wrong with the change of the status of a WorkspaceAccess from old to access.
func ValidateWorkspaceAccessStatusUpdate(access, old *annexv1alpha1.WorkspaceAccess) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&access.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, rule.ClusterName(access.Status.ClusterName, status.Child("clusterName"))...)
	errs = append(errs, rule.URL(access.Status.URL, status.Child("url"))...)
	return append(errs, rule.Conditions(access.Status.Conditions, status.Child("conditions"))...)
}
