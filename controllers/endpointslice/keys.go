package endpointslice

import (
	"context"

	"k8s.io/klog/v2"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client/reader"
)

// forBinding returns the slices of an export that got its first consumer, or that lost one.
func (r *reconciler) forBinding(_ context.Context, event reader.Event) []reader.Key {
	binding, ok := event.Object.(*apisv1alpha2.APIBinding)
	if !ok {
		return nil
	}
	key, export := reader.KeyOf(binding), exportKeyOf(binding)
	var changed []reader.Key
	switch {
	case event.Type == reader.Deleted:
		r.consumers.Drop(key)
		changed = append(changed, export)
	case export == reader.Key{}:
		changed = r.consumers.Drop(key)
	default:
		if r.consumers.Len(export) == 0 {
			changed = append(changed, export)
		}
		changed = append(changed, r.consumers.Set(key, export)...)
	}
	var keys []reader.Key
	for _, export := range changed {
		keys = append(keys, r.referring.From(export)...)
	}
	return keys
}

// forExport returns the slices for the export.
func (r *reconciler) forExport(_ context.Context, event reader.Event) []reader.Key {
	if event.Type == reader.Modified {
		return nil // nothing in a slice follows from what an export says
	}
	key := reader.KeyOf(event.Object)
	keys := r.referring.From(key)
	if event.Type == reader.Added {
		// Those that found none of this name when they looked.
		keys = append(keys, r.referring.From(reader.Key{Name: key.Name})...)
	}
	return keys
}

// forPartition returns the slices of its cluster that name the partition.
func (r *reconciler) forPartition(ctx context.Context, event reader.Event) []reader.Key {
	key := reader.KeyOf(event.Object)
	return r.withPartition(ctx, reader.Scope{Cluster: key.Cluster}, func(name string) bool { return name == key.Name })
}

// forShard returns all slices that name a partition.
func (r *reconciler) forShard(ctx context.Context, _ reader.Event) []reader.Key {
	return r.withPartition(ctx, reader.Scope{}, func(name string) bool { return name != "" })
}

func (r *reconciler) withPartition(ctx context.Context, scope reader.Scope, concerned func(partition string) bool) []reader.Key {
	objects, err := r.client.List(ctx, slices, scope)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Finding the slices of a partition", "cluster", scope.Cluster)
		return nil
	}
	var keys []reader.Key
	for _, obj := range objects {
		if slice, ok := obj.(*apisv1alpha1.APIExportEndpointSlice); ok && concerned(slice.Spec.Partition) {
			keys = append(keys, reader.KeyOf(slice))
		}
	}
	return keys
}
