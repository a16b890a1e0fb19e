package schema

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
)

// batchOptions are options whose storages convert many objects with one call of a webhook.
type batchOptions struct {
	generic.RESTOptionsGetter
	converter *converter
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (o batchOptions) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := o.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err != nil {
		return options, err
	}
	stored, decorate := options.StorageConfig.Codec, options.Decorator
	options.Decorator = func(config *storagebackend.ConfigForResource, prefix string, keyOf func(runtime.Object) (string, error), newFunc, newListFunc func() runtime.Object,
		attrs apistorage.AttrFunc, triggers apistorage.IndexerFuncs, indexers *cache.Indexers,
	) (apistorage.Interface, factory.DestroyFunc, error) {
		own := *config
		// The stock handler has wrapped the codec by now, and makes a storage for each version.
		own.Codec = batch{Codec: config.Codec, stored: stored, target: newFunc().GetObjectKind().GroupVersionKind().GroupVersion(), converter: o.converter}
		return decorate(&own, prefix, keyOf, newFunc, newListFunc, attrs, triggers, indexers)
	}
	return options, nil
}

// batch is the codec of the stock handler for one version, which also decodes many objects at once.
type batch struct {
	runtime.Codec
	stored    runtime.Codec // decodes objects as they are stored
	target    schema.GroupVersion
	converter *converter
}

// DecodeAll decodes what Decode would, in the same order. The objects of other versions are converted with one call.
func (b batch) DecodeAll(data [][]byte) ([]runtime.Object, error) {
	all := make([]runtime.Object, len(data))
	var other []*unstructured.Unstructured
	var places []int
	for i, bytes := range data {
		var kind struct {
			APIVersion string `json:"apiVersion"`
		}
		if err := json.Unmarshal(bytes, &kind); err != nil {
			return nil, fmt.Errorf("reading a version: %w", err)
		}
		if kind.APIVersion == b.target.String() {
			obj, _, err := b.Decode(bytes, nil, &unstructured.Unstructured{})
			if err != nil {
				return nil, err
			}
			all[i] = obj
			continue
		}
		obj := &unstructured.Unstructured{}
		if _, _, err := b.stored.Decode(bytes, nil, obj); err != nil {
			return nil, err
		}
		if err := b.converter.asStored(obj); err != nil {
			return nil, err
		}
		other, places = append(other, obj), append(places, i)
	}
	if len(other) == 0 {
		return all, nil
	}
	converted, err := b.converter.convert(other, b.target)
	if err != nil {
		return nil, err
	}
	for i, obj := range converted {
		all[places[i]] = obj
	}
	return all, nil
}
