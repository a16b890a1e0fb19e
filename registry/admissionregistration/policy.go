package admissionregistration

import (
	"fmt"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
)

const (
	// maxAnnotations is how many audit annotations a policy may have, and maxValueExpression how long, in bytes, the expression of one.
	maxAnnotations     = 20
	maxValueExpression = 5 * 1024
)

var reasons = []metav1.StatusReason{
	metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge,
}

// policy is what validating and mutating policies have in common.
type policy struct {
	failure    *admissionregistrationv1.FailurePolicyType
	paramKind  *admissionregistrationv1.ParamKind
	match      *admissionregistrationv1.MatchResources
	conditions []admissionregistrationv1.MatchCondition
	variables  []admissionregistrationv1.Variable
}

// validatePolicy checks the common part of a policy, and returns a compiler that knows its variables. stored are the expressions of old,
// which is nil on create.
func validatePolicy(p, old *policy, stored sets.Set[string], at *field.Path) (*policyCompiler, field.ErrorList) {
	errs := required(p.failure, at.Child("failurePolicy"), failurePolicies...)
	if p.paramKind != nil {
		errs = append(errs, validateParamKind(p.paramKind, at.Child("paramKind"))...)
	}
	if p.match == nil {
		errs = append(errs, field.Required(at.Child("matchConstraints"), ""))
	} else {
		errs = append(errs, validateMatch(p.match, at.Child("matchConstraints"))...)
		if len(p.match.ResourceRules) == 0 {
			errs = append(errs, field.Required(at.Child("matchConstraints", "resourceRules"), ""))
		}
	}
	if old == nil || !apiequality.Semantic.DeepEqual(p.conditions, old.conditions) || (p.paramKind == nil) != (old.paramKind == nil) {
		errs = append(errs, validateConditions(newCompiler(p.paramKind != nil, stored), p.conditions, at.Child("matchConditions"))...)
	}
	c, err := newPolicyCompiler(p.paramKind != nil, stored)
	if err != nil {
		return nil, append(errs, field.InternalError(at.Child("variables"), err))
	}
	for i := range p.variables {
		errs = append(errs, c.variable(&p.variables[i], at.Child("variables").Index(i))...)
	}
	return c, errs
}

func validateParamKind(kind *admissionregistrationv1.ParamKind, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	gv, err := schema.ParseGroupVersion(kind.APIVersion)
	switch {
	case kind.APIVersion == "":
		errs = append(errs, field.Required(at.Child("apiVersion"), ""))
	case err != nil:
		errs = append(errs, field.Invalid(at.Child("apiVersion"), kind.APIVersion, err.Error()))
	default:
		if messages := utilvalidation.IsDNS1123Subdomain(gv.Group); gv.Group != "" && len(messages) > 0 {
			errs = append(errs, field.Invalid(at.Child("apiVersion"), gv.Group, strings.Join(messages, ",")))
		}
		if messages := apimachineryvalidation.NameIsDNS1035Label(gv.Version, false); len(messages) > 0 {
			errs = append(errs, field.Invalid(at.Child("apiVersion"), gv.Version, strings.Join(messages, ",")))
		}
	}
	if kind.Kind == "" {
		return append(errs, field.Required(at.Child("kind"), ""))
	}
	if messages := apimachineryvalidation.NameIsDNS1035Label(strings.ToLower(kind.Kind), false); len(messages) > 0 {
		errs = append(errs, field.Invalid(at.Child("kind"), kind.Kind, "may have mixed case, but should otherwise match: "+strings.Join(messages, ",")))
	}
	return errs
}

func validateValidatingPolicy(obj, old *admissionregistrationv1.ValidatingAdmissionPolicy) field.ErrorList {
	spec, at := &obj.Spec, field.NewPath("spec")
	var before *policy
	if old != nil {
		before = commonOf(&old.Spec)
	}
	c, errs := validatePolicy(commonOf(spec), before, expressionsOf(old), at)
	if len(spec.Validations) == 0 && len(spec.AuditAnnotations) == 0 {
		for _, name := range []string{"validations", "auditAnnotations"} {
			errs = append(errs, field.Required(at.Child(name), "validations or auditAnnotations must contain at least one item"))
		}
	}
	if c == nil {
		return errs
	}
	for i := range spec.Validations {
		errs = append(errs, c.validation(&spec.Validations[i], at.Child("validations").Index(i))...)
	}
	return append(errs, c.annotations(obj.Name, spec.AuditAnnotations, at.Child("auditAnnotations"))...)
}

