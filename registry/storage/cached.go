package storage

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/features"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/value"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
)

// source describes one stock etcd store and the cacher above it.
type source struct {
	resource    schema.GroupResource // for metrics and errors
	root        string               // what all its keys begin with
	codec       runtime.Codec        // speaks the envelope of transformer
	transformer value.Transformer
	newFunc     func() runtime.Object
	newListFunc func() runtime.Object
	// for the cacher only
	plainCodec runtime.Codec // encodes an empty object
	keyFunc    func(runtime.Object) (string, error)
	getAttrs   apistorage.AttrFunc
	trigger    apistorage.IndexerFunc
}

// newStore returns a stock store over the shared client, assembled as k8s.io/apiserver does it.
func (s *set) newStore(of source) (apistorage.Interface, error) {
	versioner := apistorage.APIObjectVersioner{}
	decoder, transformer := etcd3.NewDefaultDecoder(of.codec, versioner), of.transformer
	unsafeDeletion := utilfeature.DefaultFeatureGate.Enabled(features.AllowUnsafeMalformedObjectDeletion)
	if unsafeDeletion {
		transformer = etcd3.WithCorruptObjErrorHandlingTransformer(transformer)
		decoder = etcd3.WithCorruptObjErrorHandlingDecoder(decoder)
	}
	// A lease that ends deletes its keys in one revision, which must not hold two objects.
	leases := etcd3.LeaseManagerConfig{ReuseDurationSeconds: etcd3.NewDefaultLeaseManagerConfig().ReuseDurationSeconds, MaxObjectCount: 1}
	store, err := etcd3.New(s.client, s.compactor, of.codec, of.newFunc, of.newListFunc, s.prefix, of.root, of.resource,
		transformer, leases, decoder, versioner)
	if err != nil {
		return nil, fmt.Errorf("creating the etcd store of %s: %w", of.resource, err)
	}
	if unsafeDeletion {
		return etcd3.NewStoreWithUnsafeCorruptObjectDeletion(store, of.resource), nil
	}
	return store, nil
}

// cached is a stock cacher above a stock store.
type cached struct {
	*cacher.CacheDelegator
	watchCache  *cacher.Cacher
	store       apistorage.Interface
	progress    *progress
	resource    schema.GroupResource
	root        string
	newListFunc func() runtime.Object
	stop        func()
}

// newCache starts the cacher of a source. The set stops it at the latest.
func (s *set) newCache(of source) (*cached, error) {
	store, err := s.newStore(of)
	if err != nil {
		return nil, err
	}
	var handed apistorage.Interface = listOnly{store}
	if s.withoutMarker {
		handed = store
	}
	watchCache, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage:             handed,
		Versioner:           apistorage.APIObjectVersioner{},
		GroupResource:       of.resource,
		EventsHistoryWindow: s.historyWindow,
		ResourcePrefix:      of.root,
		KeyFunc:             of.keyFunc,
		GetAttrsFunc:        of.getAttrs,
		IndexerFuncs:        apistorage.IndexerFuncs{clusterIndex: of.trigger},
		NewFunc:             of.newFunc,
		NewListFunc:         of.newListFunc,
		Codec:               of.plainCodec,
	})
	if err != nil {
		return nil, fmt.Errorf("creating the watch cache of %s: %w", of.resource, err)
	}
	delegator := cacher.NewCacheDelegator(watchCache, store)
	c := &cached{
		CacheDelegator: delegator, watchCache: watchCache, store: store, progress: s.progress,
		resource: of.resource, root: of.root, newListFunc: of.newListFunc,
	}
	c.stop = sync.OnceFunc(func() {
		delegator.Stop()
		watchCache.Stop()
		s.forget(c)
	})
	if err := s.remember(c); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// listOnly is the storage that a cacher fills itself from.
type listOnly struct{ apistorage.Interface }

// IsWatchListSemanticsUnSupported makes the cacher's reflector start with a LIST. Through WatchList it collects what it
// gets in a store keyed by namespace and name, and would silently keep one object of all that share them
// (k8s.io/client-go/tools/cache/reflector.go, watchList).
func (listOnly) IsWatchListSemanticsUnSupported() bool { return true }

// EnableResourceSizeEstimation does nothing: it would keep the size of every key of all clusters in memory.
func (listOnly) EnableResourceSizeEstimation(apistorage.KeysFunc) error { return nil }
