package schema

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"

	"github.com/annex-dev/annex/registry/storage"
)

// versionedOptions are options whose storages say in which version they store objects. That may be a version in which none is to be stored any more,
// because this handler is of an older schema than the one that the cluster has. A handler of one stored version has no version: it changes an object
// only in the version in which that is stored.
type versionedOptions struct {
	generic.RESTOptionsGetter
	version string
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (o versionedOptions) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := o.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err != nil {
		return options, err
	}
	decorate := options.Decorator
	options.Decorator = func(config *storagebackend.ConfigForResource, prefix string, keyOf func(runtime.Object) (string, error), newFunc, newListFunc func() runtime.Object,
		attrs apistorage.AttrFunc, triggers apistorage.IndexerFuncs, indexers *cache.Indexers,
	) (apistorage.Interface, factory.DestroyFunc, error) {
		below, destroy, err := decorate(config, prefix, keyOf, newFunc, newListFunc, attrs, triggers, indexers)
		return versioned{below, o.version}, destroy, err
	}
	return options, nil
}

// versioned is a storage of one definition.
type versioned struct {
	apistorage.Interface
	version string
}

// in returns the context in which objects are written.
func (v versioned) in(ctx context.Context) context.Context {
	if v.version == "" {
		return storage.KeepingVersion(ctx)
	}
	return storage.WithVersion(ctx, v.version)
}

// Create implements storage.Interface.
func (v versioned) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	return v.Interface.Create(v.in(ctx), key, obj, out, ttl)
}

// GuaranteedUpdate implements storage.Interface.
func (v versioned) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *apistorage.Preconditions, try apistorage.UpdateFunc, cached runtime.Object) error {
	return v.Interface.GuaranteedUpdate(v.in(ctx), key, destination, ignoreNotFound, preconditions, try, cached)
}
