package storage

import (
	"bytes"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/registry/generic"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/lru"

	"github.com/annex-dev/annex/apis/logicalcluster"
	kindtable "github.com/annex-dev/annex/registry/kinds"
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
	return (&storagebackend.Config{Prefix: b.prefix, Codec: codec, EventsHistoryWindow: b.historyWindow}).ForResource(gr)
}

// decorateTyped is the generic.StorageDecorator of typed resources.
func (b *Backend) decorateTyped(config *storagebackend.ConfigForResource, root string, keyOf func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, getAttrs apistorage.AttrFunc, _ apistorage.IndexerFuncs, _ *cache.Indexers,
) (apistorage.Interface, factory.DestroyFunc, error) {
	l := layout{resource: config.GroupResource, root: root}
	s := source{
		resource:    l.resource,
		root:        l.root,
		codec:       guardCodec{Codec: config.Codec, layout: l, keyOf: keyOf, shared: b.shared},
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
	c, err := b.newCached(s)
	if err != nil {
		return nil, func() {}, err
	}
	return &workspaceStorage{Interface: c, layout: l, newFunc: newFunc, newListFunc: newListFunc}, c.stop, nil
}

// DefaultBulky reports whether the table of kinds says that gr is kept raw.
func DefaultBulky(gr schema.GroupResource) bool { return kindtable.All.IsRaw(gr) }

// bulkyStorage returns a storage whose watch cache holds raw objects that share equal specs.
func (b *Backend) bulkyStorage(s source, l layout) (apistorage.Interface, factory.DestroyFunc, error) {
	store, err := b.newEtcdStore(s)
	if err != nil {
		return nil, func() {}, err
	}
	raw, err := b.newRawCache(l.resource, l.root, rawCodec{labels: newInterner(), shareSpecs: true}, newScopes(nil))
	if err != nil {
		return nil, func() {}, err
	}
	return &schemaStorage{
		Interface: store, layout: l, raw: raw, codec: s.plainCodec, newFunc: s.newFunc, decoded: lru.New(decodedCapacity),
	}, raw.stop, nil
}

// cacheKey returns the function by which a cacher finds the real key of a typed object, which keyOf cannot see: from the
// cluster annotation, which the guard has set from the key when the object was read.
func (l layout) cacheKey(keyOf func(runtime.Object) (string, error)) func(runtime.Object) (string, error) {
	return func(obj runtime.Object) (string, error) {
		accessor, err := meta.Accessor(obj)
		if err != nil {
			return "", err
		}
		cluster := logicalcluster.From(accessor)
		if cluster == "" {
			return "", fmt.Errorf("object of %s does not say which cluster it is in", l.resource)
		}
		requested, err := keyOf(obj)
		if err != nil {
			return "", err
		}
		rest, err := l.rest(requested)
		if err != nil {
			return "", err
		}
		return l.root + "/" + string(cluster) + rest, nil
	}
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
