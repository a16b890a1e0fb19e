package informer

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Lister reads objects of a Go type from an informer, as the listers of client-go do. They are shared: copy before changing one.
type Lister[T client.Object] struct{ informer *Informer }

// NewLister returns a lister of an informer whose objects are of type T.
func NewLister[T client.Object](i *Informer) Lister[T] { return Lister[T]{i} }

// Informer returns the informer that the lister reads from, for example to add a handler.
func (l Lister[T]) Informer() *Informer { return l.informer }

// List returns the objects of all clusters that selector selects, in the order of their keys.
func (l Lister[T]) List(selector labels.Selector) ([]T, error) {
	return l.list(client.Scope{Selector: selector})
}

// Cluster returns a lister of one cluster.
func (l Lister[T]) Cluster(name logicalcluster.Name) ClusterLister[T] {
	return ClusterLister[T]{l, client.Scope{Cluster: name}}
}

func (l Lister[T]) list(scope client.Scope) ([]T, error) {
	found, err := l.informer.List(scope)
	if err != nil {
		return nil, err
	}
	objects := make([]T, 0, len(found))
	for _, one := range found {
		obj, ok := one.(T)
		if !ok {
			return nil, fmt.Errorf("listing %s: unexpected type %T", l.informer, one)
		}
		objects = append(objects, obj)
	}
	return objects, nil
}

// ClusterLister reads the objects of one cluster, or of one namespace in it.
type ClusterLister[T client.Object] struct {
	Lister[T]
	scope client.Scope
}

// Namespace returns a lister of one namespace.
func (l ClusterLister[T]) Namespace(name string) ClusterLister[T] {
	l.scope.Namespace = name
	return l
}

// List returns the objects that selector selects, in the order of their keys. It is an error if the lister is of no cluster.
func (l ClusterLister[T]) List(selector labels.Selector) ([]T, error) {
	if l.scope.Cluster.Empty() {
		return nil, fmt.Errorf("listing %s: the name of the cluster is empty", l.informer)
	}
	l.scope.Selector = selector
	return l.list(l.scope)
}

// Get returns the object with a name, or a NotFound error.
func (l ClusterLister[T]) Get(name string) (T, error) {
	var none T
	one := l.informer.Get(client.Key{Cluster: l.scope.Cluster, Namespace: l.scope.Namespace, Name: name})
	if one == nil {
		return none, apierrors.NewNotFound(l.informer.resource, name)
	}
	obj, ok := one.(T)
	if !ok {
		return none, fmt.Errorf("reading %s: unexpected type %T", l.informer, one)
	}
	return obj, nil
}
