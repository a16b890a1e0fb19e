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

// batchOptions are options whose storages convert many objects with one call of a webhook, or each of them by rules.
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
		many := batch{Codec: config.Codec, stored: stored, target: newFunc().GetObjectKind().GroupVersionKind().GroupVersion(), converter: o.converter}
		own.Codec = many
		if o.converter.ruled {
			own.Codec = oneByOne{config.Codec, many}
		}
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
			obj, _, err := b.Codec.Decode(bytes, nil, &unstructured.Unstructured{})
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

// oneByOne is the codec of the stock handler for one version of a definition with rules. There is no call to save: it decodes objects one by one, so
// that one that the rules cannot convert does not keep others from being shown.
type oneByOne struct {
	runtime.Codec
	many batch
}

// Decode implements runtime.Decoder. It asks the rules without the review that the stock codec would write for a webhook.
func (o oneByOne) Decode(data []byte, _ *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	all, err := o.many.DecodeAll([][]byte{data})
	if err != nil {
		return nil, nil, err
	}
	obj, ok := all[0].(*unstructured.Unstructured)
	if !ok {
		return nil, nil, fmt.Errorf("decoding a custom resource: unexpected type %T", all[0])
	}
	kind := obj.GroupVersionKind()
	if to, ok := into.(*unstructured.Unstructured); ok {
		to.Object = obj.Object
		return to, &kind, nil
	}
	return obj, &kind, nil
}
