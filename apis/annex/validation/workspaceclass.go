package validation

import (
	"fmt"
	"math"

	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rule"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// maxGracePeriodSeconds is 100 years: more does not fit into a time.Duration for long.
const maxGracePeriodSeconds = 100 * 365 * 24 * 60 * 60

// ValidateWorkspaceClass returns what is wrong with a new WorkspaceClass.
func ValidateWorkspaceClass(class *annexv1alpha1.WorkspaceClass) field.ErrorList {
	errs := rule.ObjectMeta(&class.ObjectMeta, rule.SubdomainName)
	spec := field.NewPath("spec")
	errs = append(errs, validateParent(class.Spec.Parent, spec.Child("parent"))...)
	seen := map[tenancyv1alpha1.WorkspaceTypeReference]bool{}
	for i, ref := range class.Spec.Types {
		at := spec.Child("types").Index(i)
		errs = append(errs, rule.SubdomainRequired(string(ref.Name), at.Child("name"))...)
		// Require the path, so that the permission check does not depend on which type is found first.
		errs = append(errs, rule.Required(ref.Path, at.Child("path"))...)
		errs = append(errs, rule.WorkspacePath(ref.Path, at.Child("path"))...)
		if seen[ref] {
			errs = append(errs, field.Duplicate(at, ref))
		}
		seen[ref] = true
	}
	for i, namespace := range class.Spec.Namespaces {
		at := spec.Child("namespaces").Index(i)
		for _, message := range apivalidation.ValidateNamespaceName(namespace, false) {
			errs = append(errs, field.Invalid(at, namespace, message))
		}
	}
	errs = append(errs, rule.Required(string(class.Spec.Owner), spec.Child("owner"))...)
	errs = append(errs, rule.OneOf(class.Spec.Owner, spec.Child("owner"), annexv1alpha1.WorkspaceClassOwnerCreator, annexv1alpha1.WorkspaceClassOwnerNone)...)
	if secret := class.Spec.Secret; secret != nil {
		at := spec.Child("secret", "clusterRole")
		errs = append(errs, rule.Required(secret.ClusterRole, at)...)
		for _, message := range content.IsPathSegmentName(secret.ClusterRole) {
			errs = append(errs, field.Invalid(at, secret.ClusterRole, message))
		}
	}
	errs = append(errs, between(ptr.Deref(class.Spec.MaxWorkspaces, 0), math.MaxInt32, spec.Child("maxWorkspaces"))...)
	errs = append(errs, between(ptr.Deref(class.Spec.MaxWorkspacesPerNamespace, 0), math.MaxInt32, spec.Child("maxWorkspacesPerNamespace"))...)
	errs = append(errs, rule.Required(string(class.Spec.ReclaimPolicy), spec.Child("reclaimPolicy"))...)
	errs = append(errs, rule.OneOf(class.Spec.ReclaimPolicy, spec.Child("reclaimPolicy"), annexv1alpha1.WorkspaceReclaimDelete, annexv1alpha1.WorkspaceReclaimRetain)...)
	return append(errs, between(ptr.Deref(class.Spec.GracePeriodSeconds, 0), maxGracePeriodSeconds, spec.Child("gracePeriodSeconds"))...)
}

// validateParent checks the path of the parent of a class. It must be absolute and fixed: if it depended on the name of a namespace, a new
// namespace would inherit the workspaces of another one that had the same name.
func validateParent(parent string, at *field.Path) field.ErrorList {
	if parent == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	p, err := logicalcluster.ParsePath(parent)
	if err != nil {
		return field.ErrorList{field.Invalid(at, parent, err.Error())}
	}
	if p == logicalcluster.Wildcard || logicalcluster.Name(p).IsSystem() {
		return field.ErrorList{field.Invalid(at, parent, "must be a workspace")}
	}
	return nil
}

func between[T int32 | int64](value, highest T, at *field.Path) field.ErrorList {
	if value < 0 || value > highest {
		return field.ErrorList{field.Invalid(at, value, fmt.Sprintf("must be between 0 and %d", highest))}
	}
	return nil
}

// ValidateWorkspaceClassUpdate returns what is wrong with the change of a WorkspaceClass from old to class. The parent must not change,
// because the claims of the class would lose their workspaces.
func ValidateWorkspaceClassUpdate(class, old *annexv1alpha1.WorkspaceClass) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&class.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, ValidateWorkspaceClass(class)...)
	return append(errs, rule.Immutable(class.Spec.Parent, old.Spec.Parent, field.NewPath("spec", "parent"), "the parent must not be changed")...)
}
