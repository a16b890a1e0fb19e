package controller

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/operator"
	appv1 "github.com/annex-dev/annex/examples/composition/api/v1"
	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
	routev1 "github.com/annex-dev/annex/examples/route-operator/api/v1"
)

// Component is the name of the operator, in Events and as field manager.
const Component = "app-operator"

// Reconciler reconciles the Apps of all consumers.
type Reconciler struct{ Manager *operator.Manager }

// Setup adds the controller to the manager.
func (r *Reconciler) Setup() error {
	return operator.ControllerManagedBy(r.Manager).
		For(&appv1.App{}).
		Owns(&databasev1.Database{}).
		Owns(&routev1.Route{}).
		Watches(&apisv1alpha2.APIBinding{}, handler.TypedEnqueueRequestsFromMapFunc(r.allOf)).
		Complete(r)
}

// allOf returns all Apps of the consumer whose APIBinding has changed: it may accept or reject a claim.
func (r *Reconciler) allOf(ctx context.Context, binding client.Object) []operator.Request {
	cluster := logicalcluster.From(binding)
	var all appv1.AppList
	if err := r.Manager.In(cluster).List(ctx, &all); err != nil {
		return nil // only while the manager ends
	}
	var requests []operator.Request
	for i := range all.Items {
		request := operator.Request{ClusterName: cluster}
		request.NamespacedName = client.ObjectKeyFromObject(&all.Items[i])
		requests = append(requests, request)
	}
	return requests
}
