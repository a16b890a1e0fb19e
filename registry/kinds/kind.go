package kinds

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

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/group"
)

// Pointer is the pointer to a struct E that is an API object.
type Pointer[E any] interface {
	*E
	client.Object
}

// Kind is the behavior of the kind with the Go type E, whose facts are in the row of E. Its functions are called by many
// goroutines, on objects that they may change; what is nil does nothing.
//
// Unless a field says otherwise, a kind behaves as custom resources do: metadata.generation counts the changes of the spec, a
// user's write of the object leaves its status alone, a write of the status leaves all else alone, and PUT does not create.
type Kind[E any, T Pointer[E]] struct {
	// Columns are what kubectl get shows, and Cells the values below them; both nil for what the row says.
	Columns []metav1.TableColumnDefinition
	Cells   func(obj T) []any
	// Fields are what selectors may name in addition to the metadata.
	Fields func(obj T) fields.Set
	// TTL is how long an object stays after its last write; zero stands for as long as nobody deletes it.
	TTL time.Duration

	// CreateOnUpdate is true for kinds that PUT and apply create under a name that does not exist.
	CreateOnUpdate bool
	// ReturnDeleted is true for kinds whose deletion is answered with the object rather than with a Status.
	ReturnDeleted bool
	// NeedsVersion is true for kinds that are not updated without a resourceVersion.
	NeedsVersion bool
	// NoGeneration is true for kinds whose metadata.generation stays 0, although they have a spec.
	NoGeneration bool
	// NoGarbageCollection is true for kinds whose dependents are never looked for.
	NoGarbageCollection bool
	// StandardFinalizers is true for kinds whose finalizers have a domain or are defined by Kubernetes.
	StandardFinalizers bool
	// MetadataByStatus is true for kinds whose metadata may be changed through the status subresource too.
	MetadataByStatus bool
	// DeleteDuringUpdate decides, in addition to the usual rule, whether an update that left no finalizers completes a deletion.
	DeleteDuringUpdate func(obj T) bool

	// BeginDelete sets what follows from the begin of the deletion, in the write that begins it. It is not called for objects that
	// are deleted in one step, nor for kinds without garbage collection.
	BeginDelete func(obj T)

	// Prepare sets what follows from the rest of the object before every write, whoever writes. old is nil on create.
	Prepare func(obj, old T)
	// PrepareForUser undoes what is not for users to decide apart from the status, before Prepare. old is nil on create.
	PrepareForUser func(ctx context.Context, obj, old T)
	// Reset names the fields that PrepareForUser undoes whatever they are, as in [Part].
	Reset [][]any
	// Name checks the name, or a prefix of names; nil for any path segment without a zero byte.
	Name apimachineryvalidation.ValidateNameFunc
	// Validate checks an object, except for its metadata, on create and on update.
	Validate func(obj T) field.ErrorList
	// ValidateCreate checks what holds only for objects that do not exist yet, after Validate.
	ValidateCreate func(obj T) field.ErrorList
	// ValidateUpdate checks the step from old to obj, after Validate.
	ValidateUpdate func(obj, old T) field.ErrorList
	// ValidateRequest checks what depends on the request too, after the others. old is nil on create.
	ValidateRequest func(ctx context.Context, obj, old T) field.ErrorList
	// ValidateStatusUpdate checks the step from old to obj when the status may have changed.
	ValidateStatusUpdate func(obj, old T) field.ErrorList
	// Warn returns warnings for the client. old is nil on create.
	Warn func(obj, old T) []string
	// Canonicalize has the last word on a valid object.
	Canonicalize func(obj T)
	// Render fills in fields that are not stored, on each object that goes to a user. The object is a shallow copy: maps and
	// slices must be replaced, not written into.
	Render func(obj T)

	// Parts are the subresources apart from the status, which follows from the row. One that is called status replaces it.
	Parts []Part[T]
}

