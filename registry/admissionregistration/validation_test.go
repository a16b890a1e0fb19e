package admissionregistration

import (
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

func fields(errs field.ErrorList) string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Field)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

// hook returns a valid webhook, changed by adjust.
func hook(adjust func(*admissionregistrationv1.ValidatingWebhook)) admissionregistrationv1.ValidatingWebhook {
	h := admissionregistrationv1.ValidatingWebhook{
		Name: "a.example.com", ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: ptr.To("https://hooks.example.com")},
		SideEffects: ptr.To(admissionregistrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
	}
	if adjust != nil {
		adjust(&h)
	}
	return h
}

// What was stored under older rules stays, and is not added anew.
func TestValidateWebhooks_KeepsWhatIsStored(t *testing.T) {
	t.Parallel()
	condition := func(expression string) func(*admissionregistrationv1.ValidatingWebhook) {
		return func(h *admissionregistrationv1.ValidatingWebhook) {
			h.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "a", Expression: expression}}
		}
	}
	selector := func(h *admissionregistrationv1.ValidatingWebhook) {
		h.ObjectSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: metav1.LabelSelectorOpIn, Values: []string{"a b"}}}}
	}
	unknown := func(h *admissionregistrationv1.ValidatingWebhook) { h.AdmissionReviewVersions = []string{"v9"} }
	one := func(adjust func(*admissionregistrationv1.ValidatingWebhook)) []admissionregistrationv1.ValidatingWebhook {
		return []admissionregistrationv1.ValidatingWebhook{hook(adjust)}
	}
	twice := append(one(nil), hook(nil))
	for name, c := range map[string]struct {
		old, now []admissionregistrationv1.ValidatingWebhook
		want     string
	}{
		"a valid one":                      {nil, one(nil), ""},
		"an invalid condition":             {nil, one(condition("nothing")), "webhooks[0].matchConditions[0].expression"},
		"an invalid condition that stays":  {one(condition("nothing")), one(condition("nothing")), ""},
		"an invalid condition that is new": {one(condition("true")), one(condition("nothing")), "webhooks[0].matchConditions[0].expression"},
		"an invalid selector":              {nil, one(selector), "webhooks[0].objectSelector.matchExpressions[0].values[0]"},
		"an invalid selector that stays":   {one(selector), one(selector), ""},
		"an unknown review":                {nil, one(unknown), "webhooks[0].admissionReviewVersions"},
		"an unknown review that stays":     {one(unknown), one(unknown), ""},
		"two of one name":                  {nil, twice, "webhooks[1].name"},
		"two of one name that stay":        {twice, twice, ""},
		"two of one name that are new":     {one(nil), twice, "webhooks[1].name"},
		"more webhooks than before":        {one(condition("nothing")), append(one(condition("nothing")), hook(condition("true"))), "webhooks[0].matchConditions[0].expression webhooks[1].name"},
	} {
		if got := fields(validateWebhooks(validatingWebhooks(c.now), validatingWebhooks(c.old), c.old == nil)); got != c.want {
			t.Errorf("%s: faults in %q, want %q", name, got, c.want)
		}
	}
}

func policyOf(adjust func(*admissionregistrationv1.ValidatingAdmissionPolicySpec)) *admissionregistrationv1.ValidatingAdmissionPolicy {
	p := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	p.Spec = admissionregistrationv1.ValidatingAdmissionPolicySpec{
		FailurePolicy: ptr.To(admissionregistrationv1.Fail),
		MatchConstraints: &admissionregistrationv1.MatchResources{
			MatchPolicy: ptr.To(admissionregistrationv1.Equivalent), NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{},
			ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}}},
		},
		Validations: []admissionregistrationv1.Validation{{Expression: "true"}},
	}
	if adjust != nil {
		adjust(&p.Spec)
	}
	return p
}

func TestValidateValidatingPolicy_Update(t *testing.T) {
	t.Parallel()
	conditions := func(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) {
		s.ParamKind = &admissionregistrationv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}
		s.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "a", Expression: "params.data.a == 'b'"}}
	}
	if got := fields(validateValidatingPolicy(policyOf(conditions), nil)); got != "" {
		t.Errorf("faults in %q", got)
	}
	without := policyOf(conditions)
	without.Spec.ParamKind = nil
	if got := fields(validateValidatingPolicy(without, policyOf(conditions))); got != "spec.matchConditions[0].expression" {
		t.Errorf("without the parameters that its conditions need: faults in %q", got)
	}
	broken := policyOf(func(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) {
		s.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "a", Expression: "nothing"}}
	})
	if got := fields(validateValidatingPolicy(broken, broken)); got != "" {
		t.Errorf("conditions that have not changed: faults in %q", got)
	}
}

// A policy cannot make the server evaluate for long, nor store an endless list.
func TestValidate_Limits(t *testing.T) {
	t.Parallel()
	many := policyOf(func(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) {
		for range maxConditions + 1 {
			s.MatchConditions = append(s.MatchConditions, admissionregistrationv1.MatchCondition{Name: "a", Expression: "true"})
		}
		for range maxAnnotations + 1 {
			s.AuditAnnotations = append(s.AuditAnnotations, admissionregistrationv1.AuditAnnotation{Key: "a", ValueExpression: "'b'"})
		}
		s.AuditAnnotations[0].ValueExpression = "'" + strings.Repeat("b", maxValueExpression) + "'"
	})
	got := fields(validateValidatingPolicy(many, nil))
	for _, want := range []string{"spec.matchConditions ", "spec.auditAnnotations ", "spec.auditAnnotations[0].valueExpression"} {
		if !strings.Contains(got+" ", want) {
			t.Errorf("no fault in %s: %s", want, got)
		}
	}
}

func TestGeneration_CountsChanges(t *testing.T) {
	t.Parallel()
	kind := validatingConfigurations()
	old := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	kind.Prepare(old, nil)
	now := old.DeepCopy()
	now.Labels, now.Generation = map[string]string{"a": "b"}, 7
	kind.Prepare(now, old)
	changed := now.DeepCopy()
	changed.Webhooks = []admissionregistrationv1.ValidatingWebhook{hook(nil)}
	kind.Prepare(changed, now)
	if old.Generation != 1 || now.Generation != 1 || changed.Generation != 2 {
		t.Errorf("generations are %d, %d and %d", old.Generation, now.Generation, changed.Generation)
	}
}
