package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/operator"
	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
	"github.com/annex-dev/annex/examples/database-operator/postgres"
)

// Component is the name of the operator, in Events and on Secrets.
const Component = "database-operator"

const (
	workers = 4
	// firstRetry and lastRetry are the pauses after an error. A PostgreSQL server that is back is not waited for much longer than it was away.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// Reconciler reconciles the Databases of all consumers.
type Reconciler struct {
	Manager *operator.Manager
	Server  *postgres.Server
	Clock   clock.PassiveClock
	// Host and Port are where consumers find the PostgreSQL server.
	Host string
	Port uint16
	// Grace is how long the previous password stays valid after a new one is in the Secret.
	Grace time.Duration
}

// Setup adds the controller to the manager.
func (r *Reconciler) Setup() error {
	// Only metadata: passwords are not kept in memory.
	secrets := &metav1.PartialObjectMetadata{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return operator.ControllerManagedBy(r.Manager).
		For(&databasev1.Database{}, predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})).
		Watches(secrets, handler.TypedEnqueueRequestsFromMapFunc(sameName)).
		Watches(&apisv1alpha2.APIBinding{}, handler.TypedEnqueueRequestsFromMapFunc(r.allOf)).
		WithOptions(controller.TypedOptions[operator.Request]{
			MaxConcurrentReconciles: workers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[operator.Request](firstRetry, lastRetry),
		}).
		Complete(r)
}

func requestFor(obj client.Object) operator.Request {
	request := operator.Request{ClusterName: logicalcluster.From(obj)}
	request.NamespacedName = client.ObjectKeyFromObject(obj)
	return request
}

// sameName returns the Database that a Secret may belong to. A Secret that is nobody's costs a look into the cache.
func sameName(_ context.Context, obj client.Object) []operator.Request {
	return []operator.Request{requestFor(obj)}
}

// allOf returns all Databases of the consumer whose APIBinding has changed: it may accept or reject a claim.
func (r *Reconciler) allOf(ctx context.Context, binding client.Object) []operator.Request {
	var all databasev1.DatabaseList
	if err := r.Manager.In(logicalcluster.From(binding)).List(ctx, &all); err != nil {
		return nil // only while the manager ends
	}
	var requests []operator.Request
	for i := range all.Items {
		requests = append(requests, requestFor(&all.Items[i]))
	}
	return requests
}
