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
	// Events tells users what they must know; nil to tell nothing.
	Events Recorder
}

// Recorder writes Events; an event.Recorder is one.
type Recorder interface {
	// Record tells users of the workspace of about, an object of the given kind, what happened. It returns at once. It may drop what is too
	// much for a workspace, or was told before.
	Record(about client.Object, kind schema.GroupVersionKind, eventType, reason, message string)
}

// Tell records an Event about an object, if anybody records Events.
func (c Config) Tell(about client.Object, kind schema.GroupVersionKind, eventType, reason, message string) {
	if c.Events != nil {
		c.Events.Record(about, kind, eventType, reason, message)
	}
}
