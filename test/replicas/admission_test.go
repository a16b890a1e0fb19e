package replicas

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	admissionregistrationclient "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/test/framework/annex"
)

// configMapsOnly matches the creation of ConfigMaps.
var configMapsOnly = admissionregistrationv1.RuleWithOperations{
	Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
	Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
}

// guard is something that a user makes to refuse ConfigMaps, with a message that says in which round.
type guard struct {
	create func(ctx context.Context, at admissionregistrationclient.AdmissionregistrationV1Interface, round string) error
	remove func(ctx context.Context, at admissionregistrationclient.AdmissionregistrationV1Interface) error
}

// awaitEverywhere makes a guard at one server and deletes it at another, over and over: every server heeds it, and none does any more once it is gone.
func (g guard) awaitEverywhere(t *testing.T, workspace string) {
	t.Helper()
	const rounds = 3
	c := theWorld.in(t, theWorld.newWorkspace(t, 0, workspace))
	probe := func(i int) error {
		_, err := c.typed[i].CoreV1().ConfigMaps("default").Create(t.Context(), small("probe"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	for number := range rounds {
		round := fmt.Sprint("round ", number)
		if err := g.create(t.Context(), c.typed[number%replicas].AdmissionregistrationV1(), round); err != nil {
			t.Fatal(err)
		}
		annex.Eventually(t, func(context.Context) error {
			for i := range replicas {
				if err := probe(i); err == nil || !strings.Contains(err.Error(), round) {
					return fmt.Errorf("server %d does not heed it in %s: %v", i, round, err) //nolint:errorlint // may be nil
				}
			}
			return nil
		})
		if err := g.remove(t.Context(), c.typed[(number+1)%replicas].AdmissionregistrationV1()); err != nil {
			t.Fatal(err)
		}
		annex.Eventually(t, func(context.Context) error {
			for i := range replicas {
				if err := probe(i); err != nil {
					return fmt.Errorf("server %d still heeds it: %w", i, err)
				}
			}
			return nil
		})
	}
}

func TestReplicas_PoliciesAreAppliedEverywhere(t *testing.T) {
	const name = "small"
	guard{
		create: func(ctx context.Context, at admissionregistrationclient.AdmissionregistrationV1Interface, round string) error {
			policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
			policy.Spec.Validations = []admissionregistrationv1.Validation{{Expression: "!has(object.metadata.labels)", Message: round}}
			policy.Spec.MatchConstraints = &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: configMapsOnly}},
			}
			if _, err := at.ValidatingAdmissionPolicies().Create(ctx, policy, metav1.CreateOptions{}); err != nil {
				return err
			}
			binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
			binding.Spec.PolicyName, binding.Spec.ValidationActions = name, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}
			_, err := at.ValidatingAdmissionPolicyBindings().Create(ctx, binding, metav1.CreateOptions{})
			return err
		},
		remove: func(ctx context.Context, at admissionregistrationclient.AdmissionregistrationV1Interface) error {
			return errors.Join(
				at.ValidatingAdmissionPolicyBindings().Delete(ctx, name, metav1.DeleteOptions{}),
				at.ValidatingAdmissionPolicies().Delete(ctx, name, metav1.DeleteOptions{}))
		},
	}.awaitEverywhere(t, "policies")
}

func TestReplicas_WebhooksAreAskedEverywhere(t *testing.T) {
	const name = "small.example.dev"
	hook := httptest.NewTLSServer(http.HandlerFunc(refuse))
	t.Cleanup(hook.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})
	guard{
		create: func(ctx context.Context, at admissionregistrationclient.AdmissionregistrationV1Interface, round string) error {
			configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}}
			configuration.Webhooks = []admissionregistrationv1.ValidatingWebhook{{
				Name:                    name,
				ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: ptr.To(hook.URL + "/" + strings.ReplaceAll(round, " ", "-")), CABundle: authority},
				Rules:                   []admissionregistrationv1.RuleWithOperations{configMapsOnly},
				SideEffects:             ptr.To(admissionregistrationv1.SideEffectClassNone),
				AdmissionReviewVersions: []string{"v1"},
			}}
			_, err := at.ValidatingWebhookConfigurations().Create(ctx, configuration, metav1.CreateOptions{})
			return err
		},
		remove: func(ctx context.Context, at admissionregistrationclient.AdmissionregistrationV1Interface) error {
			return at.ValidatingWebhookConfigurations().Delete(ctx, name, metav1.DeleteOptions{})
		},
	}.awaitEverywhere(t, "webhooks")
}

// refuse is a webhook that refuses everything, with the last part of its path as the message.
func refuse(out http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(out, "no review", http.StatusBadRequest)
		return
	}
	message := strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/"), "-", " ")
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: message}}
	review.Request = nil
	out.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(out).Encode(&review)
}
