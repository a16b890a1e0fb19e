package kind

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/scheme"
)

// Category is the category of all our kinds: kubectl get kcp lists them.
const Category = "kcp"

// Pointer is the pointer to a struct E that is an API object.
type Pointer[E any] interface {
	*E
	client.Object
}

// Kind describes a cluster-scoped kind with the Go type E. All functions work on objects that they may change, and are
// called by many goroutines.
type Kind[E any, T Pointer[E]] struct {
	// Version is the version that is served and stored, Resource the lower-case plural, for example {tenancy.kcp.io workspaces}.
	Version  string
	Resource schema.GroupResource
	Singular string
	// Short are the short names that kubectl accepts; may be nil.
	Short []string
	// List returns an empty list of the kind.
	List func() runtime.Object
	// Columns are what kubectl get shows after the name.
	Columns []apiextensionsv1.CustomResourceColumnDefinition

	// Spec returns what counts for metadata.generation.
	Spec func(obj T) any
	// CopyStatus replaces the status of to by that of from; nil for a kind without one.
	CopyStatus func(to, from T)
	// Prepare sets what follows from the rest of the object before every write, whoever writes; may be nil. old is nil on create.
	Prepare func(obj, old T)
	// PrepareForUser undoes what is not for users to decide, before Prepare; may be nil. old is nil on create.
	PrepareForUser func(obj, old T)
	Validate       func(obj T) field.ErrorList
	ValidateUpdate func(obj, old T) field.ErrorList
	// ValidateStatusUpdate checks a change of the status; nil for a kind without one.
	ValidateStatusUpdate func(obj, old T) field.ErrorList
	// Render fills in fields that are not stored, on a shallow copy: it must replace maps and slices, not write into them. May be nil.
	Render func(obj T)
}

// Install adds the storage of the kind to g. The error says what of the storage could not be set up.
func (k *Kind[E, T]) Install(g *group.Group, s *scheme.Scheme, getter generic.RESTOptionsGetter) error {
	table, err := tableconvertor.New(k.Columns)
	if err != nil {
		return fmt.Errorf("building the columns of %s: %w", k.Resource, err)
	}
	user := &strategy[E, T]{kind: k, typer: s.Scheme}
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return T(new(E)) },
		NewListFunc:               k.List,
		DefaultQualifiedResource:  k.Resource,
		SingularQualifiedResource: schema.GroupResource{Group: k.Resource.Group, Resource: k.Singular},
		CreateStrategy:            user,
		UpdateStrategy:            user,
		DeleteStrategy:            user,
		ResetFieldsStrategy:       user,
		TableConvertor:            table,
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: getter}); err != nil {
		return fmt.Errorf("completing the store of %s: %w", k.Resource, err)
	}

	own := &systemStrategy[E, T]{strategy: *user}
	system := *store
	system.CreateStrategy, system.UpdateStrategy, system.DeleteStrategy = own, own, own
	if g.System == nil {
		g.System = map[string]*genericregistry.Store{}
	}
	g.System[k.Resource.Resource] = &system

	plain := *store
	if k.Render != nil {
		store.Decorator = k.decorate
	}
	if g.Versions == nil {
		g.Versions = map[string]map[string]rest.Storage{}
	}
	if g.Versions[k.Version] == nil {
		g.Versions[k.Version] = map[string]rest.Storage{}
	}
	served := g.Versions[k.Version]
	served[k.Resource.Resource] = &REST{
		REST:   group.REST{Store: store, Short: k.Short, In: []string{Category}},
		plain:  &plain,
		render: k.rendered,
	}
	if k.CopyStatus != nil {
		served[k.Resource.Resource+"/status"] = group.NewStatusREST(store, &statusStrategy[E, T]{strategy: *user})
	}
	return nil
}

// decorate renders an object, or each one of a list, in place: the store hands out copies.
func (k *Kind[E, T]) decorate(obj runtime.Object) {
	if one, ok := obj.(T); ok {
		k.Render(one)
		return
	}
	if meta.IsListType(obj) {
		// The callback returns no error, and a list that cannot be walked could not be encoded either.
		_ = meta.EachListItem(obj, func(item runtime.Object) error {
			if one, ok := item.(T); ok {
				k.Render(one)
			}
			return nil
		})
	}
}

// rendered returns a rendered copy of an object that may belong to the watch cache.
func (k *Kind[E, T]) rendered(obj runtime.Object) runtime.Object {
	if k.Render == nil {
		return obj
	}
	if cached, ok := obj.(runtime.CacheableObject); ok {
		obj = cached.GetObject()
	}
	one, ok := obj.(T)
	if !ok {
		return obj
	}
	shallow := T(new(E))
	*shallow = *one
	k.Render(shallow)
	return shallow
}
