package metadata

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/lru"
)

// storesKept is how many stores are kept. A store starts nothing, but what it has decoded for watches is shared by those of that store.
const storesKept = 64

// defaultMinRequestTimeout is how long a watch lasts at least, as in stock servers.
const defaultMinRequestTimeout = 30 * time.Minute

// Config is what a Server needs. Everything is required.
type Config struct {
	// Options give the storage of custom resources: registry/storage Backend.CustomResources().
	Options generic.RESTOptionsGetter
	// Served reports whether some cluster serves a version of a custom resource.
	Served func(ctx context.Context, gvr schema.GroupVersionResource) (bool, error)
	// Codecs encode events and errors.
	Codecs runtime.NegotiatedSerializer
}

// Server serves metadata. It is safe for concurrent use.
type Server struct {
	config Config
	types  *runtime.Scheme // knows of no type, so that it converts the field selectors that all have
	stores *lru.Cache[schema.GroupResource, *genericregistry.Store]
}

// New returns a Server.
func New(c Config) (*Server, error) {
	if c.Options == nil || c.Served == nil || c.Codecs == nil {
		return nil, errors.New("serving metadata: storage, catalog and codecs are required")
	}
	return &Server{config: c, types: runtime.NewScheme(), stores: lru.New[schema.GroupResource, *genericregistry.Store](storesKept*lru.EntryBytes, nil)}, nil
}

// Wants reports whether req asks for metadata in the first place: a client that also accepts whole objects gets metadata.
func (s *Server) Wants(req *http.Request) bool {
	mediaType, _, err := negotiation.NegotiateOutputMediaType(req, s.config.Codecs, s.scope(schema.GroupVersionResource{}))
	return err == nil && mediaType.Convert != nil
}

// Handler returns what serves lists and watches of a resource; nil if no cluster serves it in that version. Requests have to come with a context
// of all clusters and of every bucket.
func (s *Server) Handler(ctx context.Context, gvr schema.GroupVersionResource, watch bool) (http.Handler, error) {
	served, err := s.config.Served(ctx, gvr)
	if err != nil {
		return nil, fmt.Errorf("finding out who serves %s: %w", gvr, err)
	}
	if !served {
		return nil, nil
	}
	store, err := s.store(gvr.GroupResource())
	if err != nil {
		return nil, fmt.Errorf("preparing the metadata of %s: %w", gvr.GroupResource(), err)
	}
	return handlers.ListResource(store, store, s.scope(gvr), watch, defaultMinRequestTimeout), nil
}

// scope returns how answers are encoded. It has no tables: those show what objects contain.
func (s *Server) scope(gvr schema.GroupVersionResource) *handlers.RequestScope {
	return &handlers.RequestScope{
		Namer:            handlers.ContextBasedNaming{Namer: runtime.Namer(meta.NewAccessor())},
		Serializer:       s.config.Codecs,
		Convertor:        s.types,
		Resource:         gvr,
		Kind:             schema.GroupVersionKind{Version: "v1", Kind: "PartialObjectMetadata"},
		MetaGroupVersion: metav1.SchemeGroupVersion,
	}
}

// store returns what lists and watches a resource.
func (s *Server) store(gr schema.GroupResource) (*genericregistry.Store, error) {
	if known, ok := s.stores.Get(gr); ok {
		return known, nil
	}
	newFunc := func() runtime.Object { return &metav1.PartialObjectMetadata{} }
	newListFunc := func() runtime.Object { return &metav1.PartialObjectMetadataList{} }
	options, err := s.config.Options.GetRESTOptions(gr, newFunc())
	if err != nil {
		return nil, err
	}
	config := *options.StorageConfig
	config.Codec = codec{}
	noKey := func(runtime.Object) (string, error) {
		return "", errors.New("metadata without an object is not stored")
	}
	below, _, err := options.Decorator(&config, options.ResourcePrefix, noKey, newFunc, newListFunc, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	store := &genericregistry.Store{
		NewFunc:                  newFunc,
		NewListFunc:              newListFunc,
		DefaultQualifiedResource: gr,
		KeyRootFunc:              func(context.Context) string { return options.ResourcePrefix },
		// In all clusters, a name is no key.
		KeyFunc: func(context.Context, string) (string, error) { return "", errors.New("no cluster is named") },
		PredicateFunc: func(label labels.Selector, field fields.Selector) storage.SelectionPredicate {
			return storage.SelectionPredicate{Label: label, Field: field, GetAttrs: storage.DefaultNamespaceScopedAttr}
		},
		Storage: genericregistry.DryRunnableStorage{Storage: below, Codec: codec{}},
	}
	s.stores.Put(gr, store, 0, gr.String())
	return store, nil
}
