package typecheck

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// Checker checks the expressions of a policy.
type Checker interface {
	Check(ctx context.Context, cluster logicalcluster.Name, policy *admissionregistrationv1.ValidatingAdmissionPolicy) ([]admissionregistrationv1.ExpressionWarning, error)
}

// Config contains the dependencies. All fields are required.
type Config struct {
	multicluster.Config
	Checker Checker
}

var policies = admissionregistrationv1.Resource("validatingadmissionpolicies")

// Specs returns the controller.
func Specs(c Config) []multicluster.Spec {
	r := &reconciler{client: c.Client, checker: c.Checker}
	return []multicluster.Spec{{
		Name: "policy-typecheck",
		Watches: []multicluster.Watch{{
			Resource: policies,
			Keys: func(_ context.Context, event client.Event) ([]client.Key, error) {
				policy, ok := event.Object.(*admissionregistrationv1.ValidatingAdmissionPolicy)
				if !ok || checked(policy) {
					return nil, nil
				}
				return []client.Key{{Cluster: logicalcluster.From(policy), Name: policy.Name}}, nil
			},
		}},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	client  client.Client
	checker Checker
}

// checked reports whether there is nothing to do for a policy.
func checked(policy *admissionregistrationv1.ValidatingAdmissionPolicy) bool {
	return policy.DeletionTimestamp != nil || policy.Status.ObservedGeneration >= policy.Generation && policy.Status.TypeChecking != nil
}

// reconcile checks one policy.
func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	policy, err := client.Find[admissionregistrationv1.ValidatingAdmissionPolicy](ctx, r.client, policies, key)
	if err != nil || policy == nil || checked(policy) {
		return reconcile.Result{}, err
	}
	warnings, err := r.checker.Check(ctx, key.Cluster, policy)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("checking the types of ValidatingAdmissionPolicy %q: %w", key.Name, err)
	}
	updated := policy.DeepCopy()
	updated.Status.ObservedGeneration = policy.Generation
	updated.Status.TypeChecking = &admissionregistrationv1.TypeChecking{ExpressionWarnings: warnings}
	if _, err := r.client.Update(ctx, policies, key.Cluster, updated); err != nil {
		return reconcile.Result{}, fmt.Errorf("writing the status of ValidatingAdmissionPolicy %q: %w", key.Name, err)
	}
	return reconcile.Result{}, nil
}
