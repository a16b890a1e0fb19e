package content

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/registry/storage/head"
)

// deletionsAtOnce bounds how many objects one call deletes at a time: each waits for etcd.
const deletionsAtOnce = 8

// Config says what a Content works on. Everything is required.
type Config struct {
	// Backend has the heads of everything.
	Backend *storage.Backend
	// Client reads and deletes typed objects as the server itself.
	Client client.Client
	// Live reads definitions and bindings, and misses nothing that was written before the call.
	Live client.Reader
	// Catalog and Schemas say how a custom resource is served in a cluster.
	Catalog *catalog.Catalog
	Schemas *schema.Handlers
}

// Content implements client.Content. It is safe for concurrent use.
type Content struct{ Config }

var _ client.Content = &Content{}

// New returns a Content.
func New(c Config) *Content { return &Content{c} }

// List returns the heads of the objects in scope, as they are now or later; of all clusters if scope names none. They come
// grouped by resource and bucket, in key order.
func (c *Content) List(ctx context.Context, scope client.ContentScope) ([]head.Head, error) {
	return c.Backend.Heads(ctx, storage.HeadScope{Cluster: scope.Cluster, Namespace: scope.Namespace, Wanted: scope.Wanted})
}

// Get returns the whole object as the watch caches have it: of its Go type if it is typed, otherwise unstructured. It may be
// newer than its head, but is the same object. NotFound when it is gone, or when nothing serves it any more.
func (c *Content) Get(ctx context.Context, h head.Head) (client.Object, error) {
	return c.access().get(ctx, h)
}

// Delete begins or completes the deletion of the object, finalizers honored. NotFound when it is gone, Conflict when another
// object has its name.
func (c *Content) Delete(ctx context.Context, h head.Head) error {
	return c.access().delete(ctx, h)
}

// DeleteAll implements client.Content.
func (c *Content) DeleteAll(ctx context.Context, scope client.ContentScope) (client.Remaining, error) {
	if scope.Cluster.Empty() {
		return client.Remaining{}, apierrors.NewBadRequest("a deletion must name one cluster")
	}
	stage, heads, err := c.first(ctx, scope)
	for err == nil && len(heads) > 0 {
		asked, deleteErr := c.deleteEach(ctx, heads)
		if !asked {
			break
		}
		before := stage
		stage, heads, err = c.first(ctx, scope)
		if err = errors.Join(deleteErr, err); stage == before {
			break // what is left has finalizers, or came later
		}
	}
	var remaining client.Remaining
	for _, h := range heads {
		remaining.Add(h.Resource, h.Finalizers)
	}
	return remaining, err
}

// first returns the first stage of scope that holds anything, and its heads; none when scope is empty.
func (c *Content) first(ctx context.Context, scope client.ContentScope) (stage int, heads []head.Head, err error) {
	all, err := c.List(ctx, scope)
	if err != nil || scope.Stage == nil || len(all) == 0 {
		return 0, all, err
	}
	stage = scope.Stage(all[0].Resource)
	for _, h := range all {
		stage = min(stage, scope.Stage(h.Resource))
	}
	return stage, slices.DeleteFunc(all, func(h head.Head) bool { return scope.Stage(h.Resource) != stage }), nil
}

// deleteEach asks for the deletion of those heads that are not being deleted yet, or that wait for somebody who can no longer
// remove their finalizers because nothing serves them. It reports whether there were any.
func (c *Content) deleteEach(ctx context.Context, heads []head.Head) (asked bool, err error) {
	access := c.access()
	var first, then []head.Head
	for _, h := range heads {
		switch {
		case h.DeletionTimestamp != nil && !access.unserved(ctx, h):
		case h.Resource == namespaces:
			first = append(first, h)
		default:
			then = append(then, h)
		}
	}
	// Namespaces come first: in one that stays, controllers would put back what is deleted.
	err = errors.Join(access.deleteThese(ctx, first), access.deleteThese(ctx, then))
	return len(first)+len(then) > 0, err
}

// deleteThese asks for the deletion of all heads, several at a time. That one is gone already is no error.
func (a *access) deleteThese(ctx context.Context, heads []head.Head) error {
	var group errgroup.Group
	group.SetLimit(deletionsAtOnce)
	errs := make([]error, len(heads))
	for i, h := range heads {
		group.Go(func() error {
			if err := a.delete(ctx, h); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				errs[i] = fmt.Errorf("deleting %s %s: %w", h.Resource, client.Key{Cluster: h.Cluster, Namespace: h.Namespace, Name: h.Name}, err)
			}
			return nil
		})
	}
	_ = group.Wait() // errors are gathered above
	return errors.Join(errs...)
}

// Purge implements client.Content.
func (c *Content) Purge(ctx context.Context, cluster logicalcluster.Name) (int64, error) {
	return c.Backend.Purge(ctx, cluster)
}
