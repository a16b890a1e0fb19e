package storage

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/value"
)

// rawCache is a stock cacher of [Raw] objects: one of those that share all custom resources, or that of a bulky typed
// resource.
type rawCache struct {
	*cached
	scopes *scopes
}

// newShard starts one of the watch caches of custom resources.
func (b *Backend) newShard(number int) (*rawCache, error) {
	gr := schema.GroupResource{Group: "annex", Resource: "customresources-" + strconv.Itoa(number)}
	return b.newRawCache(gr, shardRoot(number), rawCodec{labels: newInterner()}, newScopes(b.liveBases))
}

func (b *Backend) newRawCache(gr schema.GroupResource, root string, codec rawCodec, scopes *scopes) (*rawCache, error) {
	s := &rawCache{scopes: scopes}
	var err error
	s.cached, err = b.newCached(source{
		resource:    gr,
		root:        root,
		codec:       codec,
		transformer: rawTransformer{prefix: b.prefix},
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
