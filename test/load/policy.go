package main

import (
	"context"
	"errors"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/crowd"
)

var (
	policies       = admissionregistrationv1.SchemeGroupVersion.WithResource("validatingadmissionpolicies")
	policyBindings = admissionregistrationv1.SchemeGroupVersion.WithResource("validatingadmissionpolicybindings")
)

// ruledName is the name of the policy or webhook, and its binding.
const ruledName = "load.example.com"

// refusedKey is the key of data that the policy refuses.
const refusedKey = "refused"

// measurePolicy compares a namespace with a ValidatingAdmissionPolicy for
// ConfigMaps with one without.
func measurePolicy(ctx context.Context, b *bench) error {
	return b.measureRule(ctx, rule{name: "policy", make: makePolicy})
}

// configMapWrites are the resource rules of a policy or a webhook.
func configMapWrites() []any {
	return []any{map[string]any{
		"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE", "UPDATE", "DELETE"}, "resources": []any{"configmaps"},
	}}
}

// inNamespace is a selector of one namespace.
func inNamespace(name string) map[string]any {
	return map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": name}}
}

// makePolicy makes a policy for a namespace and returns when it applies.
func makePolicy(ctx context.Context, client dynamic.Interface, namespace string) error {
	if err := createPolicy(ctx, client, namespace); err != nil {
		return err
	}
	probe := newConfigMap("refused")
	probe.Object["data"] = map[string]any{refusedKey: "yes"}
	return awaitRule(ctx, func() (bool, error) {
		_, err := client.Resource(configMaps).Namespace(namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsInvalid(err) {
			return true, nil
		}
		return false, err
	})
}

func createPolicy(ctx context.Context, client dynamic.Interface, namespace string) error {
	policy := newObject(policies, "ValidatingAdmissionPolicy", ruledName, map[string]any{"spec": map[string]any{
		"failurePolicy":    "Fail",
		"matchConstraints": map[string]any{"resourceRules": configMapWrites()},
		"validations": []any{map[string]any{
			"expression": "request.operation == 'DELETE' || !has(object.data) || !('" + refusedKey + "' in object.data) && object.data.all(k, size(object.data[k]) < 100000)",
		}},
	}})
	binding := newObject(policyBindings, "ValidatingAdmissionPolicyBinding", ruledName, map[string]any{"spec": map[string]any{
		"policyName": ruledName, "validationActions": []any{"Deny"}, "matchResources": map[string]any{"namespaceSelector": inNamespace(namespace)},
	}})
	if _, err := client.Resource(policies).Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating a ValidatingAdmissionPolicy: %w", err)
	}
	if _, err := client.Resource(policyBindings).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating a ValidatingAdmissionPolicyBinding: %w", err)
	}
	return nil
}

// awaitRule returns when applies does.
func awaitRule(ctx context.Context, applies func() (bool, error)) error {
	ctx, cancel := withChangeTimeout(ctx)
	defer cancel()
	for {
		done, err := applies()
		if done || err != nil {
			return err
		}
		if ended := crowd.Sleep(ctx, servedInterval); ended != nil {
			return errors.Join(errors.New("the rule does not apply"), ended)
		}
	}
}

// measurePolicies tells whether policies of other workspaces make one slower that
// has none: it measures the same workspace before and after there are others.
func measurePolicies(ctx context.Context, b *bench) error {
	names, _, _, err := b.makeWorkspaces(ctx, "without", 1, nil)
	if err != nil {
		return err
	}
	url := crowd.ClusterURL(b.target.admin.Host, workspacePath(names[0]))
	side := func(name string) *crudSide {
		return newCRUDSide(name, b.target.admin, url, metav1.NamespaceDefault)
	}
	if err := b.crudRound(ctx, side("warm"), b.opts.rounds); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	before, after := side("before"), side("after")
	if err := b.crudRounds(ctx, []*crudSide{before}); err != nil {
		return err
	}
	from, err := b.snapshot(ctx)
	if err != nil {
		return err
	}
	// In each, a write makes the server compile the policy.
	if _, _, _, err = b.makeWorkspaces(ctx, "policies", b.opts.policies, func(ctx context.Context, c *crowd.Connection, name string) error {
		client, err := c.Cluster(workspacePath(name))
		if err != nil {
			return err
		}
		if err := makePolicy(ctx, client, metav1.NamespaceDefault); err != nil {
			return fmt.Errorf("in workspace %q: %w", name, err)
		}
		return nil
	}); err != nil {
		return err
	}
	to, err := b.snapshotAfterRest(ctx, "policies")
	if err != nil {
		return err
	}
	if err := b.crudRounds(ctx, []*crudSide{after}); err != nil {
		return err
	}
	for _, op := range operations() {
		for _, side := range []*crudSide{before, after} {
			b.report.add("policies_"+side.name+"_"+op.name+"_rate", side.results[op.name].rate(), unitRate)
			b.report.latencies("policies_"+side.name+"_"+op.name, side.results[op.name].latencies)
		}
		// Below 1, the workspace became slower.
		b.report.add("policies_"+op.name+"_after_to_before", after.results[op.name].rate()/before.results[op.name].rate(), unitCount)
	}
	b.report.add("policies_rss_per_workspace", kib((to.rss-from.rss)/float64(b.opts.policies)), unitKiB)
	return nil
}
