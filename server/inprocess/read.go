package inprocess

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/follow"
)

// fromCache asks the watch cache for what it has; consistent waits until it has reached etcd's newest revision.
const (
	fromCache  = "0"
	consistent = ""
)

// pageSize is how many objects whoever follows a resource reads at a time.
const pageSize = 500

// Get implements client.Reader.
func (c *Reader) Get(ctx context.Context, gr schema.GroupResource, key client.Key) (client.Object, error) {
	return c.get(ctx, gr, key, fromCache)
}

// List implements client.Reader.
func (c *Reader) List(ctx context.Context, gr schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	all, err := c.list(ctx, gr, scope, metainternalversion.ListOptions{ResourceVersion: fromCache})
	return all.Items, err
}

func (c *Reader) get(ctx context.Context, gr schema.GroupResource, key client.Key, resourceVersion string) (client.Object, error) {
	r, err := c.resource(gr)
	if err != nil {
		return nil, err
	}
	obj, err := r.store.Get(at(ctx, itself, key.Cluster, key.Namespace), key.Name, &metav1.GetOptions{ResourceVersion: resourceVersion})
	if err != nil {
		return nil, err
	}
	return r.shared(obj)
}

// list reads a list, or a page of one, as options say apart from the selector.
func (c *Reader) list(ctx context.Context, gr schema.GroupResource, scope client.Scope, options metainternalversion.ListOptions) (follow.Page[client.Object], error) {
	r, err := c.resource(gr)
	if err != nil {
		return follow.Page[client.Object]{}, err
	}
	options.LabelSelector = scope.Selector
	list, err := r.store.List(at(ctx, itself, scope.Cluster, scope.Namespace), &options)
	if err != nil {
		return follow.Page[client.Object]{}, err
	}
	objects, err := r.fromList(list)
	if err != nil {
		return follow.Page[client.Object]{}, fmt.Errorf("reading the list of %s: %w", gr, err)
	}
	listMeta, err := meta.ListAccessor(list)
	if err != nil {
		return follow.Page[client.Object]{}, fmt.Errorf("reading the list of %s: %w", gr, err)
	}
	return follow.Page[client.Object]{Items: objects, Version: listMeta.GetResourceVersion(), Next: listMeta.GetContinue()}, nil
}

// Watch implements client.Reader.
func (c *Reader) Watch(ctx context.Context, gr schema.GroupResource, handle func(client.Event)) error {
	r, err := c.resource(gr)
	if err != nil {
		return err
	}
	return follow.Run(ctx, follow.Source[client.Object]{
		Name: gr.String(),
		List: r.everything.Join().List,
		Watch: func(ctx context.Context, resourceVersion string) (watch.Interface, error) {
			return r.store.Watch(at(ctx, itself, "", ""), &metainternalversion.ListOptions{ResourceVersion: resourceVersion, AllowWatchBookmarks: true})
		},
		Read: r.shared,
	}, func(event client.EventType, obj client.Object) { handle(client.Event{Type: event, Object: obj}) })
}

// Live returns a reader whose Get and List see every write acknowledged before the call, at the price of a look at etcd.
func (c *Reader) Live() client.Reader { return live{c} }

type live struct{ *Reader }

// Get implements client.Reader.
func (l live) Get(ctx context.Context, gr schema.GroupResource, key client.Key) (client.Object, error) {
	return l.get(ctx, gr, key, consistent)
}

// List implements client.Reader.
func (l live) List(ctx context.Context, gr schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	all, err := l.list(ctx, gr, scope, metainternalversion.ListOptions{ResourceVersion: consistent})
	return all.Items, err
}
