package admissionregistration

import (
	"fmt"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
)

// maxTimeoutSeconds is how long a webhook may let a request wait.
const maxTimeoutSeconds = 30

// defaultPort is that of a service that does not say its port.
const defaultPort = 443

// webhook is what validating and mutating webhooks have in common.
type webhook struct {
	admissionregistrationv1.ValidatingWebhook
	// reinvocation is that of a mutating webhook.
	reinvocation *admissionregistrationv1.ReinvocationPolicyType
}

func validatingWebhooks(hooks []admissionregistrationv1.ValidatingWebhook) []webhook {
	var all []webhook
	for _, h := range hooks {
		all = append(all, webhook{ValidatingWebhook: h})
	}
	return all
}

func mutatingWebhooks(hooks []admissionregistrationv1.MutatingWebhook) []webhook {
	var all []webhook
	for _, h := range hooks {
		all = append(all, webhook{reinvocation: h.ReinvocationPolicy, ValidatingWebhook: admissionregistrationv1.ValidatingWebhook{
			Name: h.Name, ClientConfig: h.ClientConfig, Rules: h.Rules, FailurePolicy: h.FailurePolicy, MatchPolicy: h.MatchPolicy,
			NamespaceSelector: h.NamespaceSelector, ObjectSelector: h.ObjectSelector, SideEffects: h.SideEffects,
			TimeoutSeconds: h.TimeoutSeconds, AdmissionReviewVersions: h.AdmissionReviewVersions, MatchConditions: h.MatchConditions,
		}})
	}
	return all
}

// tolerance says which faults of the old object an update may keep.
type tolerance struct {
	duplicateNames, unknownReviewVersions bool
	selectors                             metav1validation.LabelSelectorValidationOptions
	// stored are the match conditions of the old object; unchanged says that they are all there is.
	stored    sets.Set[string]
	unchanged bool
}

// toleranceOf returns what an update of old may keep in hooks; nothing on create.
func toleranceOf(hooks, old []webhook, create bool) tolerance {
	t := tolerance{stored: sets.New[string]()}
	if create {
		return t
	}
	names := sets.New[string]()
	t.unchanged = len(hooks) == len(old)
	for i, h := range old {
		t.duplicateNames = t.duplicateNames || names.Has(h.Name)
		names.Insert(h.Name)
		t.unknownReviewVersions = t.unknownReviewVersions || len(h.AdmissionReviewVersions) > 0 && !knowsReviews(h.AdmissionReviewVersions)
		t.selectors.AllowInvalidLabelValueInSelector = t.selectors.AllowInvalidLabelValueInSelector ||
			hasInvalidValue(h.NamespaceSelector) || hasInvalidValue(h.ObjectSelector)
		for _, c := range h.MatchConditions {
			t.stored.Insert(c.Expression)
		}
		t.unchanged = t.unchanged && apiequality.Semantic.DeepEqual(h.MatchConditions, hooks[i].MatchConditions)
	}
	return t
}

// hasInvalidValue reports whether a selector names values that no label can have.
func hasInvalidValue(selector *metav1.LabelSelector) bool {
	if selector == nil {
		return false
	}
	for _, e := range selector.MatchExpressions {
		for _, value := range e.Values {
			if len(utilvalidation.IsValidLabelValue(value)) > 0 {
				return true
			}
		}
	}
	return false
}

// validateWebhooks checks the webhooks of a configuration. old are those of before.
func validateWebhooks(hooks, old []webhook, create bool) field.ErrorList {
	var errs field.ErrorList
	tolerate := toleranceOf(hooks, old, create)
	names := sets.New[string]()
	for i := range hooks {
		h, at := &hooks[i], field.NewPath("webhooks").Index(i)
		errs = append(errs, validateWebhook(h, tolerate, at)...)
		errs = append(errs, validateReviewVersions(h.AdmissionReviewVersions, tolerate.unknownReviewVersions, at.Child("admissionReviewVersions"))...)
		if names.Has(h.Name) && h.Name != "" && !tolerate.duplicateNames {
			errs = append(errs, field.Duplicate(at.Child("name"), h.Name))
		}
		names.Insert(h.Name)
	}
	return errs
}

