package storage

import (
	"context"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/lru"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
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
		ResourcePrefix:          customResourceRoot(gr),
		DeleteCollectionWorkers: deleteCollectionWorkers,
	}, nil
}

// decorateCustom is the generic.StorageDecorator of custom resources.
func (b *Backend) decorateCustom(config *storagebackend.ConfigForResource, root string, keyOf func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, _ apistorage.AttrFunc, _ apistorage.IndexerFuncs, _ *cache.Indexers,
) (apistorage.Interface, factory.DestroyFunc, error) {
	l := layout{resource: config.GroupResource, root: root, custom: true}
	store, err := b.newEtcdStore(source{
		resource:    l.resource,
		root:        l.root,
		codec:       guardCodec{Codec: config.Codec, layout: l, keyOf: keyOf},
		transformer: guardTransformer{layout: l, prefix: b.prefix},
		newFunc:     newFunc,
		newListFunc: newListFunc,
	})
	if err != nil {
		return nil, func() {}, err
	}
	return &schemaStorage{
		Interface: store,
		layout:    l,
		raw:       b.custom[shardOf(l.resource)],
		codec:     config.Codec,
		newFunc:   newFunc,
		drop:      b.Drop,
	}, func() {}, nil
}

// schemaStorage is what the stock CRD handler works on: one version of one schema of a custom resource, in whatever
// cluster and bucket the context is for. It writes to etcd and reads from the shard's watch cache, decoding there. A
// stock store of a bulky typed resource works on one, too.
type schemaStorage struct {
	apistorage.Interface // the etcd store
	layout               layout
	raw                  *rawCache
	codec                runtime.Codec
	newFunc              func() runtime.Object
	// drop deletes an object that cannot be decoded; nil where that is never done.
	drop func(ctx context.Context, h head.Head, reason error) error
	// decoded holds what Get returned lately, by key and revision; nil for custom resources, whose decoders may change what
	// they return. A schema is read again and again while workspaces are made, and takes a millisecond to decode.
	decoded *lru.Cache
}

// decodedCapacity bounds how many schemas are held decoded, each perhaps some hundred KiB.
const decodedCapacity = 32

var _ apistorage.Interface = &schemaStorage{}

// Create implements storage.Interface.
func (s *schemaStorage) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	at, err := s.layout.one(ctx, "create", key)
	if err != nil {
		return err
	}
	if err := stamp(obj, at.cluster); err != nil {
		return err
	}
	return apiError(ctx, s.Interface.Create(ctx, at.key, obj, out, ttl), true)
}

// Delete implements storage.Interface.
func (s *schemaStorage) Delete(ctx context.Context, key string, out runtime.Object, preconditions *apistorage.Preconditions,
	validate apistorage.ValidateObjectFunc, _ runtime.Object, opts apistorage.DeleteOptions) error {
	at, err := s.layout.one(ctx, "delete", key)
	if err != nil {
		return err
	}
	return apiError(ctx, s.Interface.Delete(ctx, at.key, out, preconditions, validate, s.suggestion(ctx, at.key), opts), true)
}

// GuaranteedUpdate implements storage.Interface.
func (s *schemaStorage) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *apistorage.Preconditions, tryUpdate apistorage.UpdateFunc, _ runtime.Object) error {
	at, err := s.layout.one(ctx, "update", key)
	if err != nil {
		return err
	}
	return apiError(ctx, s.Interface.GuaranteedUpdate(ctx, at.key, destination, ignoreNotFound, preconditions,
		stamping(tryUpdate, at.cluster), s.suggestion(ctx, at.key)), true)
}

// suggestion returns the cached object, which spares the etcd store a read; nil when there is none. The store reads again
// when it turns out to be old.
func (s *schemaStorage) suggestion(ctx context.Context, key string) runtime.Object {
	if s.raw.ReadinessCheck() != nil {
		return nil
	}
	var raw Raw
	if err := s.raw.Get(ctx, key, apistorage.GetOptions{ResourceVersion: "0"}, &raw); err != nil {
		return nil
	}
	obj, err := s.decode(&raw, s.newFunc())
	if err != nil {
		return nil
	}
	return obj
}

// Get implements storage.Interface.
func (s *schemaStorage) Get(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error {
	at, err := s.layout.one(ctx, "get", key)
	if err != nil {
		return err
	}
	if err := s.dropUnreadable(ctx, at.key); err != nil {
		return apiError(ctx, err, false)
	}
	if opts.ResourceVersion == "" {
		return apiError(ctx, s.Interface.Get(ctx, at.key, opts, out), false)
	}
	var raw Raw
	if err := s.raw.Get(ctx, at.key, opts, &raw); err != nil {
		return apiError(ctx, err, false)
	}
	if raw.keySize == 0 { // not found, and that is to be ignored
		return runtime.SetZeroValue(out)
	}
	value, err := conversion.EnforcePtr(out)
	if err != nil {
		return err
	}
	if s.decoded == nil {
		obj, err := s.decode(&raw, out)
		if err != nil {
			return apistorage.NewInternalError(err)
		}
		if obj != out {
			value.Set(reflect.ValueOf(obj).Elem())
		}
		return nil
	}
	// As from a stock watch cache, what the object refers to is shared, and only its outermost fields belong to the caller.
	id := raw.Key() + "@" + raw.GetResourceVersion()
	obj, ok := s.decoded.Get(id)
	if !ok {
		if obj, err = s.decode(&raw, s.newFunc()); err != nil {
			return apistorage.NewInternalError(err)
		}
		s.decoded.Add(id, obj)
	}
	value.Set(reflect.ValueOf(obj).Elem())
	return nil
}

// decode reads a raw object as the codec's version, into into if the codec can. Its errors name the object as users do.
func (s *schemaStorage) decode(raw *Raw, into runtime.Object) (runtime.Object, error) {
	cluster, namespace, name, _ := raw.tail()
	object := cache.ObjectName{Namespace: namespace, Name: name}
	obj, _, err := s.codec.Decode(raw.Data(), nil, into)
	if err != nil {
		return nil, fmt.Errorf("what is stored as %s %q of the logical cluster %q cannot be decoded: %w", s.layout.resource, object, cluster, err)
	}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	if accessor.GetName() != name || accessor.GetNamespace() != namespace {
		return nil, fmt.Errorf("what is stored as %s %q of the logical cluster %q says that it is %q", s.layout.resource, object, cluster, cache.MetaObjectToName(accessor))
	}
	stampMeta(accessor, logicalcluster.Name(cluster))
	accessor.SetResourceVersion(raw.GetResourceVersion())
	return obj, nil
}

// ReadinessCheck implements storage.Interface.
func (s *schemaStorage) ReadinessCheck() error { return s.raw.ReadinessCheck() }

// CompactRevision implements storage.Interface.
func (s *schemaStorage) CompactRevision() int64 { return s.raw.CompactRevision() }
