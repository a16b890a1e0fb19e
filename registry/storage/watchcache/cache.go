package watchcache

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/features"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/value"
	utilfeature "k8s.io/apiserver/pkg/util/feature"

	"github.com/annex-dev/annex/registry/storage/feed"
)

// Source describes one stock etcd store and the cacher above it.
type Source struct {
	Resource    schema.GroupResource // for metrics and errors
	Root        string               // what all its keys begin with
	Codec       runtime.Codec        // speaks the envelope of transformer
	Transformer value.Transformer
	Decoder     etcd3.Decoder // nil for the stock one
	NewFunc     func() runtime.Object
	NewListFunc func() runtime.Object
	// for the cacher only
	PlainCodec runtime.Codec // encodes an empty object
	Cluster    func(runtime.Object) string
	KeyFunc    func(runtime.Object) (string, error)
	GetAttrs   apistorage.AttrFunc
	Trigger    apistorage.IndexerFunc
}

// NewStore returns a stock store over the shared client, assembled as k8s.io/apiserver does it.
func (s *Set) NewStore(of Source) (apistorage.Interface, error) {
	versioner := apistorage.APIObjectVersioner{}
	decoder, transformer := of.Decoder, of.Transformer
	if decoder == nil {
		decoder = etcd3.NewDefaultDecoder(of.Codec, versioner)
	}
	if s.transform != nil {
		transformer = s.transform(transformer)
	}
	unsafeDeletion := utilfeature.DefaultFeatureGate.Enabled(features.AllowUnsafeMalformedObjectDeletion)
	if unsafeDeletion {
		transformer = etcd3.WithCorruptObjErrorHandlingTransformer(transformer)
		decoder = etcd3.WithCorruptObjErrorHandlingDecoder(decoder)
	}
	// A lease that ends deletes its keys in one revision, which must not hold two objects.
	leases := etcd3.LeaseManagerConfig{ReuseDurationSeconds: etcd3.NewDefaultLeaseManagerConfig().ReuseDurationSeconds, MaxObjectCount: 1}
	store, err := etcd3.New(s.client, s.compactor, of.Codec, of.NewFunc, of.NewListFunc, s.Prefix, of.Root, of.Resource,
		transformer, leases, decoder, versioner)
	if err != nil {
		return nil, fmt.Errorf("creating the etcd store of %s: %w", of.Resource, err)
	}
	if unsafeDeletion {
		return etcd3.NewStoreWithUnsafeCorruptObjectDeletion(store, of.Resource), nil
	}
	return store, nil
}

// Cache is a stock cacher above a stock store.
type Cache struct {
	*cacher.CacheDelegator
	watchCache  *cacher.Cacher
	store       apistorage.Interface
	progress    *progress
	writes      *writes
	source      Source
	feed        *feed.Feed
	prefix      string
	Resource    schema.GroupResource
	Root        string
	NewFunc     func() runtime.Object
	NewListFunc func() runtime.Object
	Clusters    *Clusters // that have had objects here
	Stop        func()
}

// NewCache starts the cacher of a source. The set stops it at the latest.
func (s *Set) NewCache(of Source) (*Cache, error) {
	store, err := s.NewStore(of)
	if err != nil {
		return nil, err
	}
	clusters, writes := &Clusters{}, newWrites()
	var handed apistorage.Interface = listOnly{Interface: store, writes: writes}
	if s.withoutMarker {
		handed = store
	}
	watchCache, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage:             handed,
		Versioner:           apistorage.APIObjectVersioner{},
		GroupResource:       of.Resource,
		EventsHistoryWindow: s.historyWindow,
		ResourcePrefix:      of.Root,
		KeyFunc:             of.KeyFunc,
		GetAttrsFunc: func(obj runtime.Object) (labels.Set, fields.Set, error) { // called for all that the cacher takes in
			cluster := of.Cluster(obj)
			clusters.Add(cluster)
			writes.note(cluster, obj)
			return of.GetAttrs(obj)
		},
		IndexerFuncs: apistorage.IndexerFuncs{clusterIndex: of.Trigger},
		NewFunc:      of.NewFunc,
		NewListFunc:  of.NewListFunc,
		Codec:        of.PlainCodec,
	})
	if err != nil {
		return nil, fmt.Errorf("creating the watch cache of %s: %w", of.Resource, err)
	}
	delegator := cacher.NewCacheDelegator(watchCache, store)
	c := &Cache{
		CacheDelegator: delegator, watchCache: watchCache, store: store, progress: s.progress, writes: writes, source: of, feed: s.feed, prefix: s.Prefix,
		Resource: of.Resource, Root: of.Root, NewFunc: of.NewFunc, NewListFunc: of.NewListFunc, Clusters: clusters,
	}
	c.Stop = sync.OnceFunc(func() {
		delegator.Stop()
		watchCache.Stop()
		s.forget(c)
	})
	if err := s.remember(c); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// listOnly is the storage that a cacher fills itself from.
type listOnly struct {
	apistorage.Interface
	writes *writes
}

// IsWatchListSemanticsUnSupported makes the cacher's reflector start with a LIST. Through WatchList it collects what it
// gets in a store keyed by namespace and name, and would silently keep one object of all that share them
// (k8s.io/client-go/tools/cache/reflector.go, watchList).
func (listOnly) IsWatchListSemanticsUnSupported() bool { return true }

// EnableResourceSizeEstimation does nothing: it would keep the size of every key of all clusters in memory.
func (listOnly) EnableResourceSizeEstimation(apistorage.KeysFunc) error { return nil }
