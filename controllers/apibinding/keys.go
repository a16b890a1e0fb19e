package apibinding

import (
	"context"

	"k8s.io/klog/v2"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/reader"
)

// forBinding returns the binding itself and, after a change that may have released a name, those of its cluster that wait.
func (c *Controller) forBinding(ctx context.Context, event reader.Event) []reader.Key {
	key := reader.KeyOf(event.Object)
	keys := []reader.Key{key}
	if event.Type == reader.Added {
		return keys
	}
	return append(keys, c.waitingIn(ctx, key.Cluster, key.Name)...)
}

// forExport returns the bindings that refer to the export.
func (c *Controller) forExport(_ context.Context, event reader.Event) []reader.Key {
	key := reader.KeyOf(event.Object)
	keys := c.users.From(key)
	if event.Type == reader.Added {
		// Those that found none of this name when they looked.
		keys = append(keys, c.users.From(reader.Key{Name: key.Name})...)
	}
	return keys
}

// forSchema returns the bindings to exports that offer the schema. Schemas do not change, they come and go.
func (c *Controller) forSchema(ctx context.Context, event reader.Event) []reader.Key {
	if event.Type == reader.Modified {
		return nil
	}
	key := reader.KeyOf(event.Object)
	offering, err := list[apisv1alpha2.APIExport](ctx, c.Client, exports, reader.Scope{Cluster: key.Cluster})
	if err != nil {
		klog.FromContext(ctx).Error(err, "Finding the exports of a schema", "cluster", key.Cluster, "schema", key.Name)
		return nil
	}
	var keys []reader.Key
	for _, export := range offering {
		for _, resource := range export.Spec.Resources {
			if resource.Schema == key.Name {
				keys = append(keys, c.users.From(reader.Key{Cluster: key.Cluster, Name: export.Name})...)
				break
			}
		}
	}
	return keys
}

// forDefinition returns, for a local definition that may have released a name, the bindings of its cluster that wait; for
// one in system:bound-crds that is gone, the bindings that use it.
func (c *Controller) forDefinition(ctx context.Context, event reader.Event) []reader.Key {
	key := reader.KeyOf(event.Object)
	switch {
	case event.Type == reader.Added:
		return nil
	case key.Cluster != logicalcluster.SystemBoundCRDs:
		return c.waitingIn(ctx, key.Cluster, "")
	case event.Type == reader.Deleted:
		return c.definers.From(key)
	}
	return nil
}

// waitingIn returns the bindings in cluster, other than the one called except, that are not bound as their export asks.
func (c *Controller) waitingIn(ctx context.Context, cluster logicalcluster.Name, except string) []reader.Key {
	all, err := list[apisv1alpha2.APIBinding](ctx, c.Client, bindings, reader.Scope{Cluster: cluster})
	if err != nil {
		klog.FromContext(ctx).Error(err, "Finding the bindings that wait", "cluster", cluster)
		return nil
	}
	var keys []reader.Key
	for _, binding := range all {
		if binding.Name != except && !conditionsv1alpha1.IsTrue(binding, apisv1alpha2.BindingUpToDate) {
			keys = append(keys, reader.Key{Cluster: cluster, Name: binding.Name})
		}
	}
	return keys
}
