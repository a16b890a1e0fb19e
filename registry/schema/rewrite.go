package schema

import (
	"context"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
)

// Rewrite stores the object with a name and a UID anew, as it is read: in the version in which the resource is stored now, which must be version. The strategy
// of the stock handler is not asked, so neither the generation nor the managers of fields change, and the object need not be valid. Contexts are those of
// a [Storage]. Errors are those of a storage.Interface, or Conflict if the resource is stored in another version. Only the server itself uses it.
func (h *Handlers) Rewrite(ctx context.Context, resource *catalog.Resource, cluster logicalcluster.Name, name string, uid types.UID, version string) error {
	stored, err := apihelpers.GetCRDStorageVersion(resource.CRD)
	if err != nil {
		return err
	}
	if stored != version {
		return apierrors.NewConflict(resource.GroupResource(), name, fmt.Errorf("objects are stored in version %q now, and not in %q", stored, version))
	}
	e, err := h.entry(resource, cluster)
	if err != nil {
		return err
	}
	storage, err := e.storage()
	if err != nil {
		return err
	}
	stock, ok := storage.(*customresource.REST)
	if !ok {
		return fmt.Errorf("rewriting an object of %s: unexpected storage %T", resource.GroupResource(), storage)
	}
	key, err := stock.KeyFunc(ctx, name)
	if err != nil {
		return err
	}
	same := func(obj runtime.Object, _ apistorage.ResponseMeta) (runtime.Object, *uint64, error) {
		return obj, nil, nil
	}
	// What is read differs from what is stored, if only in its apiVersion, so it is written.
	return stock.Store.Storage.Storage.GuaranteedUpdate(ctx, key, stock.NewFunc(), false, &apistorage.Preconditions{UID: &uid}, same, nil)
}
