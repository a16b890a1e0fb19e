package custom

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/client-go/tools/cache"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/encryption"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/object"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// Storage is what the stock CRD handler works on: one version of one schema of a custom resource, in whatever
// cluster and bucket the context is for; or what the stock store of a typed resource works on. It writes to etcd and reads from a watch
// cache, decoding there.
type Storage struct {
	object.Storage // over the etcd store
	raw            *raw.Cache
	codec          runtime.Codec
	newFunc        func() runtime.Object
	// drop deletes an object that cannot be decoded; nil where that is never done.
	drop func(ctx context.Context, h head.Head, reason error) error
	// decoded holds what was read lately; nil for custom resources, whose decoders may change what they return. A schema is read
	// again and again while workspaces are made, and takes a millisecond to decode; a big definition takes some hundred. Controllers
	// read again what has just changed.
	decoded *Decoded
	listed  *Listed
	id      uint64 // of this storage, in listed
	events  events
}

// stores counts the storages of the process.
var stores atomic.Uint64

var _ apistorage.Interface = &Storage{}

// New returns a storage over the etcd store of a custom resource, or of a typed one, whose watch cache is raw.
// With drop, objects that cannot be decoded are deleted when a context asks for it. With decoded, it holds what was read; listed holds
// what is listed again and again.
func New(store apistorage.Interface, l layout.Resource, raw *raw.Cache, codec runtime.Codec, newFunc func() runtime.Object,
	drop func(context.Context, head.Head, error) error, decoded *Decoded, listed *Listed) *Storage {
	s := &Storage{raw: raw, codec: codec, newFunc: newFunc, drop: drop, decoded: decoded, listed: listed, id: stores.Add(1)}
	s.Storage = object.Storage{Interface: store, Layout: l, Read: s.read, Suggest: s.suggestion}
	return s
}

// copier is a codec that copies what a store changes in an object, in less time than all of it.
type copier interface {
	Copy(obj runtime.Object) runtime.Object
}

// suggestion returns the cached object; nil when there is none. Stock stores encode what is suggested, which is of no use for an object that is stored in
// an older version, and is impossible if that cannot be converted: then nobody could correct it.
func (s *Storage) suggestion(ctx context.Context, key string) runtime.Object {
	if s.raw.ReadinessCheck() != nil {
		return nil
	}
	var raw raw.Object
	if err := s.raw.Get(ctx, key, apistorage.GetOptions{ResourceVersion: "0"}, &raw); err != nil {
		return nil
	}
	if version := layout.VersionFrom(ctx); version != "" && !layout.IsStoredIn(raw.Data(), schema.GroupVersion{Group: s.Layout.Resource.Group, Version: version}) {
		return nil
	}
	obj, err := s.shared(&raw)
	if err != nil {
		return nil
	}
	if s.decoded == nil {
		return obj
	}
	// Stock stores change it.
	if codec, ok := s.codec.(copier); ok {
		return codec.Copy(obj)
	}
	return obj.DeepCopyObject()
}

// read returns what etcd has now, or, for a resourceVersion, what is cached.
func (s *Storage) read(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error {
	if err := s.dropUnreadable(ctx, key); err != nil {
		return err
	}
	if opts.ResourceVersion == "" {
		return s.Interface.Get(ctx, key, opts, out)
	}
	var raw raw.Object
	if err := s.raw.Get(ctx, key, opts, &raw); err != nil {
		return err
	}
	if raw.Key() == "" { // not found, and that is to be ignored
		return runtime.SetZeroValue(out)
	}
	if s.decoded == nil {
		obj, err := s.decode(&raw, out)
		if err != nil {
			return apistorage.NewInternalError(err)
		}
		return setTo(out, obj)
	}
	obj, err := s.shared(&raw)
	if err != nil {
		return apistorage.NewInternalError(err)
	}
	return setTo(out, obj)
}

// decode reads a raw object as the codec's version, into into if the codec can. Its errors name the object as users do.
func (s *Storage) decode(raw *raw.Object, into runtime.Object) (runtime.Object, error) {
	data := raw.Data()
	if err := encryption.Sealed(data); err != nil {
		return nil, s.undecodable(raw, err)
	}
	obj, _, err := s.codec.Decode(data, nil, into)
	if err != nil {
		return nil, s.undecodable(raw, err)
	}
	return s.decodedFrom(raw, obj)
}

// undecodable says which object it is that err is about.
func (s *Storage) undecodable(raw *raw.Object, err error) error {
	cluster, namespace, name, _ := raw.Tail()
	what := "decoded"
	if errors.Is(err, encryption.ErrSealed) {
		what = "decrypted"
	}
	return fmt.Errorf("what is stored as %s %q of the logical cluster %q cannot be %s: %w", s.Layout.Resource, cache.ObjectName{Namespace: namespace, Name: name}, cluster, what, err)
}

// decodedFrom completes obj, which was decoded from a raw object.
func (s *Storage) decodedFrom(raw *raw.Object, obj runtime.Object) (runtime.Object, error) {
	cluster, namespace, name, _ := raw.Tail()
	object := cache.ObjectName{Namespace: namespace, Name: name}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return nil, err
	}
	if accessor.GetName() != name || accessor.GetNamespace() != namespace {
		return nil, fmt.Errorf("what is stored as %s %q of the logical cluster %q says that it is %q", s.Layout.Resource, object, cluster, cache.MetaObjectToName(accessor))
	}
	layout.StampMeta(accessor, logicalcluster.Name(cluster))
	accessor.SetResourceVersion(raw.GetResourceVersion())
	return obj, nil
}

// ReadinessCheck implements storage.Interface.
func (s *Storage) ReadinessCheck() error { return s.raw.ReadinessCheck() }

// CompactRevision implements storage.Interface.
func (s *Storage) CompactRevision() int64 { return s.raw.CompactRevision() }