// Part is a subresource that writes one part of an object.
type Part[T any] struct {
	// Name is for example "status".
	Name string
	// Keep undoes what is not for this subresource to change.
	Keep func(obj, old T)
	// Reset names the fields that Keep undoes, each as a path such as "status" or "spec", "finalizers".
	Reset [][]any
	// ValidateUpdate checks the step from old to obj, except for the metadata.
	ValidateUpdate func(obj, old T) field.ErrorList
	// PutOnly is true for a subresource that is neither read nor patched.
	PutOnly bool
}

// Installer is a Kind of any type.
type Installer interface {
	// Install adds the storage of the kind to g. The error says what of the storage could not be set up.
	Install(g *group.Group, s *Scheme, getter generic.RESTOptionsGetter) error
}

// NewGroup returns the storage of the API group called name. The error says which store could not be set up.
func NewGroup(name string, s *Scheme, getter generic.RESTOptionsGetter, kinds ...Installer) (*group.Group, error) {
	g := &group.Group{Name: name, Versions: map[string]map[string]rest.Storage{}, System: map[string]*genericregistry.Store{}}
	for _, kind := range kinds {
		if err := kind.Install(g, s, getter); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Install implements Installer.
func (k *Kind[E, T]) Install(g *group.Group, s *Scheme, getter generic.RESTOptionsGetter) error {
	user, err := newStrategy(k, s)
	if err != nil {
		return err
	}
	row := user.row
	table, err := k.table(row)
	if err != nil {
		return fmt.Errorf("building the columns of %s: %w", row.GroupResource(), err)
	}
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return T(new(E)) },
		NewListFunc:               func() runtime.Object { return row.List.DeepCopyObject() },
		DefaultQualifiedResource:  row.GroupResource(),
		SingularQualifiedResource: schema.GroupResource{Group: row.group, Resource: row.Singular},
		CreateStrategy:            user,
		UpdateStrategy:            user,
		DeleteStrategy:            k.deleteStrategy(user),
		ResetFieldsStrategy:       user,
		ReturnDeletedObject:       k.ReturnDeleted,
		TableConvertor:            table,
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
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: getter, AttrFunc: user.attributes}); err != nil {
		return fmt.Errorf("completing the store of %s: %w", row.GroupResource(), err)
	}

	system := *store
	system.CreateStrategy, system.UpdateStrategy = &systemStrategy[E, T]{*user}, &systemStrategy[E, T]{*user}
	g.System[row.Resource] = &system

	served := map[string]rest.Storage{row.Resource: k.newREST(store, row)}
	for _, part := range user.parts() {
		storage := newPartREST(store, &partStrategy[E, T]{strategy: *user, part: part})
		if part.PutOnly {
			served[row.Resource+"/"+part.Name] = &putREST{storage}
			continue
		}
		served[row.Resource+"/"+part.Name] = storage
	}
	for _, version := range row.Versions {
		if g.Versions[version] == nil {
			g.Versions[version] = map[string]rest.Storage{}
		}
		for path, storage := range served {
			g.Versions[version][path] = storage
		}
	}
	return nil
}

func (k *Kind[E, T]) table(row *Row) (rest.TableConvertor, error) {
	switch {
	case k.Cells != nil:
		return &cells[E, T]{kind: k, resource: row.GroupResource()}, nil
	case row.Columns != nil:
		return NewColumns(row.Columns)
	}
	return rest.NewDefaultTableConvertor(row.GroupResource()), nil
}

// attributes implements storage.AttrFunc.
func (s *strategy[E, T]) attributes(obj runtime.Object) (labels.Set, fields.Set, error) {
	object, ok := obj.(T)
	if !ok {
		return nil, nil, fmt.Errorf("reading the attributes of one of %s: it is a %T", s.row.GroupResource(), obj)
	}
	selectable := fields.Set{}
	if s.kind.Fields != nil {
		selectable = s.kind.Fields(object)
	}
	selectable["metadata.name"] = object.GetName()
	if s.row.Namespaced {
		selectable["metadata.namespace"] = object.GetNamespace()
	}
	return object.GetLabels(), selectable, nil
}