func commonOf(spec *admissionregistrationv1.ValidatingAdmissionPolicySpec) *policy {
	return &policy{failure: spec.FailurePolicy, paramKind: spec.ParamKind, match: spec.MatchConstraints, conditions: spec.MatchConditions, variables: spec.Variables}
}

// expressionsOf returns all expressions of a policy, which may be nil.
func expressionsOf(p *admissionregistrationv1.ValidatingAdmissionPolicy) sets.Set[string] {
	all := sets.New[string]()
	if p == nil {
		return all
	}
	all.Insert(expressions(p.Spec.MatchConditions, p.Spec.Variables)...)
	for _, v := range p.Spec.Validations {
		all.Insert(v.Expression, v.MessageExpression)
	}
	for _, a := range p.Spec.AuditAnnotations {
		all.Insert(a.ValueExpression)
	}
	return all
}

func expressions(conditions []admissionregistrationv1.MatchCondition, variables []admissionregistrationv1.Variable) []string {
	var all []string
	for _, c := range conditions {
		all = append(all, c.Expression)
	}
	for _, v := range variables {
		all = append(all, v.Expression)
	}
	return all
}

func (c *policyCompiler) validation(v *admissionregistrationv1.Validation, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if expression := strings.TrimSpace(v.Expression); expression == "" {
		errs = append(errs, field.Required(at.Child("expression"), "expression is not specified"))
	} else {
		errs = append(errs, c.check(&validating.ValidationCondition{Expression: expression, Message: v.Message, Reason: v.Reason}, c.declare(true, false), at.Child("expression"))...)
	}
	if message := strings.TrimSpace(v.MessageExpression); message != "" {
		errs = append(errs, c.check(&validating.MessageExpressionCondition{MessageExpression: message}, c.declare(false, false), at.Child("messageExpression"))...)
	} else if v.MessageExpression != "" {
		errs = append(errs, field.Invalid(at.Child("messageExpression"), v.MessageExpression, "must be non-empty if specified"))
	}
	switch message := strings.TrimSpace(v.Message); {
	case v.Message != "" && message == "":
		errs = append(errs, field.Invalid(at.Child("message"), v.Message, "must be non-empty if specified"))
	case strings.ContainsAny(message, "\n\r"):
		errs = append(errs, field.Invalid(at.Child("message"), v.Message, "must not contain line breaks"))
	}
	return append(errs, oneOf(v.Reason, at.Child("reason"), reasons...)...)
}

func (c *policyCompiler) annotations(policyName string, annotations []admissionregistrationv1.AuditAnnotation, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(annotations) > maxAnnotations {
		errs = append(errs, field.Invalid(at, annotations, fmt.Sprintf("must not have more than %d auditAnnotations", maxAnnotations)))
	}
	seen := sets.New[string]()
	for i := range annotations {
		a, at := &annotations[i], at.Index(i)
		if policyName == "" {
			errs = append(errs, field.Invalid(at.Child("key"), a.Key, "requires metadata.name be non-empty"))
		} else {
			errs = append(errs, qualified(policyName+"/"+a.Key, at.Child("key"))...)
		}
		switch expression := strings.TrimSpace(a.ValueExpression); {
		case expression == "":
			errs = append(errs, field.Required(at.Child("valueExpression"), "valueExpression is not specified"))
		case len(expression) > maxValueExpression:
			errs = append(errs, field.Required(at.Child("valueExpression"), "must not exceed 5kB in length"))
		default:
			errs = append(errs, c.check(&validating.AuditAnnotationCondition{Key: a.Key, ValueExpression: expression}, c.declare(true, false), at.Child("valueExpression"))...)
		}
		if seen.Has(a.Key) {
			errs = append(errs, field.Duplicate(at.Child("key"), a.Key))
		}
		seen.Insert(a.Key)
	}
	return errs
}

// validateStatus checks a status that a type checker writes.
func validateStatus(obj, _ *admissionregistrationv1.ValidatingAdmissionPolicy) field.ErrorList {
	var errs field.ErrorList
	at := field.NewPath("status")
	if obj.Status.TypeChecking != nil {
		for i, w := range obj.Status.TypeChecking.ExpressionWarnings {
			at := at.Child("typeChecking", "expressionWarnings").Index(i)
			if strings.TrimSpace(w.Warning) == "" {
				errs = append(errs, field.Required(at.Child("warning"), ""))
			}
			if strings.TrimSpace(w.FieldRef) == "" {
				errs = append(errs, field.Required(at.Child("fieldRef"), ""))
			}
		}
	}
	return append(errs, metav1validation.ValidateConditions(obj.Status.Conditions, at.Child("conditions"))...)
}
