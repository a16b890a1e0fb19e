package endpointslice

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

var (
	cachedSlices    = cachev1alpha1.Resource("clustercachedresourceendpointslices")
	cachedResources = cachev1alpha1.Resource("clustercachedresources")
)

// cachedReconciler fills ClusterCachedResourceEndpointSlices. It has no index of the consumers of an export: there are few such slices.
type cachedReconciler struct{ reconciler }

func (r *cachedReconciler) spec() multicluster.Spec {
	return multicluster.Spec{
		Name:    "clustercachedresourceendpointslice",
		Workers: workers,
		Watches: []multicluster.Watch{
			{Resource: cachedSlices},
			{Resource: cachedResources, Keys: r.forSame(func(s *cachev1alpha1.ClusterCachedResourceEndpointSlice) string {
				return s.Spec.ClusterCachedResource.Name
			})},
			{Resource: exports, Keys: r.forSame(func(s *cachev1alpha1.ClusterCachedResourceEndpointSlice) string { return s.Spec.APIExport.Name })},
			{Resource: partitions, Keys: r.forSame(func(s *cachev1alpha1.ClusterCachedResourceEndpointSlice) string { return s.Spec.Partition })},
			{Resource: bindings, Keys: r.forConsumer},
			{Resource: shards, Keys: r.forAnyShard},
		},
		Reconcile: r.reconcile,
	}
}

// forSame returns what maps an object to the slices of its cluster that name it.
func (r *cachedReconciler) forSame(name func(*cachev1alpha1.ClusterCachedResourceEndpointSlice) string) func(context.Context, client.Event) ([]client.Key, error) {
	return func(ctx context.Context, event client.Event) ([]client.Key, error) {
		key := client.KeyOf(event.Object)
		return r.which(ctx, client.Scope{Cluster: key.Cluster}, func(s *cachev1alpha1.ClusterCachedResourceEndpointSlice) bool { return name(s) == key.Name })
	}
}

// forConsumer returns the slices of the export that a binding uses, if the binding may be the first or the last one.
func (r *cachedReconciler) forConsumer(ctx context.Context, event client.Event) ([]client.Key, error) {
	binding, ok := event.Object.(*apisv1alpha2.APIBinding)
	if !ok {
		return nil, nil
	}
	export := exportKeyOf(binding)
	if (export == client.Key{}) {
		return nil, nil
	}
	return r.which(ctx, client.Scope{Cluster: export.Cluster}, func(s *cachev1alpha1.ClusterCachedResourceEndpointSlice) bool {
		return s.Spec.APIExport.Name == export.Name && (event.Type == client.Deleted || len(s.Status.Endpoints) == 0)
	})
}

// forAnyShard returns all slices that name a partition.
func (r *cachedReconciler) forAnyShard(ctx context.Context, _ client.Event) ([]client.Key, error) {
	return r.which(ctx, client.Scope{}, func(s *cachev1alpha1.ClusterCachedResourceEndpointSlice) bool { return s.Spec.Partition != "" })
}

func (r *cachedReconciler) which(ctx context.Context, scope client.Scope, match func(*cachev1alpha1.ClusterCachedResourceEndpointSlice) bool) ([]client.Key, error) {
	all, err := client.List[cachev1alpha1.ClusterCachedResourceEndpointSlice](ctx, r.client, cachedSlices, scope)
	if err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, slice := range all {
		if match(slice) {
			keys = append(keys, client.KeyOf(slice))
		}
	}
	return keys, nil
}

func (r *cachedReconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	old, err := client.Find[cachev1alpha1.ClusterCachedResourceEndpointSlice](ctx, r.client, cachedSlices, key)
	if err != nil || old == nil || old.DeletionTimestamp != nil {
		return reconcile.Result{}, err
	}
	slice := old.DeepCopy()
	if err := r.fill(ctx, key, slice); err != nil {
		return reconcile.Result{}, err
	}
	if apiequality.Semantic.DeepEqual(old, slice) {
		return reconcile.Result{}, nil
	}
	_, err = r.client.Update(ctx, cachedSlices, key.Cluster, slice)
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("updating ClusterCachedResourceEndpointSlice %s: %w", key, err)
	}
	return reconcile.Result{}, nil
}

