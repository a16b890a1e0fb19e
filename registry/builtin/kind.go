package builtin

import (
	"context"
	"fmt"
	"time"

	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/scheme"
)

// Pointer is the pointer to a struct E that is an API object.
type Pointer[E any] interface {
	*E
	client.Object
}

// Kind describes a kind with the Go type E. Its functions are called by many goroutines; what is nil does nothing.
type Kind[E any, T Pointer[E]] struct {
	// Version is the version that is served, Resource the lower-case plural, for example {coordination.k8s.io leases}.
	Version  string
	Resource schema.GroupResource
	Singular string
	// Short are the short names that kubectl accepts, In the categories.
	Short, In []string
	// ClusterScoped is true for kinds without a namespace.
	ClusterScoped bool
	// List returns an empty list of the kind.
	List func() runtime.Object

	// Columns are what kubectl get shows, and Row the cells below them; both nil for the name and the time of creation.
	Columns []metav1.TableColumnDefinition
	Row     func(obj T) []any
	// Fields are what selectors may name beside the metadata.
	Fields func(obj T) fields.Set
	// TTL is how long an object stays after its last write; zero stands for as long as nobody deletes it.
	TTL time.Duration

	// CreateOnUpdate is true for kinds that PUT and apply create under a name that does not exist.
	CreateOnUpdate bool
	// ReturnDeleted is true for kinds whose deletion is answered with the object rather than with a Status.
	ReturnDeleted bool
	// NeedsVersion is true for kinds that are not updated without a resourceVersion.
	NeedsVersion bool
	// NoGarbageCollection is true for kinds whose dependents are never looked for.
	NoGarbageCollection bool
	// DeleteDuringUpdate decides, beside the usual rule, whether an update that left no finalizers completes a deletion.
	DeleteDuringUpdate func(obj T) bool

	// Prepare sets what follows from the rest of the object before every write, whoever writes. old is nil on create.
	Prepare func(obj, old T)
	// PrepareForUser undoes what is not for users to decide, before Prepare. old is nil on create.
	PrepareForUser func(obj, old T)
	// Reset names the fields that PrepareForUser undoes, each as a path such as "status" or "spec", "finalizers".
	Reset [][]any
	// Name checks the name, or a prefix of names; nil for any path segment.
	Name apimachineryvalidation.ValidateNameFunc
	// Validate checks an object, but for its metadata, on create and on update.
	Validate func(ctx context.Context, obj T) field.ErrorList
	// ValidateCreate checks what holds only for objects that do not exist yet, after Validate.
	ValidateCreate func(ctx context.Context, obj T) field.ErrorList
	// ValidateUpdate checks the step from old to obj, after Validate and but for the metadata.
	ValidateUpdate func(ctx context.Context, obj, old T) field.ErrorList
	// Warn returns warnings for the client. old is nil on create.
	Warn func(obj, old T) []string
	// Canonicalize has the last word on a valid object.
	Canonicalize func(obj T)

	Subresources []Subresource[T]
}

// Subresource writes one part of an object.
type Subresource[T any] struct {
	// Name is for example "status".
	Name string
	// Keep undoes what is not for this subresource to change.
	Keep func(obj, old T)
	// Reset names the fields that Keep undoes.
	Reset [][]any
	// ValidateUpdate checks the step from old to obj, but for the metadata.
	ValidateUpdate func(obj, old T) field.ErrorList
	// PutOnly is true for a subresource that is neither read nor patched.
	PutOnly bool
}

// Install adds the storage of the kind to g and returns the store that users reach. The error says what of the storage
// could not be set up.
func (k *Kind[E, T]) Install(g *group.Group, s *scheme.Scheme, getter generic.RESTOptionsGetter) (*genericregistry.Store, error) {
	user := &strategy[E, T]{kind: k, scheme: s.Scheme}
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return T(new(E)) },
		NewListFunc:               k.List,
		DefaultQualifiedResource:  k.Resource,
		SingularQualifiedResource: schema.GroupResource{Group: k.Resource.Group, Resource: k.Singular},
		CreateStrategy:            user,
		UpdateStrategy:            user,
		DeleteStrategy:            k.deleteStrategy(user),
		ResetFieldsStrategy:       user,
		ReturnDeletedObject:       k.ReturnDeleted,
		TableConvertor:            k.table(),
	}
	if k.TTL > 0 {
		seconds := uint64(k.TTL / time.Second)
		store.TTLFunc = func(runtime.Object, uint64, bool) (uint64, error) { return seconds, nil }
	}
	if k.DeleteDuringUpdate != nil {
		store.ShouldDeleteDuringUpdate = func(ctx context.Context, key string, obj, existing runtime.Object) bool {
			return k.DeleteDuringUpdate(obj.(T)) && genericregistry.ShouldDeleteDuringUpdate(ctx, key, obj, existing)
		}
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: getter, AttrFunc: k.attributes}); err != nil {
		return nil, fmt.Errorf("completing the store of %s: %w", k.Resource, err)
	}

	own := &systemStrategy[E, T]{strategy: *user}
	system := *store
	system.CreateStrategy, system.UpdateStrategy = own, own
	if g.System == nil {
		g.System = map[string]*genericregistry.Store{}
	}
	g.System[k.Resource.Resource] = &system

	if g.Versions == nil {
		g.Versions = map[string]map[string]rest.Storage{}
	}
	if g.Versions[k.Version] == nil {
		g.Versions[k.Version] = map[string]rest.Storage{}
	}
	served := g.Versions[k.Version]
	served[k.Resource.Resource] = &group.REST{Store: store, Short: k.Short, In: k.In}
	for i := range k.Subresources {
		sub := &k.Subresources[i]
		storage := group.NewStatusREST(store, &partStrategy[E, T]{strategy: *user, part: sub})
		if sub.PutOnly {
			served[k.Resource.Resource+"/"+sub.Name] = &putREST{storage}
			continue
		}
		served[k.Resource.Resource+"/"+sub.Name] = storage
	}
	return store, nil
}

// attributes implements storage.AttrFunc.
func (k *Kind[E, T]) attributes(obj runtime.Object) (labels.Set, fields.Set, error) {
	object, ok := obj.(T)
	if !ok {
		return nil, nil, fmt.Errorf("reading the attributes of one of %s: it is a %T", k.Resource, obj)
	}
	selectable := fields.Set{}
	if k.Fields != nil {
		selectable = k.Fields(object)
	}
	selectable["metadata.name"] = object.GetName()
	if !k.ClusterScoped {
		selectable["metadata.namespace"] = object.GetNamespace()
	}
	return object.GetLabels(), selectable, nil
}

// apiVersion is the version by which managed fields know the kind, for example "v1" or "coordination.k8s.io/v1".
func (k *Kind[E, T]) apiVersion() fieldpath.APIVersion {
	return fieldpath.APIVersion(schema.GroupVersion{Group: k.Resource.Group, Version: k.Version}.String())
}
