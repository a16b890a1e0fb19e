package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

// NewGroup returns the storage of admissionregistration.k8s.io. The error says which store could not be set up.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter) (*group.Group, error) {
	return kinds.NewGroup(admissionregistrationv1.GroupName, s, getter,
		validatingConfigurations(), mutatingConfigurations(),
		validatingPolicies(), validatingBindings(), mutatingPolicies(), mutatingBindings())
}

func validatingConfigurations() *kinds.Kind[admissionregistrationv1.ValidatingWebhookConfiguration, *admissionregistrationv1.ValidatingWebhookConfiguration] {
	return &kinds.Kind[admissionregistrationv1.ValidatingWebhookConfiguration, *admissionregistrationv1.ValidatingWebhookConfiguration]{
		Columns: webhookColumns(),
		Cells: func(o *admissionregistrationv1.ValidatingWebhookConfiguration) []any {
			return []any{o.Name, int64(len(o.Webhooks)), kinds.Age(o.CreationTimestamp)}
		},
		NeedsVersion: true,
		Prepare: func(obj, old *admissionregistrationv1.ValidatingWebhookConfiguration) {
			obj.Generation = 1
			if old != nil {
				obj.Generation = generation(old.Generation, obj.Webhooks, old.Webhooks)
			}
		},
		Name: apimachineryvalidation.NameIsDNSSubdomain,
		ValidateCreate: func(obj *admissionregistrationv1.ValidatingWebhookConfiguration) field.ErrorList {
			return validateWebhooks(validatingWebhooks(obj.Webhooks), nil, true)
		},
		ValidateUpdate: func(obj, old *admissionregistrationv1.ValidatingWebhookConfiguration) field.ErrorList {
			return validateWebhooks(validatingWebhooks(obj.Webhooks), validatingWebhooks(old.Webhooks), false)
		},
	}
}

func mutatingConfigurations() *kinds.Kind[admissionregistrationv1.MutatingWebhookConfiguration, *admissionregistrationv1.MutatingWebhookConfiguration] {
	return &kinds.Kind[admissionregistrationv1.MutatingWebhookConfiguration, *admissionregistrationv1.MutatingWebhookConfiguration]{
		Columns: webhookColumns(),
		Cells: func(o *admissionregistrationv1.MutatingWebhookConfiguration) []any {
			return []any{o.Name, int64(len(o.Webhooks)), kinds.Age(o.CreationTimestamp)}
		},
		NeedsVersion: true,
		Prepare: func(obj, old *admissionregistrationv1.MutatingWebhookConfiguration) {
			obj.Generation = 1
			if old != nil {
				obj.Generation = generation(old.Generation, obj.Webhooks, old.Webhooks)
			}
		},
		Name: apimachineryvalidation.NameIsDNSSubdomain,
		ValidateCreate: func(obj *admissionregistrationv1.MutatingWebhookConfiguration) field.ErrorList {
			return validateWebhooks(mutatingWebhooks(obj.Webhooks), nil, true)
		},
		ValidateUpdate: func(obj, old *admissionregistrationv1.MutatingWebhookConfiguration) field.ErrorList {
			return validateWebhooks(mutatingWebhooks(obj.Webhooks), mutatingWebhooks(old.Webhooks), false)
		},
	}
}

// generation returns the generation after an update of what the kind has instead of a spec.
func generation(before int64, now, old any) int64 {
	if apiequality.Semantic.DeepEqual(now, old) {
		return before
	}
	return before + 1
}

func validatingPolicies() *kinds.Kind[admissionregistrationv1.ValidatingAdmissionPolicy, *admissionregistrationv1.ValidatingAdmissionPolicy] {
	return &kinds.Kind[admissionregistrationv1.ValidatingAdmissionPolicy, *admissionregistrationv1.ValidatingAdmissionPolicy]{
		Columns: policyColumns("Validations", "Validations indicates the number of validation rules defined in this configuration"),
		Cells: func(o *admissionregistrationv1.ValidatingAdmissionPolicy) []any {
			return []any{o.Name, int64(len(o.Spec.Validations)), paramKind(o.Spec.ParamKind), kinds.Age(o.CreationTimestamp)}
		},
		NeedsVersion: true,
		Name:         apimachineryvalidation.NameIsDNSSubdomain,
		ValidateCreate: func(obj *admissionregistrationv1.ValidatingAdmissionPolicy) field.ErrorList {
			return validateValidatingPolicy(obj, nil)
		},
		ValidateUpdate:       validateValidatingPolicy,
		ValidateStatusUpdate: validateStatus,
	}
}

func mutatingPolicies() *kinds.Kind[admissionregistrationv1.MutatingAdmissionPolicy, *admissionregistrationv1.MutatingAdmissionPolicy] {
	return &kinds.Kind[admissionregistrationv1.MutatingAdmissionPolicy, *admissionregistrationv1.MutatingAdmissionPolicy]{
		Columns: policyColumns("Mutations", "Mutation indicates the number of mutations rules defined in this configuration"),
		Cells: func(o *admissionregistrationv1.MutatingAdmissionPolicy) []any {
			return []any{o.Name, int64(len(o.Spec.Mutations)), paramKind(o.Spec.ParamKind), kinds.Age(o.CreationTimestamp)}
		},
		NeedsVersion: true,
		Name:         apimachineryvalidation.NameIsDNSSubdomain,
		ValidateCreate: func(obj *admissionregistrationv1.MutatingAdmissionPolicy) field.ErrorList {
			return validateMutatingPolicy(obj, nil)
		},
		ValidateUpdate: validateMutatingPolicy,
	}
}

func validatingBindings() *kinds.Kind[admissionregistrationv1.ValidatingAdmissionPolicyBinding, *admissionregistrationv1.ValidatingAdmissionPolicyBinding] {
	return &kinds.Kind[admissionregistrationv1.ValidatingAdmissionPolicyBinding, *admissionregistrationv1.ValidatingAdmissionPolicyBinding]{
		Columns: bindingColumns(),
		Cells: func(o *admissionregistrationv1.ValidatingAdmissionPolicyBinding) []any {
			return []any{o.Name, o.Spec.PolicyName, paramRef(o.Spec.ParamRef), kinds.Age(o.CreationTimestamp)}
		},
		NeedsVersion: true,
		Name:         apimachineryvalidation.NameIsDNSSubdomain,
		Validate:     validateValidatingBinding,
	}
}

func mutatingBindings() *kinds.Kind[admissionregistrationv1.MutatingAdmissionPolicyBinding, *admissionregistrationv1.MutatingAdmissionPolicyBinding] {
	return &kinds.Kind[admissionregistrationv1.MutatingAdmissionPolicyBinding, *admissionregistrationv1.MutatingAdmissionPolicyBinding]{
		Columns: bindingColumns(),
		Cells: func(o *admissionregistrationv1.MutatingAdmissionPolicyBinding) []any {
			return []any{o.Name, o.Spec.PolicyName, paramRef(o.Spec.ParamRef), kinds.Age(o.CreationTimestamp)}
		},
		NeedsVersion: true,
		Name:         apimachineryvalidation.NameIsDNSSubdomain,
		Validate:     validateMutatingBinding,
	}
}
