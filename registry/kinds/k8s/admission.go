package k8s

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// AddAdmission adds what belongs to admissionregistration.k8s.io.
func AddAdmission(s *runtime.Scheme) error {
	addDefault(s, func(c *admissionregistrationv1.ValidatingWebhookConfiguration) {
		for i := range c.Webhooks {
			h := &c.Webhooks[i]
			setDefault(&h.FailurePolicy, admissionregistrationv1.Fail)
			setDefault(&h.MatchPolicy, admissionregistrationv1.Equivalent)
			setDefault(&h.NamespaceSelector, metav1.LabelSelector{})
			setDefault(&h.ObjectSelector, metav1.LabelSelector{})
			setDefault(&h.TimeoutSeconds, webhookTimeoutSeconds)
			defaultRules(h.Rules)
			defaultService(h.ClientConfig.Service)
		}
	})
	addDefault(s, func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
		for i := range c.Webhooks {
			h := &c.Webhooks[i]
			setDefault(&h.FailurePolicy, admissionregistrationv1.Fail)
			setDefault(&h.MatchPolicy, admissionregistrationv1.Equivalent)
			setDefault(&h.NamespaceSelector, metav1.LabelSelector{})
			setDefault(&h.ObjectSelector, metav1.LabelSelector{})
			setDefault(&h.TimeoutSeconds, webhookTimeoutSeconds)
			setDefault(&h.ReinvocationPolicy, admissionregistrationv1.NeverReinvocationPolicy)
			defaultRules(h.Rules)
			defaultService(h.ClientConfig.Service)
		}
	})
	addDefault(s, func(p *admissionregistrationv1.ValidatingAdmissionPolicy) {
		setDefault(&p.Spec.FailurePolicy, admissionregistrationv1.Fail)
		defaultMatch(p.Spec.MatchConstraints)
	})
	addDefault(s, func(p *admissionregistrationv1.MutatingAdmissionPolicy) {
		setDefault(&p.Spec.FailurePolicy, admissionregistrationv1.Fail)
		defaultMatch(p.Spec.MatchConstraints)
	})
	addDefault(s, func(b *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
		defaultMatch(b.Spec.MatchResources)
	})
	addDefault(s, func(b *admissionregistrationv1.MutatingAdmissionPolicyBinding) {
		defaultMatch(b.Spec.MatchResources)
	})
	return nil
}

const (
	webhookTimeoutSeconds = 10
	webhookPort           = 443
)

// setDefault makes an optional field point to value if it is not set.
func setDefault[T any](to **T, value T) {
	if *to == nil {
		*to = &value
	}
}

func defaultRules(rules []admissionregistrationv1.RuleWithOperations) {
	for i := range rules {
		setDefault(&rules[i].Scope, admissionregistrationv1.AllScopes)
	}
}

func defaultService(service *admissionregistrationv1.ServiceReference) {
	if service != nil {
		setDefault(&service.Port, webhookPort)
	}
}

func defaultMatch(match *admissionregistrationv1.MatchResources) {
	if match == nil {
		return
	}
	setDefault(&match.MatchPolicy, admissionregistrationv1.Equivalent)
	setDefault(&match.NamespaceSelector, metav1.LabelSelector{})
	setDefault(&match.ObjectSelector, metav1.LabelSelector{})
	for _, rules := range [][]admissionregistrationv1.NamedRuleWithOperations{match.ResourceRules, match.ExcludeResourceRules} {
		for i := range rules {
			setDefault(&rules[i].Scope, admissionregistrationv1.AllScopes)
		}
	}
}
