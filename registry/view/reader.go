package view

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// object is one object of one resource.
type object struct {
	resource schema.GroupResource
	key      client.Key
}

// reader is what Compile reads from: the cluster it compiles, and objects of other clusters by key, which it notes.
type reader[T comparable] struct {
	view    *View[T]
	flight  *flight[T]
	cluster logicalcluster.Name
}

// Get implements client.Reader. An object of another cluster is noted before it is read, whether it exists or not, so that no
// change of it is missed.
func (r reader[T]) Get(ctx context.Context, resource schema.GroupResource, key client.Key) (client.Object, error) {
	if err := r.followed(resource); err != nil {
		return nil, err
	}
	if key.Cluster != r.cluster {
		r.view.mu.Lock()
		if r.flight.reads == nil {
			r.flight.reads = map[object]struct{}{}
		}
		r.flight.reads[object{resource, key}] = struct{}{}
		r.view.mu.Unlock()
	}
	obj, err := r.view.config.Reader.Get(ctx, resource, key)
	if err != nil {
		return nil, err
	}
	return obj, of(key.Cluster, resource, obj)
}

// List implements client.Reader for the cluster that is compiled.
func (r reader[T]) List(ctx context.Context, resource schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	if err := r.followed(resource); err != nil {
		return nil, err
	}
	if scope.Cluster != r.cluster {
		return nil, fmt.Errorf("a value of cluster %q cannot depend on a list of %s in cluster %q", r.cluster, resource, scope.Cluster)
	}
	objects, err := r.view.config.Reader.List(ctx, resource, scope)
	if err != nil {
		return nil, err
	}
	return objects, of(r.cluster, resource, objects...)
}

// Watch implements client.Reader. It always fails.
func (r reader[T]) Watch(context.Context, schema.GroupResource, func(client.Event)) error {
	return errors.New("a value is compiled from what is read, not from a watch")
}

// followed returns nil when changes of resource drop values.
func (r reader[T]) followed(resource schema.GroupResource) error {
	if !slices.Contains(r.view.config.Resources, resource) {
		return fmt.Errorf("a value of cluster %q cannot depend on %s, which is not followed", r.cluster, resource)
	}
	return nil
}

// of returns nil when all objects are of cluster.
func of(cluster logicalcluster.Name, resource schema.GroupResource, objects ...client.Object) error {
	for _, obj := range objects {
		if in := logicalcluster.From(obj); in != cluster {
			return fmt.Errorf("reading %s of cluster %q returned an object of cluster %q", resource.Resource, cluster, in)
		}
	}
	return nil
}
