package schema

import (
	"context"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"

	"github.com/annex-dev/annex/schemas/cost"
)

// growingOptions are options whose storages check what defaults add to the objects that they store, read, or patch.
type growingOptions struct {
	generic.RESTOptionsGetter
	growth growth
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (o growingOptions) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := o.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err != nil || o.growth.Growth == nil {
		return options, err
	}
	options.StorageConfig.Codec = growingCodec{options.StorageConfig.Codec, o.growth}
	decorate := options.Decorator
	options.Decorator = func(config *storagebackend.ConfigForResource, prefix string, keyOf func(runtime.Object) (string, error), newFunc, newListFunc func() runtime.Object,
		attrs apistorage.AttrFunc, triggers apistorage.IndexerFuncs, indexers *cache.Indexers,
	) (apistorage.Interface, factory.DestroyFunc, error) {
		storage, destroy, err := decorate(config, prefix, keyOf, newFunc, newListFunc, attrs, triggers, indexers)
		return patching{storage, o.growth}, destroy, err
	}
	return options, nil
}

// growingCodec checks objects as they are stored. The stock handler wraps it, and adds defaults to what it returns.
type growingCodec struct {
	runtime.Codec
	growth growth
}

// Decode implements runtime.Decoder.
func (c growingCodec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	obj, gvk, err := c.Codec.Decode(data, defaults, into)
	if err != nil {
		return obj, gvk, err
	}
	if u, ok := obj.(*unstructured.Unstructured); ok && !c.growth.Few(cost.MostObjects(data)) {
		if where, ok := c.growth.Check(u.Object); !ok {
			return nil, gvk, growthError{where}
		}
	}
	return obj, gvk, nil
}

// Encode implements runtime.Encoder. What could not be read again is not stored: the version in which an object is stored may have other
// defaults than the one in which it was written.
func (c growingCodec) Encode(obj runtime.Object, w io.Writer) error {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		if err := tooLarge(c.growth.Check(u.Object)); err != nil {
			return err
		}
	}
	return c.Codec.Encode(obj, w)
}

// patching is a storage that checks what the patch of a request makes of an object before the stock handler makes it, and takes note of
// objects that are too large to be read.
type patching struct {
	apistorage.Interface
	growth growth
}

// Get implements storage.Interface. A patch that is only tried reads its object here.
func (p patching) Get(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error {
	if err := p.Interface.Get(ctx, key, opts, out); err != nil {
		return noteGrowth(ctx, err)
	}
	return p.growth.checkPatch(ctx, out)
}

// GetList implements storage.Interface. A deletion of many objects begins here.
func (p patching) GetList(ctx context.Context, key string, opts apistorage.ListOptions, list runtime.Object) error {
	return noteGrowth(ctx, p.Interface.GetList(ctx, key, opts, list))
}

// GuaranteedUpdate implements storage.Interface.
func (p patching) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *apistorage.Preconditions, try apistorage.UpdateFunc, cached runtime.Object) error {
	return noteGrowth(ctx, p.Interface.GuaranteedUpdate(ctx, key, destination, ignoreNotFound, preconditions, func(input runtime.Object, res apistorage.ResponseMeta) (runtime.Object, *uint64, error) {
		if err := p.growth.checkPatch(ctx, input); err != nil {
			return nil, nil, err
		}
		return try(input, res)
	}, cached))
}
