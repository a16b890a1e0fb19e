package schema

import (
	"context"
	"errors"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/finalizer"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/storage"
)

// pageSize is how many objects are decoded at a time.
const pageSize = 500

// Content deletes the custom resources of clusters through their storage, finalizers honored.
type Content struct {
	catalog  *catalog.Catalog
	handlers *Handlers
}

// NewContent returns a Content that finds resources in catalog and their storage in handlers.
func NewContent(catalog *catalog.Catalog, handlers *Handlers) *Content {
	return &Content{catalog: catalog, handlers: handlers}
}

// DeleteAll asks for the deletion of every custom resource in namespace, or in the whole cluster when namespace is empty, and
// returns what is left. Resources for which skip is true are left alone and not counted. It goes on after an error.
func (c *Content) DeleteAll(ctx context.Context, cluster logicalcluster.Name, namespace string, skip func(schema.GroupResource) bool) (client.Remaining, error) {
	remaining := client.Remaining{Resources: map[schema.GroupResource]int{}, Finalizers: map[string]int{}}
	snapshot, err := c.catalog.Refresh(ctx, cluster)
	if err != nil {
		return remaining, err
	}
	var errs []error
	for _, resource := range snapshot.Resources() {
		if resource.Typed || (namespace != "" && !resource.Namespaced) || (skip != nil && skip(resource.GroupResource())) {
			continue
		}
		errs = append(errs, c.delete(ctx, cluster, namespace, resource, &remaining))
	}
	return remaining, errors.Join(errs...)
}

// DeleteLocal asks for the deletion of every object of a definition that lies in cluster itself and returns what is left,
// whatever else the cluster may serve under that name.
func (c *Content) DeleteLocal(ctx context.Context, cluster logicalcluster.Name, crd *apiextensionsv1.CustomResourceDefinition) (client.Remaining, error) {
	remaining := client.Remaining{Resources: map[schema.GroupResource]int{}, Finalizers: map[string]int{}}
	resource, err := c.catalog.ResourceOf(crd, catalog.LocalBucket)
	if err != nil {
		return remaining, err
	}
	return remaining, c.delete(ctx, cluster, "", resource, &remaining)
}

// DeleteBound asks for the deletion of every object in cluster of the bound schema with the given UID and identity hash, and
// returns what is left. Typed resources, and schemas without a definition in system:bound-crds, have no custom resources.
func (c *Content) DeleteBound(ctx context.Context, cluster logicalcluster.Name, gr schema.GroupResource, schemaUID, identity string) (client.Remaining, error) {
	remaining := client.Remaining{Resources: map[schema.GroupResource]int{}, Finalizers: map[string]int{}}
	resource, ok, err := c.catalog.BoundResource(ctx, gr, schemaUID, identity)
	if err != nil || !ok || resource.Typed {
		return remaining, err
	}
	return remaining, c.delete(ctx, cluster, "", resource, &remaining)
}

func (c *Content) delete(ctx context.Context, cluster logicalcluster.Name, namespace string, resource *catalog.Resource, remaining *client.Remaining) error {
	deleter, err := c.handlers.Deleter(resource)
	if err != nil {
		return err
	}
	ctx = storage.DroppingUnreadable(storage.WithBucket(logicalcluster.WithCluster(ctx, cluster), resource.Bucket))
	left, err := deleter.DeleteAll(genericapirequest.WithNamespace(ctx, namespace))
	if left.Objects > 0 {
		remaining.Resources[resource.GroupResource()] += left.Objects
	}
	for name, n := range left.Finalizers {
		remaining.Finalizers[name] += n
	}
	if err != nil {
		return fmt.Errorf("deleting %s in %q: %w", resource.GroupResource(), cluster, err)
	}
	return nil
}

// Deleter deletes the objects of one custom resource.
type Deleter struct {
	objects    finalizer.ListerCollectionDeleter
	namespaced bool
}

// Left says what a deletion left behind.
type Left struct {
	// Objects is how many objects are still there.
	Objects int
	// Finalizers maps each finalizer to how many of the objects it holds.
	Finalizers map[string]int
}

// Deleter returns the deleter of a resource that is not Typed.
func (h *Handlers) Deleter(resource *catalog.Resource) (*Deleter, error) {
	e, err := h.entry(resource)
	if err != nil {
		return nil, err
	}
	objects, err := e.handler.GetCustomResourceListerCollectionDeleter(resource.CRD)
	if err != nil {
		return nil, fmt.Errorf("finding the storage of %s: %w", resource.GroupResource(), err)
	}
	return &Deleter{objects: objects, namespaced: resource.Namespaced}, nil
}

// DeleteAll asks for the deletion of every object in the cluster, bucket and namespace (empty for all) of ctx, finalizers
// honored, and returns what is left.
func (d *Deleter) DeleteAll(ctx context.Context) (Left, error) {
	namespaces := map[string]bool{}
	err := d.each(ctx, func(obj *unstructured.Unstructured) {
		if obj.GetDeletionTimestamp() == nil {
			namespaces[obj.GetNamespace()] = true
		}
	})
	if err != nil {
		return Left{}, err
	}
	var errs []error
	for namespace := range namespaces {
		// A collection of objects that have namespaces is deleted in one namespace at a time.
		in := ctx
		if d.namespaced {
			in = genericapirequest.WithNamespace(ctx, namespace)
		}
		if _, err := d.objects.DeleteCollection(in, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}, nil); err != nil {
			errs = append(errs, err)
		}
	}
	left, err := d.Left(ctx)
	return left, errors.Join(append(errs, err)...)
}

// Left counts the objects in the cluster, bucket and namespace (empty for all) of ctx.
func (d *Deleter) Left(ctx context.Context) (Left, error) {
	left := Left{Finalizers: map[string]int{}}
	err := d.each(ctx, func(obj *unstructured.Unstructured) {
		left.Objects++
		for _, name := range obj.GetFinalizers() {
			left.Finalizers[name]++
		}
	})
	return left, err
}

// each calls visit for every object in scope of ctx, from consistent reads of a page each.
func (d *Deleter) each(ctx context.Context, visit func(*unstructured.Unstructured)) error {
	options := &internalversion.ListOptions{Limit: pageSize}
	for {
		list, err := d.objects.List(ctx, options)
		if err != nil {
			return fmt.Errorf("listing: %w", err)
		}
		page, ok := list.(*unstructured.UnstructuredList)
		if !ok {
			return fmt.Errorf("listing: unexpected type %T", list)
		}
		for i := range page.Items {
			visit(&page.Items[i])
		}
		if page.GetContinue() == "" {
			return nil
		}
		options = &internalversion.ListOptions{Limit: pageSize, Continue: page.GetContinue()}
	}
}
