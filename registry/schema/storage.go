package schema

import (
	"fmt"

	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/room"
)

// Storage reads, lists, updates and deletes the objects of one custom resource, finalizers honored. Contexts need cluster, bucket and
// namespace. Objects are unstructured, in the version in which they are stored.
type Storage interface {
	rest.Getter
	rest.Lister
	rest.Updater
	rest.GracefulDeleter
}

// Storage returns the storage of a resource of cluster that is not Typed.
func (h *Handlers) Storage(resource *catalog.Resource, cluster logicalcluster.Name) (Storage, error) {
	e, err := h.entry(resource, cluster)
	if err != nil {
		return nil, err
	}
	return e.storage()
}

// storage returns the storage that the handler uses, which is built when it is first needed.
func (e *entry) storage() (Storage, error) {
	var objects any
	var err error
	bytes := 0
	if !e.built.Load() {
		bytes = e.source.crd.Size()
	}
	room.Large(bytes, func() { objects, err = e.handler.GetCustomResourceListerCollectionDeleter(e.source.crd) })
	e.built.Store(err == nil)
	if err != nil {
		return nil, fmt.Errorf("finding the storage of %s: %w", e.source.crd.Name, err)
	}
	storage, ok := objects.(Storage)
	if !ok {
		return nil, fmt.Errorf("finding the storage of %s: unexpected type %T", e.source.crd.Name, objects)
	}
	return storage, nil
}
