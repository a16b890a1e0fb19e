package admissionregistration

import (
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The values that fields may have, in the order in which errors list them.
var (
	failurePolicies      = []admissionregistrationv1.FailurePolicyType{admissionregistrationv1.Fail, admissionregistrationv1.Ignore}
	matchPolicies        = []admissionregistrationv1.MatchPolicyType{admissionregistrationv1.Equivalent, admissionregistrationv1.Exact}
	sideEffects          = []admissionregistrationv1.SideEffectClass{admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.SideEffectClassNoneOnDryRun}
	reinvocationPolicies = []admissionregistrationv1.ReinvocationPolicyType{admissionregistrationv1.IfNeededReinvocationPolicy, admissionregistrationv1.NeverReinvocationPolicy}
	scopes               = []admissionregistrationv1.ScopeType{admissionregistrationv1.AllScopes, admissionregistrationv1.ClusterScope, admissionregistrationv1.NamespacedScope}
	operations           = []admissionregistrationv1.OperationType{
		admissionregistrationv1.OperationAll, admissionregistrationv1.Connect, admissionregistrationv1.Create, admissionregistrationv1.Delete, admissionregistrationv1.Update,
	}
)

const wildcard = "*"

// oneOf checks an optional field with a fixed set of values.
func oneOf[T ~string](value *T, at *field.Path, values ...T) field.ErrorList {
	if value == nil || slices.Contains(values, *value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at, *value, values)}
}

// names returns values as strings.
func names[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, value := range values {
		all[i] = string(value)
	}
	return all
}

// wildcardAlone refuses further values beside the one for everything.
func wildcardAlone[T ~string](values []T, at *field.Path, what string) field.ErrorList {
	if len(values) > 1 && slices.Contains(values, wildcard) {
		return field.ErrorList{field.Invalid(at, values, "if '*' is present, must not specify other "+what)}
	}
	return nil
}

func validateOperations(rule *admissionregistrationv1.RuleWithOperations, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(rule.Operations) == 0 {
		errs = append(errs, field.Required(at.Child("operations"), ""))
	}
	errs = append(errs, wildcardAlone(rule.Operations, at.Child("operations"), "operations")...)
	for i := range rule.Operations {
		errs = append(errs, oneOf(&rule.Operations[i], at.Child("operations").Index(i), operations...)...)
	}
	return append(errs, validateRule(&rule.Rule, at)...)
}

func validateRule(rule *admissionregistrationv1.Rule, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(rule.APIGroups) == 0 {
		errs = append(errs, field.Required(at.Child("apiGroups"), ""))
	}
	errs = append(errs, wildcardAlone(rule.APIGroups, at.Child("apiGroups"), "API groups")...)
	if len(rule.APIVersions) == 0 {
		errs = append(errs, field.Required(at.Child("apiVersions"), ""))
	}
	errs = append(errs, wildcardAlone(rule.APIVersions, at.Child("apiVersions"), "API versions")...)
	for i, version := range rule.APIVersions {
		if version == "" {
			errs = append(errs, field.Required(at.Child("apiVersions").Index(i), ""))
		}
	}
	errs = append(errs, validateResources(rule.Resources, at.Child("resources"))...)
	return append(errs, oneOf(rule.Scope, at.Child("scope"), scopes...)...)
}

// validateResources refuses resources and subresources beside a wildcard that includes them.
func validateResources(resources []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(resources) == 0 {
		errs = append(errs, field.Required(at, ""))
	}
	allOf, everywhere := sets.New[string](), sets.New[string]() // resources with all subresources, subresources of all resources
	plain := false
	for i, resource := range resources {
		if resource == "" {
			errs = append(errs, field.Required(at.Index(i), ""))
			continue
		}
		name, sub, hasSub := strings.Cut(resource, "/")
		if !hasSub {
			plain = plain || resource != wildcard
			continue
		}
		if allOf.Has(name) {
			errs = append(errs, field.Invalid(at.Index(i), resource, fmt.Sprintf("if '%s/*' is present, must not specify %s", name, resource)))
		}
		if everywhere.Has(sub) {
			errs = append(errs, field.Invalid(at.Index(i), resource, fmt.Sprintf("if '*/%s' is present, must not specify %s", sub, resource)))
		}
		if sub == wildcard {
			allOf.Insert(name)
		}
		if name == wildcard {
			everywhere.Insert(sub)
		}
	}
	if len(resources) > 1 && slices.Contains(resources, "*/*") {
		errs = append(errs, field.Invalid(at, resources, "if '*/*' is present, must not specify other resources"))
	}
	if slices.Contains(resources, wildcard) && plain {
		errs = append(errs, field.Invalid(at, resources, "if '*' is present, must not specify other resources without subresources"))
	}
	return errs
}

// validateMatch checks which requests a policy or a binding is for.
func validateMatch(match *admissionregistrationv1.MatchResources, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range match.ResourceRules {
		errs = append(errs, validateNamedRule(&match.ResourceRules[i], at.Child("resourceRules").Index(i))...)
	}
	if match.NamespaceSelector == nil {
		errs = append(errs, field.Required(at.Child("namespaceSelector"), ""))
	} else {
		errs = append(errs, metav1validation.ValidateLabelSelector(match.NamespaceSelector, metav1validation.LabelSelectorValidationOptions{}, at.Child("namespaceSelector"))...)
	}
	if match.ObjectSelector == nil {
		errs = append(errs, field.Required(at.Child("objectSelector"), ""))
	} else {
		errs = append(errs, metav1validation.ValidateLabelSelector(match.ObjectSelector, metav1validation.LabelSelectorValidationOptions{}, at.Child("objectSelector"))...)
	}
	errs = append(errs, required(match.MatchPolicy, at.Child("matchPolicy"), matchPolicies...)...)
	for i := range match.ExcludeResourceRules {
		errs = append(errs, validateNamedRule(&match.ExcludeResourceRules[i], at.Child("excludeResourceRules").Index(i))...)
	}
	return errs
}

// required is oneOf for a field that must be set.
func required[T ~string](value *T, at *field.Path, values ...T) field.ErrorList {
	if value == nil {
		return field.ErrorList{field.Required(at, "")}
	}
	return oneOf(value, at, values...)
}

func validateNamedRule(rule *admissionregistrationv1.NamedRuleWithOperations, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, name := range rule.ResourceNames {
		errs = append(errs, segment(name, at.Child("resourceNames").Index(i))...)
		if seen.Has(name) {
			errs = append(errs, field.Duplicate(at.Child("resourceNames").Index(i), name))
		}
		seen.Insert(name)
	}
	return append(errs, validateOperations(&rule.RuleWithOperations, at)...)
}

// segment checks a name that becomes a segment of a URL.
func segment(name string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, message := range content.IsPathSegmentName(name) {
		errs = append(errs, field.Invalid(at, name, message))
	}
	return errs
}
