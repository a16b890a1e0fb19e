package multicluster

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Resolver finds logical clusters by path or name; registry/index.Index is one.
type Resolver interface {
	// Resolve returns the name of the cluster at path; false if there is none.
	Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error)
}

// Config contains what controllers work with. A controller may leave fields unused; what a controller needs beyond it is in a
// Config of its own, which embeds this one.
type Config struct {
	// Client reads the watch caches and writes as the server.
	Client client.Client
	// Live sees every write that was acknowledged before the call.
	Live client.Reader
	// Content deletes the content of clusters and namespaces.
	Content  client.Content
	Resolver Resolver
	// IsBound says which resources of root's exports are served by typed storage.
	IsBound func(schema.GroupResource) bool
}
