package raw

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/intern"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/pack"
	"github.com/annex-dev/annex/registry/storage/watchcache"
)

// Cache is a stock cacher of [Object]s: one of those that share all custom resources, or that of a typed
// resource.
type Cache struct {
	*watchcache.Cache
	scopes     *scopes
	everywhere *Lists // of all clusters
	long       *Lists // of single clusters
}

// Opening returns the stored bytes of an object with a key, or what stands for them if they cannot be decrypted: see package encryption.
type Opening func(ctx context.Context, key string, data []byte, dataCtx value.Context) ([]byte, error)

// Shared is what several caches have in common.
type Shared struct {
	Long  *Lists       // of single clusters
	Packs *pack.Packer // packs what objects of a kind do not have alike
	Open  Opening      // of stored values
}

// NewTyped starts the cache of a typed resource, whose keys begin with root. Equal parts of objects are kept once, and those that find
// knows are not kept at all.
func (s Shared) NewTyped(caches *watchcache.Set, resource schema.GroupResource, root string, find Find) (*Cache, error) {
	return s.newCache(caches, resource, root, Codec{labels: intern.NewMaps(), packs: s.Packs, share: true, find: find}, nil)
}

// NewCustom starts a cache of the custom resources whose keys begin with root, under a name of its own in metrics and errors. Live
// returns which bases have keys in etcd now.
func (s Shared) NewCustom(caches *watchcache.Set, name schema.GroupResource, root string, live func(ctx context.Context, bases []string) ([]bool, error)) (*Cache, error) {
	return s.newCache(caches, name, root, Codec{labels: intern.NewMaps(), packs: s.Packs}, live)
}

func (s Shared) newCache(caches *watchcache.Set, name schema.GroupResource, root string, codec Codec, live func(ctx context.Context, bases []string) ([]bool, error)) (*Cache, error) {
	c := &Cache{scopes: newScopes(live), everywhere: newFewLists(everywhereHeld), long: s.Long}
	var err error
	c.Cache, err = caches.NewCache(watchcache.Source{
		Resource:    name,
		Root:        root,
		Codec:       codec,
		Transformer: transformer{prefix: caches.Prefix, open: s.Open},
		NewFunc:     func() runtime.Object { return &Object{} },
		NewListFunc: func() runtime.Object { return &List{} },
		Decoder:     decoder{Decoder: etcd3.NewDefaultDecoder(codec, apistorage.APIObjectVersioner{}), codec: codec},
		PlainCodec:  codec,
		KeyFunc:     keyOf,
		GetAttrs:    c.Attrs,
		Cluster:     clusterOf,
		Trigger:     trigger,
	})
	return c, err
}

// transformer puts the key before what is read, and writes nothing: that is the schema adapters' work.
type transformer struct {
	prefix string
	open   Opening
}

var _ value.Transformer = transformer{}

// TransformFromStorage implements value.Transformer.
func (t transformer) TransformFromStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	k := strings.TrimPrefix(string(dataCtx.AuthenticatedData()), t.prefix)
	data, err := t.open(ctx, k, data, dataCtx)
	if err != nil {
		return nil, false, err
	}
	out := make([]byte, 0, len(k)+1+len(data))
	out = append(out, k...)
	out = append(out, layout.EnvelopeEnd)
	return append(out, data...), false, nil
}

// TransformToStorage implements value.Transformer.
func (transformer) TransformToStorage(context.Context, []byte, value.Context) ([]byte, error) {
	return nil, fmt.Errorf("raw objects are not written")
}

func keyOf(obj runtime.Object) (string, error) {
	raw, ok := obj.(*Object)
	if !ok || raw.keySize == 0 {
		return "", fmt.Errorf("%T is not a stored object", obj)
	}
	return raw.Key(), nil
}

func clusterOf(obj runtime.Object) string {
	raw, ok := obj.(*Object)
	if !ok {
		return ""
	}
	cluster, _, _, _ := raw.Tail()
	return cluster
}

func trigger(obj runtime.Object) string {
	raw, ok := obj.(*Object)
	if !ok {
		return ""
	}
	return raw.clusterBase()
}

// Attrs returns the labels of an Object, and as its only field, under the name by which cachers file watches, its base. Real
// field selectors are answered by the schema adapters.
func (s *Cache) Attrs(obj runtime.Object) (labels.Set, fields.Set, error) {
	raw, ok := obj.(*Object)
	if !ok {
		return nil, nil, fmt.Errorf("%T is not a raw object", obj)
	}
	cluster, _, _, _ := raw.Tail()
	return raw.GetLabels(), s.scopes.of(raw.base(), cluster), nil
}

// List reads raw objects of a prefix; the label selector is the only one it takes.
func (s *Cache) List(ctx context.Context, key string, opts apistorage.ListOptions) (*List, error) {
	opts.Predicate.Field = fields.Everything()
	if opts.Predicate.Label == nil {
		opts.Predicate.Label = labels.Everything()
	}
	opts.Predicate.GetAttrs = s.Attrs
	list := &List{}
	if err := s.GetList(ctx, key, opts, list); err != nil {
		return nil, err
	}
	return list, nil
}

// Holding returns the kinds that may have objects of cluster, or of any cluster if it is empty.
func (s *Cache) Holding(cluster logicalcluster.Name) []Kind { return s.scopes.holding(cluster) }
