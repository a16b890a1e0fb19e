package schema

import (
	"fmt"

	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
)

// Storage reads and deletes the objects of one custom resource, finalizers honored. Contexts need cluster, bucket and
// namespace. Objects are unstructured, in the version in which they are stored.
type Storage interface {
	rest.Getter
	rest.GracefulDeleter
}

// Storage returns the storage of a resource of cluster that is not Typed.
func (h *Handlers) Storage(resource *catalog.Resource, cluster logicalcluster.Name) (Storage, error) {
	e, err := h.entry(resource, cluster)
	if err != nil {
		return nil, err
	}
	objects, err := e.handler.GetCustomResourceListerCollectionDeleter(resource.CRD)
	if err != nil {
		return nil, fmt.Errorf("finding the storage of %s: %w", resource.GroupResource(), err)
	}
	storage, ok := objects.(Storage)
	if !ok {
		return nil, fmt.Errorf("finding the storage of %s: unexpected type %T", resource.GroupResource(), objects)
	}
	return storage, nil
}
