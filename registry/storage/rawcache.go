package storage

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

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
	root string

	lock sync.RWMutex
	// scopes holds one field set for each base that was ever seen here, shared by all its objects. By it the cacher files
	// the watches of wildcards, and CustomKeys knows where to look. There are as many as kinds of custom resources.
	scopes map[string]fields.Set
}

// newShard starts one of the watch caches of custom resources.
func (b *Backend) newShard(number int) (*rawCache, error) {
	gr := schema.GroupResource{Group: "annex", Resource: "customresources-" + strconv.Itoa(number)}
	return b.newRawCache(gr, shardRoot(number), rawCodec{labels: newInterner()})
}

func (b *Backend) newRawCache(gr schema.GroupResource, root string, codec rawCodec) (*rawCache, error) {
	s := &rawCache{root: root, scopes: map[string]fields.Set{}}
	var err error
	s.cached, err = b.newCached(source{
		resource:    gr,
		root:        s.root,
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
	base := raw.base()
	s.lock.RLock()
	scope, ok := s.scopes[base]
	s.lock.RUnlock()
	if !ok {
		s.lock.Lock()
		if scope, ok = s.scopes[base]; !ok {
			base = strings.Clone(base) // not to keep the object
			scope = fields.Set{"metadata.namespace": base}
			s.scopes[base] = scope
		}
		s.lock.Unlock()
	}
	return raw.GetLabels(), scope, nil
}

// bases returns every prefix down to a bucket that was ever seen.
func (s *rawCache) bases() []string {
	s.lock.RLock()
	defer s.lock.RUnlock()
	all := make([]string, 0, len(s.scopes))
	for base := range s.scopes {
		all = append(all, base)
	}
	return all
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
