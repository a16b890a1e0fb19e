package operator

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// clusterClient is a client of one cluster. Reads come from the cache, except for the kinds in Options.Uncached.
type clusterClient struct {
	name logicalcluster.Name
	m    *Manager
}

var _ ctrlclient.Client = &clusterClient{}

// live returns what talks to the server, and the context in which it talks to this cluster.
func (c *clusterClient) live(ctx context.Context) (context.Context, ctrlclient.Client, error) {
	e, err := c.m.fleet.at(c.name)
	if err != nil {
		return ctx, nil, err
	}
	return in(ctx, c.name), e.live, nil
}

// cached reports whether obj, or the items of a list, are read from the cache.
func (c *clusterClient) cached(obj runtime.Object) (bool, error) {
	gvk, err := apiutil.GVKForObject(obj, c.m.fleet.scheme)
	if err != nil {
		return false, fmt.Errorf("finding the kind of a %T: %w", obj, err)
	}
	return !c.m.uncached[itemKind(gvk)], nil
}

// Get implements client.Reader.
func (c *clusterClient) Get(ctx context.Context, key ctrlclient.ObjectKey, obj ctrlclient.Object, opts ...ctrlclient.GetOption) error {
	cached, err := c.cached(obj)
	if err != nil {
		return err
	}
	if cached {
		return c.m.fleet.get(ctx, client.Key{Cluster: c.name, Namespace: key.Namespace, Name: key.Name}, obj)
	}
	ctx, live, err := c.live(ctx)
	if err != nil {
		return err
	}
	return live.Get(ctx, key, obj, opts...)
}

// List implements client.Reader.
func (c *clusterClient) List(ctx context.Context, list ctrlclient.ObjectList, opts ...ctrlclient.ListOption) error {
	cached, err := c.cached(list)
	if err != nil {
		return err
	}
	if cached {
		return c.m.fleet.list(ctx, client.Scope{Cluster: c.name}, list, (&ctrlclient.ListOptions{}).ApplyOptions(opts))
	}
	ctx, live, err := c.live(ctx)
	if err != nil {
		return err
	}
	return live.List(ctx, list, opts...)
}

// do calls f with what writes to the cluster.
func (c *clusterClient) do(ctx context.Context, f func(context.Context, ctrlclient.Client) error) error {
	ctx, live, err := c.live(ctx)
	if err != nil {
		return err
	}
	return f(ctx, live)
}

// Create implements client.Writer.
func (c *clusterClient) Create(ctx context.Context, obj ctrlclient.Object, opts ...ctrlclient.CreateOption) error {
	return c.do(ctx, func(ctx context.Context, live ctrlclient.Client) error { return live.Create(ctx, obj, opts...) })
}

// Update implements client.Writer.
func (c *clusterClient) Update(ctx context.Context, obj ctrlclient.Object, opts ...ctrlclient.UpdateOption) error {
	return c.do(ctx, func(ctx context.Context, live ctrlclient.Client) error { return live.Update(ctx, obj, opts...) })
}

// Patch implements client.Writer.
func (c *clusterClient) Patch(ctx context.Context, obj ctrlclient.Object, patch ctrlclient.Patch, opts ...ctrlclient.PatchOption) error {
	return c.do(ctx, func(ctx context.Context, live ctrlclient.Client) error { return live.Patch(ctx, obj, patch, opts...) })
}

// Apply implements client.Writer.
func (c *clusterClient) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...ctrlclient.ApplyOption) error {
	return c.do(ctx, func(ctx context.Context, live ctrlclient.Client) error { return live.Apply(ctx, obj, opts...) })
}

// Delete implements client.Writer.
func (c *clusterClient) Delete(ctx context.Context, obj ctrlclient.Object, opts ...ctrlclient.DeleteOption) error {
	return c.do(ctx, func(ctx context.Context, live ctrlclient.Client) error { return live.Delete(ctx, obj, opts...) })
}

// DeleteAllOf implements client.Writer.
func (c *clusterClient) DeleteAllOf(ctx context.Context, obj ctrlclient.Object, opts ...ctrlclient.DeleteAllOfOption) error {
	return c.do(ctx, func(ctx context.Context, live ctrlclient.Client) error { return live.DeleteAllOf(ctx, obj, opts...) })
}