func validateWebhook(h *webhook, tolerate tolerance, at *field.Path) field.ErrorList {
	errs := utilvalidation.IsFullyQualifiedName(at.Child("name"), h.Name)
	for i := range h.Rules {
		errs = append(errs, validateOperations(&h.Rules[i], at.Child("rules").Index(i))...)
	}
	errs = append(errs, oneOf(h.FailurePolicy, at.Child("failurePolicy"), failurePolicies...)...)
	errs = append(errs, oneOf(h.MatchPolicy, at.Child("matchPolicy"), matchPolicies...)...)
	if h.SideEffects == nil {
		errs = append(errs, field.Required(at.Child("sideEffects"), "must specify one of "+strings.Join(names(sideEffects), ", ")))
	}
	errs = append(errs, oneOf(h.SideEffects, at.Child("sideEffects"), sideEffects...)...)
	if h.TimeoutSeconds != nil && (*h.TimeoutSeconds < 1 || *h.TimeoutSeconds > maxTimeoutSeconds) {
		errs = append(errs, field.Invalid(at.Child("timeoutSeconds"), *h.TimeoutSeconds, fmt.Sprintf("the timeout value must be between 1 and %d seconds", maxTimeoutSeconds)))
	}
	if h.NamespaceSelector != nil {
		errs = append(errs, metav1validation.ValidateLabelSelector(h.NamespaceSelector, tolerate.selectors, at.Child("namespaceSelector"))...)
	}
	if h.ObjectSelector != nil {
		errs = append(errs, metav1validation.ValidateLabelSelector(h.ObjectSelector, tolerate.selectors, at.Child("objectSelector"))...)
	}
	errs = append(errs, oneOf(h.reinvocation, at.Child("reinvocationPolicy"), reinvocationPolicies...)...)
	errs = append(errs, validateClient(&h.ClientConfig, at.Child("clientConfig"))...)
	if !tolerate.unchanged {
		errs = append(errs, validateConditions(newCompiler(false, tolerate.stored), h.MatchConditions, at.Child("matchConditions"))...)
	}
	return errs
}

func validateClient(c *admissionregistrationv1.WebhookClientConfig, at *field.Path) field.ErrorList {
	switch {
	case (c.URL == nil) == (c.Service == nil):
		return field.ErrorList{field.Required(at, "exactly one of url or service is required")}
	case c.URL != nil:
		return webhookutil.ValidateWebhookURL(at.Child("url"), *c.URL, true)
	}
	port := int32(defaultPort)
	if c.Service.Port != nil {
		port = *c.Service.Port
	}
	return webhookutil.ValidateWebhookService(at.Child("service"), c.Service.Namespace, c.Service.Name, c.Service.Path, port)
}

// reviewVersions are the versions of AdmissionReview that the server can send.
var reviewVersions = []string{"v1", "v1beta1"}

func knowsReviews(versions []string) bool { return sets.New(reviewVersions...).HasAny(versions...) }

func validateReviewVersions(versions []string, tolerateUnknown bool, at *field.Path) field.ErrorList {
	if len(versions) == 0 {
		return field.ErrorList{field.Required(at, "must specify one of "+strings.Join(reviewVersions, ", "))}
	}
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, version := range versions {
		if seen.Has(version) {
			errs = append(errs, field.Invalid(at.Index(i), version, "duplicate version"))
			continue
		}
		seen.Insert(version)
		for _, message := range utilvalidation.IsDNS1035Label(version) {
			errs = append(errs, field.Invalid(at.Index(i), version, message))
		}
	}
	if !knowsReviews(versions) && !tolerateUnknown {
		errs = append(errs, field.Invalid(at, versions, "must include at least one of "+strings.Join(reviewVersions, ", ")))
	}
	return errs
}
