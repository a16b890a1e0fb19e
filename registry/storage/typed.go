package storage

import (
	"bytes"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/registry/generic"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"

	"github.com/annex-dev/annex/registry/storage/custom"
	"github.com/annex-dev/annex/registry/storage/definitions"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/raw"
	"github.com/annex-dev/annex/registry/storage/watchcache"
)

const deleteCollectionWorkers = 4

// RESTOptionsGetter returns the options by which stock stores of typed resources keep their objects here. Each store that
// is completed with them starts one watch cache, which its DestroyFunc or [Backend.Destroy] stops.
func (b *Backend) RESTOptionsGetter() generic.RESTOptionsGetter { return typedOptions{b} }

type typedOptions struct{ backend *Backend }

// GetRESTOptions implements generic.RESTOptionsGetter.
func (o typedOptions) GetRESTOptions(gr schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	codec, err := o.backend.codec(gr)
	if err != nil {
		return generic.RESTOptions{}, fmt.Errorf("finding the codec of %s: %w", gr, err)
	}
	if gr == apiextensions.Resource("customresourcedefinitions") {
		codec = definitions.Codec{Codec: codec, Specs: o.backend.specs}
	}
	config := o.backend.storageConfig(gr, codec)
	if config.EncodeVersioner, err = storageVersion(codec, example); err != nil {
		return generic.RESTOptions{}, fmt.Errorf("finding the storage version of %s: %w", gr, err)
	}
	return generic.RESTOptions{
		StorageConfig:           config,
		Decorator:               o.backend.decorateTyped,
		ResourcePrefix:          layout.TypedRoot(gr),
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: deleteCollectionWorkers,
	}, nil
}

func (b *Backend) storageConfig(gr schema.GroupResource, codec runtime.Codec) *storagebackend.ConfigForResource {
	return (&storagebackend.Config{Prefix: b.prefix, Codec: codec, EventsHistoryWindow: b.window}).ForResource(gr)
}

// decorateTyped is the generic.StorageDecorator of typed resources.
func (b *Backend) decorateTyped(config *storagebackend.ConfigForResource, root string, keyOf func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, _ apistorage.AttrFunc, _ apistorage.IndexerFuncs, _ *cache.Indexers,
) (apistorage.Interface, factory.DestroyFunc, error) {
	l := layout.Resource{Resource: config.GroupResource, Root: root}
	s := watchcache.Source{
		Resource:    l.Resource,
		Root:        l.Root,
		Codec:       layout.Codec{Codec: config.Codec, Layout: l, KeyOf: keyOf},
		Transformer: layout.Transformer{Layout: l, Prefix: b.prefix, Below: b.below(l.Resource)},
		NewFunc:     newFunc,
		NewListFunc: newListFunc,
		PlainCodec:  config.Codec,
		KeyFunc:     l.CacheKey(keyOf),
	}
	caches := b.at(l.Root).caches
	store, err := caches.NewStore(s)
	if err != nil {
		return nil, func() {}, err
	}
	raw, err := b.shared.NewTyped(caches, l.Resource, l.Root, b.rendered.Find)
	if err != nil {
		return nil, func() {}, err
	}
	return ending{custom.New(store, l, raw, s.PlainCodec, s.NewFunc, nil, b.decoded, b.listed)}, raw.Stop, nil
}

// storageVersion returns the version in which codec writes objects such as example; discovery shows its hash.
func storageVersion(codec runtime.Codec, example runtime.Object) (runtime.GroupVersioner, error) {
	if example == nil {
		return nil, nil
	}
	data, err := runtime.Encode(codec, example)
	if err != nil {
		return nil, err
	}
	var header runtime.TypeMeta
	if payload, ok := bytes.CutPrefix(data, []byte(raw.ProtobufMagic)); ok {
		var unknown runtime.Unknown
		if err := unknown.Unmarshal(payload); err != nil {
			return nil, err
		}
		header = unknown.TypeMeta
	} else if err := json.Unmarshal(data, &header); err != nil {
		return nil, err
	}
	gv, err := schema.ParseGroupVersion(header.APIVersion)
	if err != nil {
		return nil, err
	}
	return gv, nil
}
