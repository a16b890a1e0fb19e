package inprocess

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// deletionsAtOnce bounds how many resources of one cluster are emptied at a time: most hold nothing, and looking costs a
// round trip to etcd.
const deletionsAtOnce = 8

// CustomContent deletes what custom resources hold in a cluster.
type CustomContent interface {
	// DeleteAll is client.Content's, for custom resources only.
	DeleteAll(ctx context.Context, cluster logicalcluster.Name, namespace string, skip func(schema.GroupResource) bool) (client.Remaining, error)
}

// Content implements client.Content over every resource that the client knows and over custom resources.
type Content struct {
	client *Client
	custom CustomContent
	purge  func(ctx context.Context, cluster logicalcluster.Name) (int64, error)
}

var _ client.Content = &Content{}

// NewContent returns a Content that deletes typed objects through client, custom ones through custom, and the rest of a
// cluster's keys through purge.
func NewContent(c *Client, custom CustomContent, purge func(ctx context.Context, cluster logicalcluster.Name) (int64, error)) *Content {
	return &Content{client: c, custom: custom, purge: purge}
}

// DeleteAll implements client.Content. It goes on after an error, so that one broken resource does not keep the rest.
func (c *Content) DeleteAll(ctx context.Context, cluster logicalcluster.Name, namespace string, skip func(schema.GroupResource) bool) (client.Remaining, error) {
	remaining, err := c.custom.DeleteAll(ctx, cluster, namespace, skip)
	if remaining.Resources == nil {
		remaining.Resources = map[schema.GroupResource]int{}
	}
	if remaining.Finalizers == nil {
		remaining.Finalizers = map[string]int{}
	}
	errs := []error{err}
	var lock sync.Mutex
	var group errgroup.Group
	group.SetLimit(deletionsAtOnce)
	for gr, r := range c.client.resources {
		if (namespace != "" && !r.namespaced) || (skip != nil && skip(gr)) {
			continue
		}
		group.Go(func() error {
			left, err := c.deleteTyped(ctx, gr, client.Scope{Cluster: cluster, Namespace: namespace})
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("deleting %s: %w", gr, err))
			}
			if len(left) > 0 {
				remaining.Resources[gr] += len(left)
			}
			for _, obj := range left {
				for _, finalizer := range obj.GetFinalizers() {
					remaining.Finalizers[finalizer]++
				}
			}
			return nil
		})
	}
	_ = group.Wait() // errors are gathered above
	return remaining, errors.Join(errs...)
}

// deleteTyped asks for the deletion of every object of gr in scope and returns those that stay.
func (c *Content) deleteTyped(ctx context.Context, gr schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	objects, _, err := c.client.list(ctx, gr, scope, consistent)
	if err != nil || len(objects) == 0 {
		return nil, err
	}
	var errs []error
	for _, obj := range objects {
		if obj.GetDeletionTimestamp() != nil {
			continue
		}
		key := client.Key{Cluster: scope.Cluster, Namespace: obj.GetNamespace(), Name: obj.GetName()}
		uid := obj.GetUID()
		err := c.client.Delete(ctx, gr, key, &metav1.Preconditions{UID: &uid})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	left, _, err := c.client.list(ctx, gr, scope, consistent)
	return left, errors.Join(append(errs, err)...)
}

// Purge implements client.Content.
func (c *Content) Purge(ctx context.Context, cluster logicalcluster.Name) (int64, error) {
	return c.purge(ctx, cluster)
}
