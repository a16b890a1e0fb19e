package apibinding

import (
	"context"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// unsettled returns the key of a binding, unless it is new to the watch and already as it should be: those that workspaces have from the beginning
// are. Their exports are of root, and serve what no definition is needed for.
func (c *Controller) unsettled(ctx context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	binding, ok := event.Object.(*apisv1alpha2.APIBinding)
	if !ok || event.Type != client.Added || binding.DeletionTimestamp != nil || binding.Status.Phase != apisv1alpha2.APIBindingPhaseBound ||
		binding.Status.APIExportClusterName != logicalcluster.Root.String() || len(c.definitionsOf(binding)) > 0 {
		return []client.Key{key}, nil
	}
	c.arrived(key)
	defer c.names.Lock(key.Cluster)()
	c.using.RLock()
	defer c.using.RUnlock()
	names := &taken{controller: c, from: c.Live, key: key, binding: binding.DeepCopy()}
	if err := c.bind(ctx, names); err != nil || len(names.wanted) > 0 || !apiequality.Semantic.DeepEqual(binding, names.binding) {
		return []client.Key{key}, nil //nolint:nilerr // it is reconciled, which fails again
	}
	return nil, nil
}

// forExport returns the bindings that refer to the export, if they can see a change of it.
func (c *Controller) forExport(_ context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	if !c.offersAnew(key, event) {
		return nil, nil
	}
	keys := c.users.From(key)
	if event.Type == client.Added {
		// Include those that found no object of this name.
		keys = append(keys, c.users.From(client.Key{Name: key.Name})...)
	}
	return keys, nil
}

// forSchema returns the bindings to exports that offer the schema. Schemas are created and deleted but never changed.
func (c *Controller) forSchema(ctx context.Context, event client.Event) ([]client.Key, error) {
	if event.Type == client.Modified {
		return nil, nil
	}
	key := client.KeyOf(event.Object)
	offering, err := client.List[apisv1alpha2.APIExport](ctx, c.Client, exports, client.Scope{Cluster: key.Cluster})
	if err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, export := range offering {
		for _, resource := range export.Spec.Resources {
			if resource.Schema == key.Name {
				keys = append(keys, c.users.From(client.Key{Cluster: key.Cluster, Name: export.Name})...)
				break
			}
		}
	}
	return keys, nil
}

// forDefinition returns the bindings that use a deleted definition in system:bound-crds.
func (c *Controller) forDefinition(_ context.Context, event client.Event) ([]client.Key, error) {
	if event.Type != client.Deleted {
		return nil, nil
	}
	return c.definers.From(client.KeyOf(event.Object)), nil
}