// fill updates the status of slice, which the caller owns.
func (r *cachedReconciler) fill(ctx context.Context, key client.Key, slice *cachev1alpha1.ClusterCachedResourceEndpointSlice) error {
	export := client.Key{Cluster: key.Cluster, Name: slice.Spec.APIExport.Name}
	shared, err := r.shares(ctx, key, slice)
	if err != nil {
		return err
	}
	offered, err := r.offered(ctx, key, slice)
	if err != nil {
		return err
	}
	placed, selects, err := r.placed(ctx, key, slice, slice.Spec.Partition)
	if err != nil {
		return err
	}
	slice.Status.ShardSelector, slice.Status.Endpoints = selects, nil
	if !shared || !offered || !placed {
		return nil
	}
	used, err := r.hasBinding(ctx, export)
	if err != nil || !used {
		return err
	}
	slice.Status.Endpoints = []cachev1alpha1.ClusterCachedResourceEndpoint{{URL: CachedPathOf(key)}}
	return nil
}

// CachedPathOf returns the path of the virtual workspace of the ClusterCachedResourceEndpointSlice called key, for example
// /services/replication/2f8kq1z0c7a9x3bd/flavors.
func CachedPathOf(key client.Key) string {
	return "/services/replication/" + key.Cluster.String() + "/" + key.Name
}

// shares reports whether the ClusterCachedResource of slice is ready, and sets the condition.
func (r *cachedReconciler) shares(ctx context.Context, key client.Key, slice *cachev1alpha1.ClusterCachedResourceEndpointSlice) (bool, error) {
	reference := slice.Spec.ClusterCachedResource
	invalid := func(reason, format string, args ...any) (bool, error) {
		conditionsv1alpha1.MarkFalse(slice, cachev1alpha1.ClusterCachedResourceValid, reason, conditionsv1alpha1.ConditionSeverityError, format, args...)
		return false, nil
	}
	here, err := r.isHere(ctx, key, reference.Path)
	if err != nil {
		return false, err
	}
	if !here {
		return invalid(cachev1alpha1.ClusterCachedResourceNotFoundReason, "ClusterCachedResource %s:%s is not in this workspace", reference.Path, reference.Name)
	}
	resource, err := client.Find[cachev1alpha1.ClusterCachedResource](ctx, r.client, cachedResources, client.Key{Cluster: key.Cluster, Name: reference.Name})
	switch {
	case err != nil:
		return false, err
	case resource == nil:
		return invalid(cachev1alpha1.ClusterCachedResourceNotFoundReason, "ClusterCachedResource %q not found", reference.Name)
	case resource.DeletionTimestamp != nil || resource.Status.Phase != cachev1alpha1.ClusterCachedResourcePhaseReady:
		return invalid(cachev1alpha1.ClusterCachedResourceNotReadyReason, "ClusterCachedResource %q is not ready", reference.Name)
	}
	conditionsv1alpha1.MarkTrue(slice, cachev1alpha1.ClusterCachedResourceValid)
	return true, nil
}

// offered reports whether the APIExport of slice exists, and sets the condition.
func (r *cachedReconciler) offered(ctx context.Context, key client.Key, slice *cachev1alpha1.ClusterCachedResourceEndpointSlice) (bool, error) {
	reference := slice.Spec.APIExport
	here, err := r.isHere(ctx, key, reference.Path)
	if err != nil {
		return false, err
	}
	var export *apisv1alpha2.APIExport
	if here {
		if export, err = client.Find[apisv1alpha2.APIExport](ctx, r.client, exports, client.Key{Cluster: key.Cluster, Name: reference.Name}); err != nil {
			return false, err
		}
	}
	if !lifecycle.CanBeFound(export) {
		conditionsv1alpha1.MarkFalse(slice, cachev1alpha1.APIExportValid, cachev1alpha1.APIExportNotFoundReason,
			conditionsv1alpha1.ConditionSeverityError, "APIExport %q not found in this workspace", reference.Name)
		return false, nil
	}
	conditionsv1alpha1.MarkTrue(slice, cachev1alpha1.APIExportValid)
	return true, nil
}

// isHere reports whether path, written in the object called key, leads to the cluster of that object.
func (r *cachedReconciler) isHere(ctx context.Context, key client.Key, path string) (bool, error) {
	if path == "" {
		return true, nil
	}
	found, ok, err := r.resolver.Resolve(ctx, logicalcluster.Path(path))
	if err != nil {
		return false, fmt.Errorf("finding the workspace that %s refers to: %w", key, err)
	}
	return ok && found == key.Cluster, nil
}
