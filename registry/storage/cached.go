package storage

import (
	"context"
	"fmt"
	"sync"

	"go.etcd.io/etcd/client/v3/kubernetes"
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

// newEtcdStore returns a stock store over the shared client, assembled as k8s.io/apiserver does it.
func (b *Backend) newEtcdStore(s source) (apistorage.Interface, error) {
	versioner := apistorage.APIObjectVersioner{}
	decoder, transformer := etcd3.NewDefaultDecoder(s.codec, versioner), s.transformer
	unsafeDeletion := utilfeature.DefaultFeatureGate.Enabled(features.AllowUnsafeMalformedObjectDeletion)
	if unsafeDeletion {
		transformer = etcd3.WithCorruptObjErrorHandlingTransformer(transformer)
		decoder = etcd3.WithCorruptObjErrorHandlingDecoder(decoder)
	}
	// A lease that ends deletes its keys in one revision, which must not hold two objects.
	leases := etcd3.LeaseManagerConfig{ReuseDurationSeconds: etcd3.NewDefaultLeaseManagerConfig().ReuseDurationSeconds, MaxObjectCount: 1}
	store, err := etcd3.New(b.client, b.compactor, s.codec, s.newFunc, s.newListFunc, b.prefix, s.root, s.resource,
		transformer, leases, decoder, versioner)
	if err != nil {
		return nil, fmt.Errorf("creating the etcd store of %s: %w", s.resource, err)
	}
	if unsafeDeletion {
		return etcd3.NewStoreWithUnsafeCorruptObjectDeletion(store, s.resource), nil
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

// newCached starts the cacher of s. The Backend stops it at the latest.
func (b *Backend) newCached(s source) (*cached, error) {
	store, err := b.newEtcdStore(s)
	if err != nil {
		return nil, err
	}
	var handed apistorage.Interface = listOnly{store}
	if b.withoutMarker {
		handed = store
	}
	watchCache, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage:             handed,
		Versioner:           apistorage.APIObjectVersioner{},
		GroupResource:       s.resource,
		EventsHistoryWindow: b.historyWindow,
		ResourcePrefix:      s.root,
		KeyFunc:             s.keyFunc,
		GetAttrsFunc:        s.getAttrs,
		IndexerFuncs:        apistorage.IndexerFuncs{clusterIndex: s.trigger},
		NewFunc:             s.newFunc,
		NewListFunc:         s.newListFunc,
		Codec:               s.plainCodec,
	})
	if err != nil {
		return nil, fmt.Errorf("creating the watch cache of %s: %w", s.resource, err)
	}
	delegator := cacher.NewCacheDelegator(watchCache, store)
	c := &cached{
		CacheDelegator: delegator, watchCache: watchCache, store: store, progress: b.progress,
		resource: s.resource, root: s.root, newListFunc: s.newListFunc,
	}
	c.stop = sync.OnceFunc(func() {
		delegator.Stop()
		watchCache.Stop()
		b.forget(c)
	})
	if err := b.remember(c); err != nil {
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

// compactor is what the Backend needs of etcd3's.
type compactor interface {
	etcd3.Compactor
	Stop()
}

// revision returns the current revision of etcd.
func revision(ctx context.Context, client *kubernetes.Client, prefix string) (int64, error) {
	resp, err := client.Kubernetes.Get(ctx, prefix+"/revision", kubernetes.GetOptions{})
	if err != nil {
		return 0, fmt.Errorf("reading the current revision: %w", err)
	}
	return resp.Revision, nil
}
