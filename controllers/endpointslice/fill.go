package endpointslice

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/annex-dev/annex/apis/apis/identity"
	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// fill updates the status of slice, which the caller owns.
func (r *reconciler) fill(ctx context.Context, key client.Key, slice *apisv1alpha1.APIExportEndpointSlice) error {
	export, err := r.exportOf(ctx, key, slice)
	if err != nil {
		return err
	}
	placed, selects, err := r.placed(ctx, key, slice, slice.Spec.Partition)
	if err != nil {
		return err
	}
	slice.Status.ShardSelector = selects
	used := false
	if placed && export != (client.Key{}) {
		if used, err = r.isUsed(ctx, export, len(slice.Status.APIExportEndpoints) > 0); err != nil {
			return err
		}
	}
	if !used {
		slice.Status.APIExportEndpoints = nil
		return nil
	}
	slice.Status.APIExportEndpoints = []apisv1alpha1.APIExportEndpoint{{URL: PathOf(export)}}
	return nil
}

// PathOf returns the path of the virtual workspace of the export called key, for example
// /services/apiexport/2f8kq1z0c7a9x3bd/widgets.example.com.
func PathOf(key client.Key) string {
	return "/services/apiexport/" + key.Cluster.String() + "/" + key.Name
}

// exportOf returns the key of the export of slice. If the export does not exist, exportOf sets the conditions and returns no key.
func (r *reconciler) exportOf(ctx context.Context, key client.Key, slice *apisv1alpha1.APIExportEndpointSlice) (client.Key, error) {
	reference := slice.Spec.APIExport
	missing := func() (client.Key, error) {
		conditionsv1alpha1.MarkFalse(slice, apisv1alpha1.APIExportValid, apisv1alpha1.APIExportNotFoundReason,
			conditionsv1alpha1.ConditionSeverityError, "APIExport %s:%s not found", reference.Path, reference.Name)
		return client.Key{}, nil
	}
	provider, found := key.Cluster, true
	if reference.Path != "" {
		var err error
		if provider, found, err = r.resolver.Resolve(ctx, logicalcluster.Path(reference.Path)); err != nil {
			return client.Key{}, fmt.Errorf("finding the workspace of the export of APIExportEndpointSlice %s: %w", key, err)
		}
	}
	if !found {
		// An export of this name may be created in a workspace that does not exist yet.
		r.referring.Set(key, client.Key{Name: reference.Name})
		return missing()
	}
	at := client.Key{Cluster: provider, Name: reference.Name}
	// Set this before the export is read, so that no change of it is missed.
	r.referring.Set(key, at)
	export, err := client.Find[apisv1alpha2.APIExport](ctx, r.client, exports, at)
	if err != nil {
		return client.Key{}, err
	}
	if !lifecycle.CanBeFound(export) {
		// It may be created here, or in another workspace that replaces this one.
		r.referring.Set(key, client.Key{Name: reference.Name})
		return missing()
	}
	conditionsv1alpha1.MarkTrue(slice, apisv1alpha1.APIExportValid)
	return at, nil
}

// placed reports whether the partition of slice, if it names one, contains a shard, and returns its selector as a string. It sets the
// condition, and if the partition has a fault, the condition says so.
func (r *reconciler) placed(ctx context.Context, key client.Key, slice conditionsv1alpha1.Setter, name string) (placed bool, selects string, err error) {
	if name == "" {
		conditionsv1alpha1.MarkTrue(slice, apisv1alpha1.PartitionValid)
		return true, "", nil
	}
	invalid := func(format string, args ...any) {
		conditionsv1alpha1.MarkFalse(slice, apisv1alpha1.PartitionValid, apisv1alpha1.PartitionInvalidReferenceReason,
			conditionsv1alpha1.ConditionSeverityError, format, args...)
	}
	partition, err := client.Find[topologyv1alpha1.Partition](ctx, r.client, partitions, client.Key{Cluster: key.Cluster, Name: name})
	if err != nil {
		return false, "", err
	}
	if partition == nil {
		invalid("Partition %q not found", name)
		return false, "", nil
	}
	selector := labels.Everything()
	if partition.Spec.Selector != nil {
		if selector, err = metav1.LabelSelectorAsSelector(partition.Spec.Selector); err != nil {
			invalid("Partition %q: %v", name, err)
			return false, "", nil
		}
	}
	conditionsv1alpha1.MarkTrue(slice, apisv1alpha1.PartitionValid)
	inside, err := r.client.List(ctx, shards, client.Scope{Cluster: logicalcluster.Root, Selector: selector})
	if err != nil {
		return false, "", fmt.Errorf("listing the shards: %w", err)
	}
	return len(inside) > 0, selector.String(), nil
}

// isUsed reports whether a binding to export exists. It checks the index first. Before an existing address is removed, it checks all
// bindings, because the index may be incomplete at the start.
func (r *reconciler) isUsed(ctx context.Context, export client.Key, before bool) (bool, error) {
	_, indexed := r.consumers.Any(export, func(key client.Key) bool {
		binding, err := client.Find[apisv1alpha2.APIBinding](ctx, r.client, bindings, key)
		return err == nil && binding != nil && exportKeyOf(binding) == export
	})
	if indexed || !before {
		return indexed, nil
	}
	return r.hasBinding(ctx, export)
}

// hasBinding reports whether a binding to export exists, by a look at all bindings.
func (r *reconciler) hasBinding(ctx context.Context, export client.Key) (bool, error) {
	all, err := client.List[apisv1alpha2.APIBinding](ctx, r.client, bindings, client.Scope{Selector: identity.BindingsTo(export.Cluster, export.Name)})
	if err != nil {
		return false, fmt.Errorf("finding the consumers of %s: %w", export, err)
	}
	for _, binding := range all {
		if exportKeyOf(binding) == export {
			return true, nil
		}
	}
	return false, nil
}

// exportKeyOf returns the export that binding uses; no key while it has found none.
func exportKeyOf(binding *apisv1alpha2.APIBinding) client.Key {
	if binding.Status.APIExportClusterName == "" || binding.Spec.Reference.Export == nil {
		return client.Key{}
	}
	return client.Key{Cluster: logicalcluster.Name(binding.Status.APIExportClusterName), Name: binding.Spec.Reference.Export.Name}
}
