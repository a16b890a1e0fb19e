package storage

import (
	"bytes"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/registry/generic"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
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
	config := o.backend.storageConfig(gr, codec)
	if config.EncodeVersioner, err = storageVersion(codec, example); err != nil {
		return generic.RESTOptions{}, fmt.Errorf("finding the storage version of %s: %w", gr, err)
	}
	return generic.RESTOptions{
		StorageConfig:           config,
		Decorator:               o.backend.decorateTyped,
		ResourcePrefix:          typedRoot(gr),
		DeleteCollectionWorkers: deleteCollectionWorkers,
	}, nil
}

func (b *Backend) storageConfig(gr schema.GroupResource, codec runtime.Codec) *storagebackend.ConfigForResource {
	return (&storagebackend.Config{Prefix: b.prefix, Codec: codec, EventsHistoryWindow: b.window}).ForResource(gr)
}

// decorateTyped is the generic.StorageDecorator of typed resources.
func (b *Backend) decorateTyped(config *storagebackend.ConfigForResource, root string, keyOf func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, getAttrs apistorage.AttrFunc, _ apistorage.IndexerFuncs, _ *cache.Indexers,
) (apistorage.Interface, factory.DestroyFunc, error) {
	l := layout{resource: config.GroupResource, root: root}
	s := source{
		resource:    l.resource,
		root:        l.root,
		codec:       guardCodec{Codec: config.Codec, layout: l, keyOf: keyOf, share: b.shared.share},
		transformer: guardTransformer{layout: l, prefix: b.prefix},
		newFunc:     newFunc,
		newListFunc: newListFunc,
		plainCodec:  config.Codec,
		keyFunc:     l.cacheKey(keyOf),
		getAttrs:    b.fieldSets.attrs(getAttrs),
		trigger:     clusterTrigger,
	}
	if b.bulky(l.resource) {
		return b.bulkyStorage(s, l)
	}
	c, err := b.caches.newCache(s)
	if err != nil {
		return nil, func() {}, err
	}
	return newWorkspaceStorage(c, l, s.keyFunc, newFunc, newListFunc), c.stop, nil
}

// DefaultBulky reports whether gr holds schemas of APIs: these are tens of KiB each, and thousands of clusters install the
// same ones.
func DefaultBulky(gr schema.GroupResource) bool {
	switch gr {
	case schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"},
		schema.GroupResource{Group: "apis.kcp.io", Resource: "apiresourceschemas"}:
		return true
	}
	return false
}

// bulkyStorage returns a storage whose watch cache holds raw objects that share equal specs.
func (b *Backend) bulkyStorage(s source, l layout) (apistorage.Interface, factory.DestroyFunc, error) {
	store, err := b.caches.newStore(s)
	if err != nil {
		return nil, func() {}, err
	}
	raw, err := newRawCache(b.caches, l.resource, l.root, true, nil)
	if err != nil {
		return nil, func() {}, err
	}
	return newSchemaStorage(store, l, raw, s.plainCodec, s.newFunc, nil), raw.stop, nil
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
	if payload, ok := bytes.CutPrefix(data, []byte(protobufMagic)); ok {
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
