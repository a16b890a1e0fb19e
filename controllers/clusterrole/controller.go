package clusterrole

import (
	"context"
	"errors"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/aggregation"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// Specs returns the controller.
func Specs(c multicluster.Config) []multicluster.Spec {
	r := &reconciler{client: c.Client}
	return []multicluster.Spec{{
		Name:    "clusterrole-aggregation",
		Workers: 2,
		Watches: []multicluster.Watch{{
			Resource: rbacv1.Resource("clusterroles"),
			Keys: func(_ context.Context, event client.Event) ([]client.Key, error) {
				return []client.Key{{Cluster: logicalcluster.From(event.Object)}}, nil
			},
		}},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct{ client client.Client }

// reconcile brings every aggregated ClusterRole of a cluster up to date. If a role is part of another one, the event of its
// own update shows its new state.
func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	resource := rbacv1.Resource("clusterroles")
	all, err := client.List[rbacv1.ClusterRole](ctx, r.client, resource, client.Scope{Cluster: key.Cluster})
	if err != nil {
		return reconcile.Result{}, err
	}
	var aggregated []*rbacv1.ClusterRole
	for _, role := range all {
		if role.AggregationRule != nil && role.DeletionTimestamp == nil {
			aggregated = append(aggregated, role)
		}
	}
	var failures []error
	for _, role := range aggregated {
		rules, err := aggregation.Rules(role, all)
		if err != nil {
			// A retry does not help, and other roles must not be affected.
			klog.FromContext(ctx).Error(err, "A role cannot be aggregated")
			continue
		}
		if apiequality.Semantic.DeepEqual(rules, role.Rules) {
			continue
		}
		updated := role.DeepCopy()
		updated.Rules = rules
		_, err = r.client.Update(ctx, resource, key.Cluster, updated)
		if err != nil && !apierrors.IsNotFound(err) {
			failures = append(failures, fmt.Errorf("updating ClusterRole %q: %w", role.Name, err))
		}
	}
	return reconcile.Result{}, errors.Join(failures...)
}
