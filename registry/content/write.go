package content

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/storage/head"
)

// Delete implements client.Content. What nothing serves any more is not deleted here: that is done with what served it.
func (c *Content) Delete(ctx context.Context, h head.Head, options *metav1.DeleteOptions) error {
	// Stores write into the options.
	if options = options.DeepCopy(); options == nil {
		options = &metav1.DeleteOptions{}
	}
	if options.Preconditions == nil {
		options.Preconditions = &metav1.Preconditions{}
	}
	if options.Preconditions.UID == nil {
		options.Preconditions.UID = &h.UID
	}
	if h.Bucket == "" {
		return c.Client.DeleteWith(ctx, h.Resource, keyOf(h), options)
	}
	access := c.access()
	by, err := access.served(ctx, h)
	if err != nil {
		return err
	}
	if by.storage == nil {
		return apierrors.NewNotFound(h.Resource, h.Name)
	}
	return access.deleteServed(within(ctx, h), by, h, options)
}

// Update implements client.Content.
func (c *Content) Update(ctx context.Context, h head.Head, change func(client.Object)) error {
	if h.Bucket == "" {
		obj, err := c.Client.Get(ctx, h.Resource, keyOf(h))
		if obj, err = same(h, obj, err); err != nil {
			return err
		}
		_, err = c.Client.Update(ctx, h.Resource, h.Cluster, changed(obj, change))
		return err
	}
	access := c.access()
	by, err := access.served(ctx, h)
	if err != nil {
		return err
	}
	if by.storage == nil {
		return apierrors.NewNotFound(h.Resource, h.Name)
	}
	obj, err := read(ctx, by.storage, h)
	if err != nil {
		return err
	}
	if obj.GetResourceVersion() == "" {
		return fmt.Errorf("updating %s %q: it was read without a resourceVersion", h.Resource, h.Name)
	}
	return access.updateServed(within(ctx, h), by, h, changed(obj, change))
}

// changed returns what change makes of a copy of obj, which others may share.
func changed(obj client.Object, change func(client.Object)) client.Object {
	next := obj.DeepCopyObject().(client.Object)
	change(next)
	return next
}
