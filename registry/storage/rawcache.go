package storage

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// rawCache is a stock cacher of [Raw] objects: one of those that share all custom resources, or that of a bulky typed
// resource.
type rawCache struct {
	*cached
	scopes *scopes
}

// newRawCache starts a cache of what is below root, under a name of its own in metrics and errors. With shareSpecs, equal specs
// are kept once. Live returns which bases have keys in etcd now; nil if the bases are fixed.
func newRawCache(caches *set, name schema.GroupResource, root string, shareSpecs bool, live func(ctx context.Context, bases []string) ([]bool, error)) (*rawCache, error) {
	s := &rawCache{scopes: newScopes(live)}
	codec := rawCodec{labels: newInterner(), shareSpecs: shareSpecs}
	var err error
	s.cached, err = caches.newCache(source{
		resource:    name,
		root:        root,
		codec:       codec,
		transformer: rawTransformer{prefix: caches.prefix},
		newFunc:     func() runtime.Object { return &Raw{} },
		newListFunc: func() runtime.Object { return &RawList{} },
		plainCodec:  codec,
		keyFunc:     rawKey,
		getAttrs:    s.attrs,
		trigger:     rawTrigger,
	})
	return s, err
}

// rawTransformer puts the key before what is read, and writes nothing: that is the schema adapters' work.
type rawTransformer struct{ prefix string }

var _ value.Transformer = rawTransformer{}

// TransformFromStorage implements value.Transformer.
func (t rawTransformer) TransformFromStorage(_ context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	k := strings.TrimPrefix(string(dataCtx.AuthenticatedData()), t.prefix)
	out := make([]byte, 0, len(k)+1+len(data))
	out = append(out, k...)
	out = append(out, envelopeEnd)
	return append(out, data...), false, nil
}

// TransformToStorage implements value.Transformer.
func (rawTransformer) TransformToStorage(context.Context, []byte, value.Context) ([]byte, error) {
	return nil, fmt.Errorf("raw objects are not written")
}

func rawKey(obj runtime.Object) (string, error) {
	raw, ok := obj.(*Raw)
	if !ok || raw.keySize == 0 {
		return "", fmt.Errorf("%T is not a stored object", obj)
	}
	return raw.Key(), nil
}

func rawTrigger(obj runtime.Object) string {
	raw, ok := obj.(*Raw)
	if !ok {
		return ""
	}
	return raw.clusterBase()
}

// attrs returns the labels of a Raw, and as its only field, under the name by which cachers file watches, its base. Real
// field selectors are answered by the schema adapters.
func (s *rawCache) attrs(obj runtime.Object) (labels.Set, fields.Set, error) {
	raw, ok := obj.(*Raw)
	if !ok {
		return nil, nil, fmt.Errorf("%T is not a raw object", obj)
	}
	cluster, _, _, _ := raw.tail()
	return raw.GetLabels(), s.scopes.of(raw.base(), cluster), nil
}

// list reads raw objects of a prefix; the label selector is the only one it takes.
func (s *rawCache) list(ctx context.Context, key string, opts apistorage.ListOptions) (*RawList, error) {
	opts.Predicate.Field = fields.Everything()
	if opts.Predicate.Label == nil {
		opts.Predicate.Label = labels.Everything()
	}
	opts.Predicate.GetAttrs = s.attrs
	list := &RawList{}
	if err := s.GetList(ctx, key, opts, list); err != nil {
		return nil, err
	}
	return list, nil
}

// holding returns the kinds that may have objects of cluster, or of any cluster if it is empty.
func (s *rawCache) holding(cluster logicalcluster.Name) []kind { return s.scopes.holding(cluster) }
