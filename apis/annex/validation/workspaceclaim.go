package validation

import (
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/rule"
)

// ValidateWorkspaceClaim returns what is wrong with a new WorkspaceClaim.
func ValidateWorkspaceClaim(claim *annexv1alpha1.WorkspaceClaim) field.ErrorList {
	errs := apivalidation.ValidateObjectMeta(&claim.ObjectMeta, true, rule.SubdomainName, field.NewPath("metadata"))
	spec := field.NewPath("spec")
	errs = append(errs, rule.SubdomainRequired(claim.Spec.WorkspaceClassName, spec.Child("workspaceClassName"))...)
	if ref := claim.Spec.Type; ref != nil {
		errs = append(errs, rule.SubdomainRequired(string(ref.Name), spec.Child("type", "name"))...)
		errs = append(errs, rule.WorkspacePath(ref.Path, spec.Child("type", "path"))...)
	}
	if secret := claim.Spec.Secret; secret != nil {
		at := spec.Child("secret")
		errs = append(errs, rule.SubdomainRequired(secret.Name, at.Child("name"))...)
		errs = append(errs, rule.Required(string(secret.Format), at.Child("format"))...)
		errs = append(errs, rule.OneOf(secret.Format, at.Child("format"), annexv1alpha1.AccessFormatKubeconfig, annexv1alpha1.AccessFormatArgoCD, annexv1alpha1.AccessFormatFlux)...)
	}
	if name := claim.Spec.WorkspaceName; name != "" {
		for _, message := range rule.LabelName(name, false) {
			errs = append(errs, field.Invalid(spec.Child("workspaceName"), name, message))
		}
	}
	return errs
}

// ValidateWorkspaceClaimUpdate returns what is wrong with the change of a WorkspaceClaim from old to claim. The spec must not change. A
// claim that is deleted and created again takes its workspace back.
func ValidateWorkspaceClaimUpdate(claim, old *annexv1alpha1.WorkspaceClaim) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&claim.ObjectMeta, &old.ObjectMeta)
	return append(errs, rule.Immutable(claim.Spec, old.Spec, field.NewPath("spec"), "the spec must not be changed: delete the claim and create it again to change it")...)
}

// ValidateWorkspaceClaimStatusUpdate returns what is wrong with the change of the status of a WorkspaceClaim from old to claim.
func ValidateWorkspaceClaimStatusUpdate(claim, old *annexv1alpha1.WorkspaceClaim) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&claim.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, rule.OneOf(claim.Status.Phase, status.Child("phase"),
		annexv1alpha1.WorkspaceClaimPending, annexv1alpha1.WorkspaceClaimBound, annexv1alpha1.WorkspaceClaimLost)...)
	if ws := claim.Status.Workspace; ws != nil {
		errs = append(errs, rule.Required(ws.Path, status.Child("workspace", "path"))...)
		errs = append(errs, rule.WorkspacePath(ws.Path, status.Child("workspace", "path"))...)
		errs = append(errs, rule.ClusterName(ws.Cluster, status.Child("workspace", "cluster"))...)
	}
	if before := old.Status.Workspace; before != nil && before.Cluster != "" {
		at := status.Child("workspace", "cluster")
		if claim.Status.Workspace == nil {
			errs = append(errs, field.Required(at, "the workspace of a claim never changes"))
		} else {
			errs = append(errs, rule.SetOnce(claim.Status.Workspace.Cluster, before.Cluster, at)...)
		}
	}
	return append(errs, rule.Conditions(claim.Status.Conditions, status.Child("conditions"))...)
}
