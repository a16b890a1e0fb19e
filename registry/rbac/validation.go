package rbac

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/apis/rbac/rules"
)

func validateRole(role *rbacv1.Role) field.ErrorList {
	return append(rules.Validate(role.Rules, true, field.NewPath("rules")), inheritance.Validate(role.Annotations, false)...)
}

func validateClusterRole(role *rbacv1.ClusterRole) field.ErrorList {
	errs := append(rules.Validate(role.Rules, false, field.NewPath("rules")), inheritance.Validate(role.Annotations, true)...)
	if role.AggregationRule == nil {
		return errs
	}
	if inheritance.Gives(role) {
		errs = append(errs, field.Forbidden(field.NewPath("aggregationRule"), "a role with the annotation "+inheritance.AnnotationKey+
			" cannot aggregate others: whoever labels a role would decide about the workspaces below"))
	}
	selectors := field.NewPath("aggregationRule", "clusterRoleSelectors")
	if len(role.AggregationRule.ClusterRoleSelectors) == 0 {
		errs = append(errs, field.Required(selectors, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
	}
	for i := range role.AggregationRule.ClusterRoleSelectors {
		selector := &role.AggregationRule.ClusterRoleSelectors[i]
		errs = append(errs, metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, selectors.Index(i))...)
		if _, err := metav1.LabelSelectorAsSelector(selector); err != nil {
			errs = append(errs, field.Invalid(selectors.Index(i), nil, "invalid label selector."))
		}
	}
	return errs
}

func validateRoleBinding(binding *rbacv1.RoleBinding) field.ErrorList {
	errs := append(validateRef(binding.RoleRef, "Role", "ClusterRole"), validateSubjects(binding.Subjects, true)...)
	return append(errs, inheritance.Validate(binding.Annotations, false)...)
}

func validateClusterRoleBinding(binding *rbacv1.ClusterRoleBinding) field.ErrorList {
	errs := append(validateRef(binding.RoleRef, "ClusterRole"), validateSubjects(binding.Subjects, false)...)
	return append(errs, inheritance.Validate(binding.Annotations, true)...)
}

func validateRoleBindingUpdate(binding, old *rbacv1.RoleBinding) field.ErrorList {
	return validateRefUpdate(binding.RoleRef, old.RoleRef)
}

func validateClusterRoleBindingUpdate(binding, old *rbacv1.ClusterRoleBinding) field.ErrorList {
	return validateRefUpdate(binding.RoleRef, old.RoleRef)
}

// validateRefUpdate refuses to change the role of a binding, because a user who may change subjects may not have that role's
// permissions.
func validateRefUpdate(ref, old rbacv1.RoleRef) field.ErrorList {
	if apiequality.Semantic.DeepEqual(ref, old) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("roleRef"), ref, "field is immutable")}
}

// validateRef checks a reference to a role of one of the kinds.
func validateRef(ref rbacv1.RoleRef, kinds ...string) field.ErrorList {
	var errs field.ErrorList
	at := field.NewPath("roleRef")
	if ref.APIGroup != rbacv1.GroupName {
		errs = append(errs, field.NotSupported(at.Child("apiGroup"), ref.APIGroup, []string{rbacv1.GroupName}))
	}
	supported := false
	for _, kind := range kinds {
		supported = supported || ref.Kind == kind
	}
	if !supported {
		errs = append(errs, field.NotSupported(at.Child("kind"), ref.Kind, kinds))
	}
	if ref.Name == "" {
		return append(errs, field.Required(at.Child("name"), ""))
	}
	if message := notASegment(ref.Name); message != "" {
		errs = append(errs, field.Invalid(at.Child("name"), ref.Name, message))
	}
	return errs
}

// notASegment returns the reason why name is not valid in a URL path, which the names of roles must be; empty if it is valid.
func notASegment(name string) string {
	switch {
	case name == ".", name == "..":
		return "may not be '" + name + "'"
	case strings.Contains(name, "/"):
		return "may not contain '/'"
	case strings.Contains(name, "%"):
		return "may not contain '%'"
	}
	return ""
}

func validateSubjects(subjects []rbacv1.Subject, namespaced bool) field.ErrorList {
	var errs field.ErrorList
	for i := range subjects {
		errs = append(errs, validateSubject(&subjects[i], namespaced, field.NewPath("subjects").Index(i))...)
	}
	return errs
}

func validateSubject(subject *rbacv1.Subject, namespaced bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if subject.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	wantGroup := rbacv1.GroupName
	switch subject.Kind {
	case rbacv1.ServiceAccountKind:
		wantGroup = ""
		if subject.Name != "" {
			for _, message := range apimachineryvalidation.ValidateServiceAccountName(subject.Name, false) {
				errs = append(errs, field.Invalid(at.Child("name"), subject.Name, message))
			}
		}
		if !namespaced && subject.Namespace == "" {
			errs = append(errs, field.Required(at.Child("namespace"), ""))
		}
	case rbacv1.UserKind, rbacv1.GroupKind:
	default:
		return append(errs, field.NotSupported(at.Child("kind"), subject.Kind,
			[]string{rbacv1.ServiceAccountKind, rbacv1.UserKind, rbacv1.GroupKind}))
	}
	if subject.APIGroup != wantGroup {
		errs = append(errs, field.NotSupported(at.Child("apiGroup"), subject.APIGroup, []string{wantGroup}))
	}
	return errs
}
