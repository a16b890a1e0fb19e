package endpointslice

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/references"
)

const workers = 2

var (
	slices     = apisv1alpha1.Resource("apiexportendpointslices")
	exports    = apisv1alpha2.Resource("apiexports")
	bindings   = apisv1alpha2.Resource("apibindings")
	partitions = topologyv1alpha1.Resource("partitions")
	shards     = corev1alpha1.Resource("shards")
)

// Specs describes the controller.
func Specs(c multicluster.Config) []multicluster.Spec {
	r, cached := &reconciler{client: c.Client, resolver: c.Resolver}, &cachedReconciler{reconciler{client: c.Client, resolver: c.Resolver}}
	return []multicluster.Spec{cached.spec(), {
		Name:    "apiexportendpointslice",
		Workers: workers,
		Watches: []multicluster.Watch{
			{Resource: slices},
			{Resource: bindings, Keys: r.forBinding},
			{Resource: exports, Keys: r.forExport},
			{Resource: partitions, Keys: r.forPartition},
			{Resource: shards, Keys: r.forShard},
		},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	client   client.Client
	resolver multicluster.Resolver
	// consumers maps an export to the bindings that use it; referring maps it to its slices.
	consumers, referring references.Index
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	old, err := client.Find[apisv1alpha1.APIExportEndpointSlice](ctx, r.client, slices, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if old == nil || old.DeletionTimestamp != nil {
		r.referring.Drop(key)
		return reconcile.Result{}, nil
	}
	slice := old.DeepCopy()
	if err := r.fill(ctx, key, slice); err != nil {
		return reconcile.Result{}, err
	}
	if apiequality.Semantic.DeepEqual(old, slice) {
		return reconcile.Result{}, nil
	}
	_, err = r.client.Update(ctx, slices, key.Cluster, slice)
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("updating APIExportEndpointSlice %s: %w", key, err)
	}
	return reconcile.Result{}, nil
}
