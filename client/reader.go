package client

import (
	"cmp"
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Object is any API object with metadata.
type Object interface {
	metav1.Object
	runtime.Object
}

// Key names one object of a resource. It is comparable and is the request of every reconciler.
type Key struct {
	Cluster   logicalcluster.Name
	Namespace string // empty for cluster-scoped resources
	Name      string
}

// KeyOf returns the key of an object that was read from a cluster.
func KeyOf(obj metav1.Object) Key {
	return Key{Cluster: logicalcluster.From(obj), Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// String returns cluster|namespace/name, or cluster|name.
func (k Key) String() string {
	if k.Namespace == "" {
		return string(k.Cluster) + "|" + k.Name
	}
	return string(k.Cluster) + "|" + k.Namespace + "/" + k.Name
}

// Compare orders keys by cluster, namespace and name.
func (k Key) Compare(other Key) int {
	return cmp.Or(strings.Compare(string(k.Cluster), string(other.Cluster)), strings.Compare(k.Namespace, other.Namespace), strings.Compare(k.Name, other.Name))
}

// Scope narrows a list; the zero value is everything.
type Scope struct {
	Cluster   logicalcluster.Name // empty for all clusters
	Namespace string              // empty for all namespaces; needs Cluster
	Selector  labels.Selector     // nil for all labels
}

// EventType says what a watch delivers.
type EventType string

// A watch begins with Reset, an Added for each object that exists, and Synced; then changes follow. When it had to start
// over, for example because history was compacted, it begins again with Reset: build a new index between Reset and Synced, so
// that deletions that were missed do not stay in the index. Reset comes again whenever the list has to begin anew.
const (
	Reset    EventType = "RESET"
	Synced   EventType = "SYNCED"
	Added    EventType = "ADDED"
	Modified EventType = "MODIFIED"
	Deleted  EventType = "DELETED"
)

// Event is one step of a watch.
type Event struct {
	Type EventType
	// Object is shared and must not be changed; nil for Reset and Synced. For Deleted it is the last state.
	Object Object
}

// Reader reads objects. Objects returned are shared: copy before changing one.
type Reader interface {
	// Get returns the object, NotFound when there is none. A watch cache may answer, which may be a little behind.
	Get(ctx context.Context, resource schema.GroupResource, key Key) (Object, error)
	// List returns the objects in scope, in the order of the keys under which the server stores them.
	List(ctx context.Context, resource schema.GroupResource, scope Scope) ([]Object, error)
	// Watch calls handle, from one goroutine, for everything that happens to the resource in all clusters until ctx ends.
	// It starts over by itself and returns only with ctx, or when the resource is unknown.
	Watch(ctx context.Context, resource schema.GroupResource, handle func(Event)) error
}

// Writer writes objects; admission and validation apply. Spec, metadata and status are written together, in one write inside
// the server and in two requests over HTTP.
type Writer interface {
	// Create stores obj in cluster and returns what was stored; AlreadyExists when the name is taken.
	Create(ctx context.Context, resource schema.GroupResource, cluster logicalcluster.Name, obj Object) (Object, error)
	// Update replaces the object; Conflict when obj carries a resourceVersion that is not the newest.
	Update(ctx context.Context, resource schema.GroupResource, cluster logicalcluster.Name, obj Object) (Object, error)
	// Delete begins or completes the deletion of an object, finalizers honored; NotFound when there is none.
	Delete(ctx context.Context, resource schema.GroupResource, key Key, preconditions *metav1.Preconditions) error
}

// Client reads and writes.
type Client interface {
	Reader
	Writer
}
