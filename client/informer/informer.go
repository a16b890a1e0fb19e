package informer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Names of the indexes that each informer has.
const (
	byCluster   = "cluster"
	byNamespace = "namespace"
	byOwner     = "owner"
)

// IndexFunc returns the values under which an object is found in its cluster.
type IndexFunc func(obj client.Object) []string

// Options say what an informer keeps.
type Options struct {
	// Transform returns what is kept of an object that was just read, which it may change if the server is a client of client/remote: others share
	// their objects. Nil keeps all of it. What it returns has the cluster,
	// namespace, name, UID, resourceVersion and owners of the object.
	Transform func(obj client.Object) (client.Object, error)
}

// Informer keeps the objects of one resource. Objects that it returns are shared: copy before changing one. Its methods may be
// called by many goroutines.
type Informer struct {
	resource  schema.GroupResource
	transform func(client.Object) (client.Object, error)
	objects   cache.Indexer

	// turn is held while something changes and handlers hear of it. mu is held for moments, also within that.
	turn     sync.Mutex
	mu       sync.Mutex
	sources  map[string]*source
	handlers map[*Handler]struct{}
	// changed is closed, and made anew, whenever WaitForSync may have to look again.
	changed chan struct{}
}

// New returns an informer of resource. It is empty until it follows a server.
func New(resource schema.GroupResource, options Options) *Informer {
	transform := options.Transform
	if transform == nil {
		transform = func(obj client.Object) (client.Object, error) { return obj, nil }
	}
	return &Informer{
		resource:  resource,
		transform: transform,
		objects: cache.NewIndexer(keyOf, cache.Indexers{
			byCluster:   indexed(func(client.Object) []string { return []string{""} }),
			byNamespace: indexed(func(obj client.Object) []string { return []string{obj.GetNamespace()} }),
			byOwner: indexed(func(obj client.Object) []string {
				var owners []string
				for _, owner := range obj.GetOwnerReferences() {
					owners = append(owners, string(owner.UID))
				}
				return owners
			}),
		}),
		sources:  map[string]*source{},
		handlers: map[*Handler]struct{}{},
		changed:  make(chan struct{}),
	}
}

// keyOf returns the key of an object in the indexer, such as "2f8kq1z0c7a9x3bd|default/settings".
func keyOf(obj any) (string, error) {
	o, ok := obj.(client.Object)
	if !ok {
		return "", fmt.Errorf("%T is no object", obj)
	}
	return client.KeyOf(o).String(), nil
}

// indexed makes an index that finds objects only in their own cluster.
func indexed(values IndexFunc) cache.IndexFunc {
	return func(obj any) ([]string, error) {
		o, ok := obj.(client.Object)
		if !ok {
			return nil, fmt.Errorf("%T is no object", obj)
		}
		cluster := logicalcluster.From(o)
		found := values(o)
		for i, value := range found {
			found[i] = inCluster(cluster, value)
		}
		return found, nil
	}
}

// inCluster returns a value of an index. No name of a cluster contains a bar.
func inCluster(cluster logicalcluster.Name, value string) string {
	return string(cluster) + "|" + value
}

// String returns the resource.
func (i *Informer) String() string { return i.resource.String() }

// AddIndex adds an index for [Informer.Indexed]; also of an informer that has objects. An error says that there is one of this name.
func (i *Informer) AddIndex(name string, values IndexFunc) error {
	if err := i.objects.AddIndexers(cache.Indexers{"field:" + name: indexed(values)}); err != nil {
		return fmt.Errorf("adding index %s of %s: %w", name, i.resource, err)
	}
	return nil
}

// Get returns the object called key; nil if there is none.
func (i *Informer) Get(key client.Key) client.Object {
	obj, ok, _ := i.objects.GetByKey(key.String()) // it has no error
	if !ok {
		return nil
	}
	return obj.(client.Object)
}

// List returns the objects in scope, in the order of their keys.
func (i *Informer) List(scope client.Scope) ([]client.Object, error) {
	var found []any
	var err error
	switch {
	case scope.Cluster.Empty() && scope.Namespace != "":
		return nil, errors.New("a namespace needs a cluster")
	case scope.Cluster.Empty():
		found = i.objects.List()
	case scope.Namespace == "":
		found, err = i.objects.ByIndex(byCluster, inCluster(scope.Cluster, ""))
	default:
		found, err = i.objects.ByIndex(byNamespace, inCluster(scope.Cluster, scope.Namespace))
	}
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", i.resource, err)
	}
	return sorted(found, scope.Selector), nil
}

// Owned returns the objects of cluster that an object with this UID owns, in the order of their keys.
func (i *Informer) Owned(cluster logicalcluster.Name, owner types.UID) ([]client.Object, error) {
	return i.index(byOwner, cluster, string(owner))
}

// Indexed returns the objects of cluster for which the index called name has value, in the order of their keys.
func (i *Informer) Indexed(name string, cluster logicalcluster.Name, value string) ([]client.Object, error) {
	return i.index("field:"+name, cluster, value)
}

func (i *Informer) index(name string, cluster logicalcluster.Name, value string) ([]client.Object, error) {
	found, err := i.objects.ByIndex(name, inCluster(cluster, value))
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", i.resource, err)
	}
	return sorted(found, nil), nil
}

func sorted(found []any, selector labels.Selector) []client.Object {
	objects := make([]client.Object, 0, len(found))
	for _, one := range found {
		obj := one.(client.Object)
		if selector == nil || selector.Matches(labels.Set(obj.GetLabels())) {
			objects = append(objects, obj)
		}
	}
	slices.SortFunc(objects, func(a, b client.Object) int { return client.KeyOf(a).Compare(client.KeyOf(b)) })
	return objects
}

// WaitForSync returns once everything is there that the servers have which the informer follows now. It returns at once if there are none. It is
// an error if one of them does not serve the resource.
func (i *Informer) WaitForSync(ctx context.Context) error {
	for {
		i.mu.Lock()
		behind, changed := "", i.changed
		var why error
		for name, source := range i.sources {
			if !source.synced && why == nil {
				behind, why = name, source.err
			}
		}
		i.mu.Unlock()
		if behind == "" {
			return nil
		}
		if why != nil {
			return fmt.Errorf("reading the %s of %s: %w", i.resource, behind, why)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the %s of %s: %w", i.resource, behind, ctx.Err())
		}
	}
}
