package admissionregistration

import (
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
)

var patchTypes = []admissionregistrationv1.PatchType{admissionregistrationv1.PatchTypeApplyConfiguration, admissionregistrationv1.PatchTypeJSONPatch}

// mutable are the operations that a mutating policy may be for.
var mutable = []admissionregistrationv1.OperationType{
	admissionregistrationv1.OperationAll, admissionregistrationv1.Connect, admissionregistrationv1.Create, admissionregistrationv1.Update,
}

func validateMutatingPolicy(obj, old *admissionregistrationv1.MutatingAdmissionPolicy) field.ErrorList {
	spec, at := &obj.Spec, field.NewPath("spec")
	var before *policy
	stored := sets.New[string]()
	if old != nil {
		before = mutatingCommon(&old.Spec)
		stored.Insert(expressions(old.Spec.MatchConditions, old.Spec.Variables)...)
		for _, m := range old.Spec.Mutations {
			stored.Insert(patchExpression(&m))
		}
	}
	c, errs := validatePolicy(mutatingCommon(spec), before, stored, at)
	if c == nil {
		return errs
	}
	errs = append(errs, validateNoDeletion(spec.MatchConstraints, at.Child("matchConstraints", "resourceRules", "operations"))...)
	if len(spec.Mutations) == 0 {
		errs = append(errs, field.Required(at.Child("mutations"), "mutations must contain at least one item"))
	}
	for i := range spec.Mutations {
		errs = append(errs, c.mutation(&spec.Mutations[i], at.Child("mutations").Index(i))...)
	}
	if spec.ReinvocationPolicy == "" {
		return append(errs, field.Required(at.Child("reinvocationPolicy"), ""))
	}
	return append(errs, oneOf(&spec.ReinvocationPolicy, at.Child("reinvocationPolicy"), reinvocationPolicies...)...)
}

// validateNoDeletion refuses rules for deletions, in which there is nothing to mutate.
func validateNoDeletion(match *admissionregistrationv1.MatchResources, at *field.Path) field.ErrorList {
	if match == nil {
		return nil
	}
	var errs field.ErrorList
	for _, rule := range match.ResourceRules {
		for _, operation := range rule.Operations {
			if operation == admissionregistrationv1.Delete {
				errs = append(errs, field.NotSupported(at, operation, mutable))
			}
		}
	}
	return errs
}

func mutatingCommon(spec *admissionregistrationv1.MutatingAdmissionPolicySpec) *policy {
	return &policy{failure: spec.FailurePolicy, paramKind: spec.ParamKind, match: spec.MatchConstraints, conditions: spec.MatchConditions, variables: spec.Variables}
}

// patchExpression returns the expression of a mutation; empty if it has none.
func patchExpression(m *admissionregistrationv1.Mutation) string {
	switch {
	case m.ApplyConfiguration != nil:
		return m.ApplyConfiguration.Expression
	case m.JSONPatch != nil:
		return m.JSONPatch.Expression
	}
	return ""
}

func (c *policyCompiler) mutation(m *admissionregistrationv1.Mutation, at *field.Path) field.ErrorList {
	switch m.PatchType {
	case "":
		return field.ErrorList{field.Required(at.Child("patchType"), "")}
	case admissionregistrationv1.PatchTypeApplyConfiguration:
		var errs field.ErrorList
		if m.JSONPatch != nil {
			errs = append(errs, field.Invalid(at.Child("jsonPatch"), "{jsonPatch}", "must not be specified when patchType is ApplyConfiguration"))
		}
		if m.ApplyConfiguration == nil {
			return append(errs, field.Required(at.Child("applyConfiguration"), "must be specified when patchType is ApplyConfiguration"))
		}
		at = at.Child("applyConfiguration", "expression")
		expression := strings.TrimSpace(m.ApplyConfiguration.Expression)
		if expression == "" {
			return append(errs, field.Required(at, "expression is not specified"))
		}
		return append(errs, c.check(&patch.ApplyConfigurationCondition{Expression: expression}, c.declare(true, true), at)...)
	case admissionregistrationv1.PatchTypeJSONPatch:
		var errs field.ErrorList
		if m.ApplyConfiguration != nil {
			errs = append(errs, field.Invalid(at.Child("applyConfiguration"), "{applyConfiguration}", "must not be specified when patchType is JSONPatch"))
		}
		if m.JSONPatch == nil {
			return append(errs, field.Required(at.Child("jsonPatch"), "must be specified when patchType is JSONPatch"))
		}
		at = at.Child("jsonPatch", "expression")
		expression := strings.TrimSpace(m.JSONPatch.Expression)
		if expression == "" {
			return append(errs, field.Required(at, "expression is not specified"))
		}
		return append(errs, c.check(&patch.JSONPatchCondition{Expression: expression}, c.declare(true, true), at)...)
	}
	return oneOf(&m.PatchType, at.Child("patchType"), patchTypes...)
}
