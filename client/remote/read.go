package remote

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
)

// pageSize is how many objects of a list are in memory at once, as in client-go.
const pageSize = 500

// Get implements client.Reader. It sees every write that was acknowledged before the call; BadRequest when key names no
// cluster.
func (c *Client) Get(ctx context.Context, gr schema.GroupResource, key client.Key) (client.Object, error) {
	if err := checkAddress(key.Cluster, key.Namespace, key.Name); err != nil {
		return nil, err
	}
	r, err := c.resource(ctx, gr)
	if err != nil {
		return nil, err
	}
	obj, err := r.object()
	if err != nil {
		return nil, err
	}
	if err := r.at(r.rest.Get(), key.Cluster, key.Namespace).Name(key.Name).Do(ctx).Into(obj); err != nil {
		return nil, err
	}
	return located(obj, key.Cluster)
}

// List implements client.Reader. It sees every write that was acknowledged before the call, all objects as of one moment;
// BadRequest when scope names a namespace and no cluster.
func (c *Client) List(ctx context.Context, gr schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	if scope.Cluster != "" || scope.Namespace != "" {
		if err := checkAddress(scope.Cluster, scope.Namespace); err != nil {
			return nil, err
		}
	}
	r, err := c.resource(ctx, gr)
	if err != nil {
		return nil, err
	}
	var found []client.Object
	_, err = r.each(ctx, scope, func() { found = nil }, func(obj client.Object) { found = append(found, obj) })
	return found, err
}

// each calls add for every object in scope, all as of the one moment whose resourceVersion it returns. It calls begin before
// the first object, and once more if it has to begin anew because that moment became too old between two pages.
func (r *resource) each(ctx context.Context, scope client.Scope, begin func(), add func(client.Object)) (string, error) {
	resourceVersion, err := r.pages(ctx, scope, pageSize, begin, add)
	if apierrors.IsResourceExpired(err) {
		// A list in one piece cannot become too old.
		return r.pages(ctx, scope, 0, begin, add)
	}
	return resourceVersion, err
}

// pages is each with pages of limit objects, or one page of all when it is 0. It returns Expired when a page was too late.
func (r *resource) pages(ctx context.Context, scope client.Scope, limit int64, begin func(), add func(client.Object)) (string, error) {
	cluster := scope.Cluster
	if cluster.Empty() {
		cluster = all
	}
	o := metav1.ListOptions{Limit: limit}
	if scope.Selector != nil {
		o.LabelSelector = scope.Selector.String()
	}
	for {
		page, err := r.list()
		if err != nil {
			return "", err
		}
		request := options(r.at(r.rest.Get(), cluster, scope.Namespace), &o)
		if r.listAs != "" {
			request.SetHeader("Accept", r.listAs)
		}
		if err := request.Do(ctx).Into(page); err != nil {
			return "", err
		}
		if o.Continue == "" {
			begin()
		}
		if err := meta.EachListItem(page, func(item runtime.Object) error {
			obj, err := located(item, cluster)
			if err == nil {
				add(obj)
			}
			return err
		}); err != nil {
			return "", fmt.Errorf("reading a list of %s: %w", r.gvr.GroupResource(), err)
		}
		listed, err := meta.ListAccessor(page)
		if err != nil {
			return "", fmt.Errorf("reading a list of %s: %w", r.gvr.GroupResource(), err)
		}
		if o.Continue = listed.GetContinue(); o.Continue == "" {
			return listed.GetResourceVersion(), nil
		}
	}
}
