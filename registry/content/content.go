package content

import (
	"context"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/registry/storage/head"
)

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

// Purge implements client.Content.
func (c *Content) Purge(ctx context.Context, cluster logicalcluster.Name) (int64, error) {
	return c.Backend.Purge(ctx, cluster)
}
