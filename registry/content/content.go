package content

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

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
	// Client reads and writes typed objects as the server itself.
	Client Client
	// Live reads definitions and bindings, and misses nothing that was written before the call.
	Live client.Reader
	// Catalog and Schemas say how a custom resource is served in a cluster.
	Catalog *catalog.Catalog
	Schemas *schema.Handlers
	// Admission decides about writes of custom resources, which are those of User.
	Admission admission.Interface
	User      user.Info
}

// Client is a client.Client that also deletes as options say.
type Client interface {
	client.Client
	DeleteWith(ctx context.Context, resource apischema.GroupResource, key client.Key, options *metav1.DeleteOptions) error
}

// Content implements client.Content. It is safe for concurrent use.
type Content struct{ Config }

var _ client.Content = &Content{}

// New returns a Content.
func New(c Config) *Content { return &Content{c} }

// List implements client.Content. Heads come grouped by resource and bucket, in key order.
func (c *Content) List(ctx context.Context, scope client.ContentScope) ([]head.Head, error) {
	return c.Backend.Heads(ctx, storage.HeadScope{Cluster: scope.Cluster, Namespace: scope.Namespace, Wanted: scope.Wanted})
}

// Stored implements client.Content.
func (c *Content) Stored(ctx context.Context, scope client.ContentScope, visit func(h head.Head, stored *unstructured.Unstructured) error) error {
	within := storage.HeadScope{Cluster: scope.Cluster, Namespace: scope.Namespace, Wanted: scope.Wanted}
	return c.Backend.Contents(ctx, within, func(h head.Head, data []byte) error {
		stored := &unstructured.Unstructured{}
		if err := utiljson.Unmarshal(data, &stored.Object); err != nil || h.Damaged {
			return visit(h, nil)
		}
		return visit(h, stored)
	})
}

// Get implements client.Content. The object may be newer than its head, but is the same one.
func (c *Content) Get(ctx context.Context, h head.Head) (client.Object, error) {
	return c.access().get(ctx, h)
}

// Find implements client.Content.
func (c *Content) Find(ctx context.Context, kind client.Kind, key client.Key, now bool) (*head.Head, error) {
	return c.Backend.Head(ctx, head.Head{Resource: kind.Resource, Bucket: kind.Bucket, Cluster: key.Cluster, Namespace: key.Namespace, Name: key.Name}, now)
}

// Purge implements client.Content.
func (c *Content) Purge(ctx context.Context, cluster logicalcluster.Name) (int64, error) {
	return c.Backend.Purge(ctx, cluster)
}