// Status implements client.StatusClient.
func (c *clusterClient) Status() ctrlclient.SubResourceWriter { return c.SubResource("status") }

// SubResource implements client.SubResourceClientConstructor.
func (c *clusterClient) SubResource(name string) ctrlclient.SubResourceClient {
	return &subresource{clusterClient: c, name: name}
}

// Scheme implements client.Client.
func (c *clusterClient) Scheme() *runtime.Scheme { return c.m.fleet.scheme }

// RESTMapper implements client.Client. Without an endpoint it knows nothing.
func (c *clusterClient) RESTMapper() meta.RESTMapper {
	if e, err := c.m.fleet.at(c.name); err == nil {
		return e.mapper
	}
	return meta.NewDefaultRESTMapper(nil)
}

// GroupVersionKindFor implements client.Client.
func (c *clusterClient) GroupVersionKindFor(obj runtime.Object) (schema.GroupVersionKind, error) {
	return apiutil.GVKForObject(obj, c.m.fleet.scheme)
}

// IsObjectNamespaced implements client.Client.
func (c *clusterClient) IsObjectNamespaced(obj runtime.Object) (bool, error) {
	return apiutil.IsObjectNamespaced(obj, c.m.fleet.scheme, c.RESTMapper())
}

// apiReader reads from the server.
type apiReader struct{ clusterClient }

// Get implements client.Reader.
func (r *apiReader) Get(ctx context.Context, key ctrlclient.ObjectKey, obj ctrlclient.Object, opts ...ctrlclient.GetOption) error {
	return r.do(ctx, func(ctx context.Context, live ctrlclient.Client) error { return live.Get(ctx, key, obj, opts...) })
}

// List implements client.Reader.
func (r *apiReader) List(ctx context.Context, list ctrlclient.ObjectList, opts ...ctrlclient.ListOption) error {
	return r.do(ctx, func(ctx context.Context, live ctrlclient.Client) error { return live.List(ctx, list, opts...) })
}

// subresource reads and writes a subresource in one cluster.
type subresource struct {
	*clusterClient
	name string
}

func (s *subresource) do(ctx context.Context, f func(context.Context, ctrlclient.SubResourceClient) error) error {
	return s.clusterClient.do(ctx, func(ctx context.Context, live ctrlclient.Client) error { return f(ctx, live.SubResource(s.name)) })
}

// Get implements client.SubResourceReader.
func (s *subresource) Get(ctx context.Context, obj, sub ctrlclient.Object, opts ...ctrlclient.SubResourceGetOption) error {
	return s.do(ctx, func(ctx context.Context, live ctrlclient.SubResourceClient) error {
		return live.Get(ctx, obj, sub, opts...)
	})
}

// Create implements client.SubResourceWriter.
func (s *subresource) Create(ctx context.Context, obj, sub ctrlclient.Object, opts ...ctrlclient.SubResourceCreateOption) error {
	return s.do(ctx, func(ctx context.Context, live ctrlclient.SubResourceClient) error {
		return live.Create(ctx, obj, sub, opts...)
	})
}

// Update implements client.SubResourceWriter.
func (s *subresource) Update(ctx context.Context, obj ctrlclient.Object, opts ...ctrlclient.SubResourceUpdateOption) error {
	return s.do(ctx, func(ctx context.Context, live ctrlclient.SubResourceClient) error {
		return live.Update(ctx, obj, opts...)
	})
}

// Patch implements client.SubResourceWriter.
func (s *subresource) Patch(ctx context.Context, obj ctrlclient.Object, patch ctrlclient.Patch, opts ...ctrlclient.SubResourcePatchOption) error {
	return s.do(ctx, func(ctx context.Context, live ctrlclient.SubResourceClient) error {
		return live.Patch(ctx, obj, patch, opts...)
	})
}

// Apply implements client.SubResourceWriter.
func (s *subresource) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...ctrlclient.SubResourceApplyOption) error {
	return s.do(ctx, func(ctx context.Context, live ctrlclient.SubResourceClient) error {
		return live.Apply(ctx, obj, opts...)
	})
}
