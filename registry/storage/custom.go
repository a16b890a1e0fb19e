package storage

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"

	"github.com/annex-dev/annex/registry/storage/custom"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/lent"
	"github.com/annex-dev/annex/registry/storage/watchcache"
)

// CustomResources returns the options for the stock CRD handler. Contexts need a bucket too: see [WithBucket]. Stores made
// with them start nothing: any number of handlers, one for each schema, may exist for a resource.
func (b *Backend) CustomResources() generic.RESTOptionsGetter { return customOptions{b} }

type customOptions struct{ backend *Backend }

// GetRESTOptions implements generic.RESTOptionsGetter. The handler wraps the codec with the one of its schema.
func (o customOptions) GetRESTOptions(gr schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	if gr.Group == "" {
		return generic.RESTOptions{}, fmt.Errorf("custom resource %s has no group", gr)
	}
	return generic.RESTOptions{
		StorageConfig:           o.backend.storageConfig(gr, unstructured.UnstructuredJSONScheme),
		Decorator:               o.backend.decorateCustom,
		ResourcePrefix:          layout.CustomResourceRoot(gr),
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: deleteCollectionWorkers,
	}, nil
}

// decorateCustom is the generic.StorageDecorator of custom resources.
func (b *Backend) decorateCustom(config *storagebackend.ConfigForResource, root string, keyOf func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, _ apistorage.AttrFunc, _ apistorage.IndexerFuncs, _ *cache.Indexers,
) (apistorage.Interface, factory.DestroyFunc, error) {
	l := layout.Resource{Resource: config.GroupResource, Root: root, Custom: true}
	store, err := b.of(layout.Key{Custom: true, Resource: l.Resource}).caches.NewStore(watchcache.Source{
		Resource:    l.Resource,
		Root:        l.Root,
		Codec:       layout.Codec{Codec: config.Codec, Layout: l, KeyOf: keyOf},
		Transformer: layout.Transformer{Layout: l, Prefix: b.prefix, Below: b.below(l.Resource)},
		NewFunc:     newFunc,
		NewListFunc: newListFunc,
	})
	if err != nil {
		return nil, func() {}, err
	}
	own := custom.New(store, l, b.custom[layout.ShardOf(l.Resource)], config.Codec, newFunc, b.Drop, nil, b.listed)
	return ending{lent.Storage{Interface: own, Resource: l.Resource}}, func() {}, nil
}
