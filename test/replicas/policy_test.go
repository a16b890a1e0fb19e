package replicas

import (
	"context"
	"fmt"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// An admission policy that is written at one server is applied at all of them, and at none any more once it is gone.
func TestReplicas_PoliciesAreAppliedEverywhere(t *testing.T) {
	w := theWorld
	c := w.in(t, w.newWorkspace(t, 0, "policies"))
	const name, rounds = "small", 3
	probe := func(i int) error {
		_, err := c.typed[i].CoreV1().ConfigMaps("default").Create(t.Context(), small("probe"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	for round := range rounds {
		at := c.typed[round%replicas].AdmissionregistrationV1()
		policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		policy.Spec.Validations = []admissionregistrationv1.Validation{{Expression: "!has(object.metadata.labels)", Message: fmt.Sprint("round ", round)}}
		policy.Spec.MatchConstraints = &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
			RuleWithOperations: admissionregistrationv1.RuleWithOperations{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			},
		}}}
		if _, err := at.ValidatingAdmissionPolicies().Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
		binding.Spec.PolicyName, binding.Spec.ValidationActions = name, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}
		if _, err := at.ValidatingAdmissionPolicyBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		annex.Eventually(t, func(context.Context) error {
			for i := range replicas {
				if err := probe(i); err == nil || !strings.Contains(err.Error(), fmt.Sprint("round ", round)) {
					return fmt.Errorf("server %d does not apply the policy: %v", i, err) //nolint:errorlint // may be nil
				}
			}
			return nil
		})
		other := c.typed[(round+1)%replicas].AdmissionregistrationV1()
		if err := other.ValidatingAdmissionPolicyBindings().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := other.ValidatingAdmissionPolicies().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		annex.Eventually(t, func(context.Context) error {
			for i := range replicas {
				if err := probe(i); err != nil {
					return fmt.Errorf("server %d still applies the policy: %w", i, err)
				}
			}
			return nil
		})
	}
}
