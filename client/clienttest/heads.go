package clienttest

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Serve makes all clusters serve kind as gvk, for KindOf.
func (c *Content) Serve(gvk schema.GroupVersionKind, kind client.Kind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kinds == nil {
		c.kinds = map[schema.GroupVersionKind]client.Kind{}
	}
	c.kinds[gvk] = kind
}

// KindOf implements client.Content.
func (c *Content) KindOf(_ context.Context, _ logicalcluster.Name, gvk schema.GroupVersionKind) (*client.Kind, error) {
	if err := c.failure(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if kind, ok := c.kinds[gvk]; ok {
		return &kind, nil
	}
	return nil, nil
}

// ServedAs implements client.Content.
func (c *Content) ServedAs(_ context.Context, h client.Head) (schema.GroupVersionKind, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for gvk, kind := range c.kinds {
		if kind.Resource == h.Resource {
			return gvk, nil
		}
	}
	return schema.GroupVersionKind{}, nil
}

// List implements client.Content.
func (c *Content) List(_ context.Context, scope client.ContentScope) ([]client.Head, error) {
	if err := c.failure(); err != nil {
		return nil, err
	}
	var heads []client.Head
	for _, resource := range c.known() {
		if scope.Wanted != nil && !scope.Wanted(resource, "") {
			continue
		}
		for _, obj := range c.listed(resource, client.Scope{Cluster: scope.Cluster, Namespace: scope.Namespace}) {
			heads = append(heads, client.HeadOf(resource, "", obj))
		}
	}
	return heads, nil
}

// Find implements client.Content.
func (c *Content) Find(ctx context.Context, kind client.Kind, key client.Key, _ bool) (*client.Head, error) {
	if err := c.failure(); err != nil {
		return nil, err
	}
	obj, err := c.fake.Get(ctx, kind.Resource, key)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	h := client.HeadOf(kind.Resource, "", obj)
	return &h, nil
}

// Get implements client.Content.
func (c *Content) Get(ctx context.Context, h client.Head) (client.Object, error) {
	if err := c.failure(); err != nil {
		return nil, err
	}
	obj, err := c.fake.Get(ctx, h.Resource, h.Key())
	if err == nil && obj.GetUID() != h.UID {
		return nil, apierrors.NewNotFound(h.Resource, h.Name)
	}
	return obj, err
}

// Delete implements client.Content.
func (c *Content) Delete(ctx context.Context, h client.Head, options *metav1.DeleteOptions) error {
	if err := c.failure(); err != nil {
		return err
	}
	if options = options.DeepCopy(); options == nil {
		options = &metav1.DeleteOptions{}
	}
	if options.Preconditions == nil {
		options.Preconditions = metav1.NewUIDPreconditions(string(h.UID))
	}
	return c.fake.DeleteWith(ctx, h.Resource, h.Key(), options)
}

// Update implements client.Content.
func (c *Content) Update(ctx context.Context, h client.Head, change func(client.Object)) error {
	if err := c.failure(); err != nil {
		return err
	}
	obj, err := c.fake.Get(ctx, h.Resource, h.Key())
	if err != nil {
		return err
	}
	if obj.GetUID() != h.UID {
		return apierrors.NewNotFound(h.Resource, h.Name)
	}
	next := obj.DeepCopyObject().(client.Object)
	change(next)
	_, err = c.fake.Update(ctx, h.Resource, h.Cluster, next)
	return err
}

// Watch implements client.Content. All that the Fake holds is one source.
func (c *Content) Watch(ctx context.Context, scope client.WatchScope, handle func(client.HeadEvent)) error {
	const source = "fake"
	f := c.fake
	defer f.wakeWith(ctx)()
	watched := func(resource schema.GroupResource) bool {
		return (scope.Resource.Empty() || scope.Resource == resource) && !slices.Contains(scope.Except, resource)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	pending := []client.HeadEvent{{Type: client.Reset, Source: source}}
	for _, resource := range f.known() {
		for _, obj := range f.list(resource, client.Scope{}) {
			if h := client.HeadOf(resource, "", obj); watched(resource) && (scope.Listed == nil || scope.Listed(h)) {
				pending = append(pending, client.HeadEvent{Type: client.Added, Source: source, Head: h})
			}
		}
	}
	pending = append(pending, client.HeadEvent{Type: client.Synced, Source: source}, client.HeadEvent{Type: client.Synced})
	for seen := len(f.happened); ; {
		f.mu.Unlock()
		for _, event := range pending {
			if ctx.Err() == nil {
				handle(event)
			}
		}
		f.mu.Lock()
		for len(f.happened) == seen && ctx.Err() == nil {
			f.changed.Wait()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		pending = nil
		for _, h := range f.happened[seen:] {
			if watched(h.resource) {
				pending = append(pending, client.HeadEvent{Type: h.event.Type, Source: source, Head: client.HeadOf(h.resource, "", h.event.Object)})
			}
		}
		seen = len(f.happened)
	}
}

// Stored implements client.Content. Custom resources are the unstructured objects of the Fake.
func (c *Content) Stored(ctx context.Context, scope client.ContentScope, visit func(client.Head, *unstructured.Unstructured) error) error {
	heads, err := c.List(ctx, scope)
	if err != nil {
		return err
	}
	for _, h := range heads {
		obj, err := c.fake.Get(ctx, h.Resource, h.Key())
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		custom, ok := obj.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		if err := visit(h, custom.DeepCopy()); err != nil {
			return err
		}
	}
	return nil
}

// Rewrite implements client.Content. All that changes is the version.
func (c *Content) Rewrite(ctx context.Context, h client.Head, version string) error {
	if err := c.failure(); err != nil {
		return err
	}
	obj, err := c.fake.Get(ctx, h.Resource, h.Key())
	if err != nil {
		return err
	}
	custom, ok := obj.(*unstructured.Unstructured)
	if !ok || custom.GetUID() != h.UID {
		return apierrors.NewNotFound(h.Resource, h.Name)
	}
	next := custom.DeepCopy()
	next.SetAPIVersion(schema.GroupVersion{Group: h.Resource.Group, Version: version}.String())
	_, err = c.fake.Update(ctx, h.Resource, h.Cluster, next)
	return err
}

// Retire implements client.Content. It is noted in Retired; nothing refuses anything.
func (c *Content) Retire(_ context.Context, r client.Retirement) error {
	if err := c.failure(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = append(c.retired, r)
	return nil
}

// Retired returns what was retired, in order.
func (c *Content) Retired() []client.Retirement {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.retired)
}
