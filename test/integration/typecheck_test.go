package integration

import (
	"context"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// A policy is told what is wrong with its expressions for the types that the workspace serves.
func TestPolicies_TypeChecking(t *testing.T) {
	s := start(t)
	config := s.Workspace(workspace(t, s))
	apply(t, config, gadgetCRD)
	typed, client := annex.Clients(t, config)
	eventually(t, "gadgets are served", func(ctx context.Context) (bool, error) {
		_, err := client.Resource(gadgets).Namespace("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	policies := typed.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	rules := func(group, version, resource string) *admissionregistrationv1.MatchResources {
		named := admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: rulesFor(group, version, resource)[0]}
		return &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{named}}
	}
	for name, c := range map[string]struct {
		match *admissionregistrationv1.MatchResources
		valid string
		want  string
	}{
		"good":       {rules("", "v1", "configmaps"), "has(object.data) || object.metadata.name != 'a'", ""},
		"bad":        {rules("", "v1", "configmaps"), "object.spec.replicas > 1", "/v1, Kind=ConfigMap: "},
		"custom":     {rules("example.org", "v1", "gadgets"), "object.spec.wheels == 'many'", "example.org/v1, Kind=Gadget: "},
		"everything": {rules("*", "*", "*"), "object.spec.replicas > 1", ""},
	} {
		if _, err := policies.Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       admissionregistrationv1.ValidatingAdmissionPolicySpec{MatchConstraints: c.match, Validations: []admissionregistrationv1.Validation{{Expression: c.valid}}},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		var got *admissionregistrationv1.ValidatingAdmissionPolicy
		eventually(t, name+" is checked", func(ctx context.Context) (ok bool, err error) {
			got, err = policies.Get(ctx, name, metav1.GetOptions{})
			return err == nil && got.Status.TypeChecking != nil, err
		})
		warnings := got.Status.TypeChecking.ExpressionWarnings
		if got.Status.ObservedGeneration != got.Generation || (len(warnings) == 0) != (c.want == "") {
			t.Errorf("%s: %+v", name, got.Status)
		}
		if c.want != "" && len(warnings) == 1 && (warnings[0].FieldRef != "spec.validations[0].expression" || !strings.Contains(warnings[0].Warning, c.want)) {
			t.Errorf("%s: %+v", name, warnings)
		}
	}
	// So is one with parameters, which its user may change as before.
	const withParams = "params"
	if _, err := policies.Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: withParams},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			ParamKind:        &admissionregistrationv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"},
			MatchConstraints: rules("", "v1", "secrets"),
			Validations:      []admissionregistrationv1.Validation{{Expression: "params.nothing == 'a'"}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a policy with parameters is checked", func(ctx context.Context) (bool, error) {
		got, err := policies.Get(ctx, withParams, metav1.GetOptions{})
		return err == nil && got.Status.TypeChecking != nil && len(got.Status.TypeChecking.ExpressionWarnings) == 1, err
	})
	if _, err := policies.Patch(t.Context(), withParams, "application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{}); err != nil {
		t.Error(err)
	}
	// A new generation is checked again.
	if _, err := policies.Patch(t.Context(), "bad", "application/merge-patch+json", []byte(`{"spec":{"validations":[{"expression":"true"}]}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change is checked", func(ctx context.Context) (bool, error) {
		got, err := policies.Get(ctx, "bad", metav1.GetOptions{})
		return err == nil && got.Status.ObservedGeneration == 2 && len(got.Status.TypeChecking.ExpressionWarnings) == 0, err
	})
}
