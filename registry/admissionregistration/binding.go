package admissionregistration

import (
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	actions         = []admissionregistrationv1.ValidationAction{admissionregistrationv1.Audit, admissionregistrationv1.Deny, admissionregistrationv1.Warn}
	notFoundActions = []admissionregistrationv1.ParameterNotFoundActionType{admissionregistrationv1.DenyAction, admissionregistrationv1.AllowAction}
)

func validateMutatingBinding(obj *admissionregistrationv1.MutatingAdmissionPolicyBinding) field.ErrorList {
	return validateBinding(obj.Spec.PolicyName, obj.Spec.ParamRef, obj.Spec.MatchResources, field.NewPath("spec"))
}

func validateValidatingBinding(obj *admissionregistrationv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
	errs := validateBinding(obj.Spec.PolicyName, obj.Spec.ParamRef, obj.Spec.MatchResources, field.NewPath("spec"))
	return append(errs, validateActions(obj.Spec.ValidationActions, field.NewPath("spec", "validationActions"))...)
}

func validateBinding(policyName string, ref *admissionregistrationv1.ParamRef, match *admissionregistrationv1.MatchResources, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if policyName == "" {
		errs = append(errs, field.Required(at.Child("policyName"), ""))
	} else {
		for _, message := range apimachineryvalidation.NameIsDNSSubdomain(policyName, false) {
			errs = append(errs, field.Invalid(at.Child("policyName"), policyName, message))
		}
	}
	if ref != nil {
		errs = append(errs, validateParamRef(ref, at.Child("paramRef"))...)
	}
	if match != nil {
		errs = append(errs, validateMatch(match, at.Child("matchResources"))...)
	}
	return errs
}

func validateParamRef(ref *admissionregistrationv1.ParamRef, at *field.Path) field.ErrorList {
	const exclusive = "name and selector are mutually exclusive"
	var errs field.ErrorList
	if ref.Name != "" {
		errs = append(errs, segment(ref.Name, at.Child("name"))...)
		if ref.Selector != nil {
			errs = append(errs, field.Forbidden(at.Child("name"), exclusive))
		}
	}
	if ref.Selector != nil {
		errs = append(errs, metav1validation.ValidateLabelSelector(ref.Selector, metav1validation.LabelSelectorValidationOptions{}, at.Child("selector"))...)
		if ref.Name != "" {
			errs = append(errs, field.Forbidden(at.Child("selector"), exclusive))
		}
	}
	if ref.Name == "" && ref.Selector == nil {
		errs = append(errs, field.Required(at, "one of name or selector must be specified"))
	}
	return append(errs, required(ref.ParameterNotFoundAction, at.Child("parameterNotFoundAction"), notFoundActions...)...)
}

func validateActions(given []admissionregistrationv1.ValidationAction, at *field.Path) field.ErrorList {
	if len(given) == 0 {
		return field.ErrorList{field.Required(at, "at least one validation action is required")}
	}
	var errs field.ErrorList
	seen := sets.New[admissionregistrationv1.ValidationAction]()
	for i := range given {
		errs = append(errs, oneOf(&given[i], at.Index(i), actions...)...)
		if seen.Has(given[i]) {
			errs = append(errs, field.Duplicate(at.Index(i), given[i]))
		}
		seen.Insert(given[i])
	}
	if slices.Contains(given, admissionregistrationv1.Deny) && slices.Contains(given, admissionregistrationv1.Warn) {
		errs = append(errs, field.Invalid(at, given, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"))
	}
	return errs
}
