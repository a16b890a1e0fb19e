package apibinding

import (
	"context"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// forBinding returns the binding itself and, after a change that may have released a name, the waiting bindings of its cluster.
func (c *Controller) forBinding(ctx context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	keys := []client.Key{key}
	if event.Type == client.Added {
		return keys, nil
	}
	waiting, err := c.waitingIn(ctx, key.Cluster, key.Name)
	return append(keys, waiting...), err
}

// forExport returns the bindings that refer to the export.
func (c *Controller) forExport(_ context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
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

// forDefinition returns, for a local definition that may have released a name, the waiting bindings of its cluster; for a
// deleted definition in system:bound-crds, the bindings that use it.
func (c *Controller) forDefinition(ctx context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	switch {
	case event.Type == client.Added:
		return nil, nil
	case key.Cluster != logicalcluster.SystemBoundCRDs:
		return c.waitingIn(ctx, key.Cluster, "")
	case event.Type == client.Deleted:
		return c.definers.From(key), nil
	}
	return nil, nil
}

// waitingIn returns the bindings in cluster, other than the one called except, that are not bound as their export requires.
func (c *Controller) waitingIn(ctx context.Context, cluster logicalcluster.Name, except string) ([]client.Key, error) {
	all, err := client.List[apisv1alpha2.APIBinding](ctx, c.Client, bindings, client.Scope{Cluster: cluster})
	if err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, binding := range all {
		if binding.Name != except && !conditionsv1alpha1.IsTrue(binding, apisv1alpha2.BindingUpToDate) {
			keys = append(keys, client.Key{Cluster: cluster, Name: binding.Name})
		}
	}
	return keys, nil
}
