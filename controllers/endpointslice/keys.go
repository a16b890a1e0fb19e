package endpointslice

import (
	"context"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
)

// forBinding returns the slices of an export that got its first consumer, or that lost one.
func (r *reconciler) forBinding(_ context.Context, event client.Event) ([]client.Key, error) {
	binding, ok := event.Object.(*apisv1alpha2.APIBinding)
	if !ok {
		return nil, nil
	}
	key, export := client.KeyOf(binding), exportKeyOf(binding)
	var changed []client.Key
	switch {
	case event.Type == client.Deleted:
		r.consumers.Drop(key)
		changed = append(changed, export)
	case export == client.Key{}:
		changed = r.consumers.Drop(key)
	default:
		if r.consumers.Len(export) == 0 {
			changed = append(changed, export)
		}
		changed = append(changed, r.consumers.Set(key, export)...)
	}
	var keys []client.Key
	for _, export := range changed {
		keys = append(keys, r.referring.From(export)...)
	}
	return keys, nil
}

// forExport returns the slices for the export.
func (r *reconciler) forExport(_ context.Context, event client.Event) ([]client.Key, error) {
	if event.Type == client.Modified {
		return nil, nil // nothing in a slice depends on the content of an export
	}
	key := client.KeyOf(event.Object)
	keys := r.referring.From(key)
	if event.Type == client.Added {
		// Include those that found no object of this name.
		keys = append(keys, r.referring.From(client.Key{Name: key.Name})...)
	}
	return keys, nil
}

// forPartition returns the slices of its cluster that name the partition.
func (r *reconciler) forPartition(ctx context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	return r.withPartition(ctx, client.Scope{Cluster: key.Cluster}, func(name string) bool { return name == key.Name })
}

// forShard returns all slices that name a partition.
func (r *reconciler) forShard(ctx context.Context, _ client.Event) ([]client.Key, error) {
	return r.withPartition(ctx, client.Scope{}, func(name string) bool { return name != "" })
}

func (r *reconciler) withPartition(ctx context.Context, scope client.Scope, concerned func(partition string) bool) ([]client.Key, error) {
	all, err := client.List[apisv1alpha1.APIExportEndpointSlice](ctx, r.client, slices, scope)
	if err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, slice := range all {
		if concerned(slice.Spec.Partition) {
			keys = append(keys, client.KeyOf(slice))
		}
	}
	return keys, nil
}
