package kinds

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/operation"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// strategy is for writes of the whole object by users.
type strategy[E any, T Pointer[E]] struct {
	kind     *Kind[E, T]
	row      *Row
	scheme   *runtime.Scheme
	versions []fieldpath.APIVersion
	// generation says that metadata.generation counts the changes of the spec.
	generation bool
}

var _ interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
	rest.RESTDeleteStrategy
	rest.ResetFieldsStrategy
	rest.DeclarativeValidationStrategy
} = &strategy[metav1.PartialObjectMetadata, *metav1.PartialObjectMetadata]{}

// newStrategy fails if the table has no row for E, or one that does not fit.
func newStrategy[E any, T Pointer[E]](k *Kind[E, T], s *Scheme) (*strategy[E, T], error) {
	row, known := s.table.stored[reflect.TypeFor[T]()]
	if !known {
		return nil, fmt.Errorf("building the storage of %T: the table of kinds has no row for it", new(E))
	}
	if _, has := reflect.TypeFor[E]().FieldByName("Status"); !has && row.Status != NoStatus {
		return nil, fmt.Errorf("building the storage of %s: %T has no status, but its row says who writes it", row.GroupResource(), new(E))
	}
	_, hasSpec := reflect.TypeFor[E]().FieldByName("Spec")
	st := &strategy[E, T]{kind: k, row: row, scheme: s.Scheme, generation: hasSpec && !k.NoGeneration}
	for _, version := range row.Versions {
		st.versions = append(st.versions, fieldpath.APIVersion(schema.GroupVersion{Group: row.group, Version: version}.String()))
	}
	return st, nil
}

// part returns a field of obj that every kind calls by the same name, for example Status.
func part(obj any, name string) reflect.Value { return reflect.ValueOf(obj).Elem().FieldByName(name) }

// ObjectKinds implements runtime.ObjectTyper.
func (s *strategy[E, T]) ObjectKinds(obj runtime.Object) ([]schema.GroupVersionKind, bool, error) {
	return s.scheme.ObjectKinds(obj)
}

// Recognizes implements runtime.ObjectTyper.
func (s *strategy[E, T]) Recognizes(gvk schema.GroupVersionKind) bool {
	return s.scheme.Recognizes(gvk)
}

// GenerateName implements names.NameGenerator.
func (s *strategy[E, T]) GenerateName(base string) string {
	return names.SimpleNameGenerator.GenerateName(base)
}

// NamespaceScoped implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) NamespaceScoped() bool { return s.row.Namespaced }

// PrepareForCreate implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	s.prepareForUser(ctx, obj.(T), nil)
	s.prepare(ctx, obj.(T), nil)
}

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (s *strategy[E, T]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	s.prepareForUser(ctx, obj.(T), old.(T))
	s.prepare(ctx, obj.(T), old.(T))
}

func (s *strategy[E, T]) prepareForUser(ctx context.Context, obj, old T) {
	if s.row.Status != NoStatus {
		before := old
		if before == nil {
			before = new(E)
		}
		part(obj, "Status").Set(part(before, "Status"))
	}
	if s.kind.PrepareForUser != nil {
		s.kind.PrepareForUser(ctx, obj, old)
	}
}

// prepare does what every write needs, whoever writes what. old is nil on create.
func (s *strategy[E, T]) prepare(ctx context.Context, obj, old T) {
	// No decoder has seen what the server itself writes.
	s.scheme.Default(obj)
	if s.kind.Prepare != nil {
		s.kind.Prepare(obj, old)
	}
	switch {
	case !s.generation:
	case old == nil:
		obj.SetGeneration(1)
	default:
		obj.SetGeneration(old.GetGeneration())
		if !apiequality.Semantic.DeepEqual(part(obj, "Spec").Interface(), part(old, "Spec").Interface()) {
			obj.SetGeneration(old.GetGeneration() + 1)
		}
	}
	Stamp(ctx, obj)
}

// Validate implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	var errs field.ErrorList
	switch name := obj.(T).GetName(); {
	case s.kind.Name == nil && strings.Contains(name, "\x00"):
		// In storage, a zero byte ends what is written before an object. The usual check of path segments allows it.
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), name, "may not contain a zero byte"))
	case s.kind.Name != nil:
		errs = apimachineryvalidation.ValidateObjectMetaAccessor(obj.(T), s.NamespaceScoped(), s.kind.Name, field.NewPath("metadata"))
	}
	errs = append(errs, s.kind.validateFinalizers(obj.(T))...)
	if s.kind.Validate != nil {
		errs = append(errs, s.kind.Validate(obj.(T))...)
	}
	if s.kind.ValidateCreate != nil {
		errs = append(errs, s.kind.ValidateCreate(obj.(T))...)
	}
	if s.kind.ValidateRequest != nil {
		errs = append(errs, s.kind.ValidateRequest(ctx, obj.(T), nil)...)
	}
	return errs
}

// ValidateUpdate implements rest.RESTUpdateStrategy. The metadata have been validated before.
func (s *strategy[E, T]) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	errs := s.kind.validateFinalizers(obj.(T))
	if s.kind.Validate != nil {
		errs = append(errs, s.kind.Validate(obj.(T))...)
	}
	if s.kind.ValidateUpdate != nil {
		errs = append(errs, s.kind.ValidateUpdate(obj.(T), old.(T))...)
	}
	if s.kind.ValidateRequest != nil {
		errs = append(errs, s.kind.ValidateRequest(ctx, obj.(T), old.(T))...)
	}
	return errs
}

// ValidateDeclaratively implements rest.DeclarativeValidationStrategy. What several checks have found is reported once, as stock strategies do
// when they add what they generate from the types.
func (s *strategy[E, T]) ValidateDeclaratively(_ context.Context, _, _ runtime.Object, errs field.ErrorList, _ operation.Type, _ rest.DeclarativeValidationConfig) field.ErrorList {
	return errs.Filter()
}

// DeclarativeValidationConfig implements rest.DeclarativeValidationStrategy.
func (s *strategy[E, T]) DeclarativeValidationConfig(context.Context, runtime.Object, runtime.Object) rest.DeclarativeValidationConfig {
	return rest.DeclarativeValidationConfig{}
}

// WarningsOnCreate implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) WarningsOnCreate(_ context.Context, obj runtime.Object) []string {
	if s.kind.Warn == nil {
		return nil
	}
	return s.kind.Warn(obj.(T), nil)
}

// WarningsOnUpdate implements rest.RESTUpdateStrategy.
func (s *strategy[E, T]) WarningsOnUpdate(_ context.Context, obj, old runtime.Object) []string {
	if s.kind.Warn == nil {
		return nil
	}
	return s.kind.Warn(obj.(T), old.(T))
}

// Canonicalize implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) Canonicalize(obj runtime.Object) {
	if s.kind.Canonicalize != nil {
		s.kind.Canonicalize(obj.(T))
	}
}

// AllowCreateOnUpdate implements rest.RESTUpdateStrategy.
func (s *strategy[E, T]) AllowCreateOnUpdate(context.Context) bool { return s.kind.CreateOnUpdate }

// AllowUnconditionalUpdate implements rest.RESTUpdateStrategy.
func (s *strategy[E, T]) AllowUnconditionalUpdate(context.Context) bool { return !s.kind.NeedsVersion }

// GetResetFields implements rest.ResetFieldsStrategy.
func (s *strategy[E, T]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	reset := slices.Clone(s.kind.Reset)
	if s.row.Status != NoStatus {
		reset = append(reset, []any{"status"})
	}
	return ResetFields(s.versions, reset...)
}

// systemStrategy is for writes by the server itself.
type systemStrategy[E any, T Pointer[E]] struct{ strategy[E, T] }

// PrepareForCreate implements rest.RESTCreateStrategy.
func (s *systemStrategy[E, T]) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	s.prepare(ctx, obj.(T), nil)
}

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (s *systemStrategy[E, T]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	s.prepare(ctx, obj.(T), old.(T))
}

// ValidateUpdate implements rest.RESTUpdateStrategy: the server writes both parts at once.
func (s *systemStrategy[E, T]) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	errs := s.strategy.ValidateUpdate(ctx, obj, old)
	if s.kind.ValidateStatusUpdate != nil {
		errs = append(errs, s.kind.ValidateStatusUpdate(obj.(T), old.(T))...)
	}
	return errs
}

// partStrategy is for writes through a subresource.
type partStrategy[E any, T Pointer[E]] struct {
	strategy[E, T]
	part Part[T]
}

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (s *partStrategy[E, T]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	s.part.Keep(obj.(T), old.(T))
	s.prepare(ctx, obj.(T), old.(T))
}

// ValidateUpdate implements rest.RESTUpdateStrategy.
func (s *partStrategy[E, T]) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	if s.part.ValidateUpdate == nil {
		return nil
	}
	return s.part.ValidateUpdate(obj.(T), old.(T))
}

// WarningsOnUpdate implements rest.RESTUpdateStrategy.
func (s *partStrategy[E, T]) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (s *partStrategy[E, T]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return ResetFields(s.versions, s.part.Reset...)
}

// parts returns all subresources.
func (s *strategy[E, T]) parts() []Part[T] {
	if s.row.Status == NoStatus || slices.ContainsFunc(s.kind.Parts, func(p Part[T]) bool { return p.Name == "status" }) {
		return s.kind.Parts
	}
	status := Part[T]{Name: "status", Keep: keepAllButStatus[E, T], Reset: [][]any{{"spec"}, {"metadata"}}, ValidateUpdate: s.kind.ValidateStatusUpdate}
	if s.kind.MetadataByStatus {
		status.Keep = func(obj, old T) { part(obj, "Spec").Set(part(old, "Spec")) }
		status.Reset = [][]any{{"spec"}}
	}
	return append(slices.Clone(s.kind.Parts), status)
}

// keepAllButStatus makes obj a copy of old with the status of obj.
func keepAllButStatus[E any, T Pointer[E]](obj, old T) {
	kept := old.DeepCopyObject().(T)
	part(kept, "Status").Set(part(obj, "Status"))
	// The managed fields already tell who wrote the new status.
	kept.SetManagedFields(obj.GetManagedFields())
	kept.SetResourceVersion(obj.GetResourceVersion())
	*obj = *kept
}

// uncollectedStrategy is for deletion of kinds without garbage collection.
type uncollectedStrategy[E any, T Pointer[E]] struct{ *strategy[E, T] }

// DefaultGarbageCollectionPolicy implements rest.GarbageCollectionDeleteStrategy.
func (s *uncollectedStrategy[E, T]) DefaultGarbageCollectionPolicy(context.Context) rest.GarbageCollectionPolicy {
	return rest.Unsupported
}

// markedStrategy is for deletion of kinds with BeginDelete.
type markedStrategy[E any, T Pointer[E]] struct{ *strategy[E, T] }

// CheckGracefulDelete implements rest.RESTGracefulDeleteStrategy. The stock store calls it with the object that it is about to mark,
// unless that is marked already.
func (s *markedStrategy[E, T]) CheckGracefulDelete(_ context.Context, obj runtime.Object, _ *metav1.DeleteOptions) bool {
	s.kind.BeginDelete(obj.(T))
	return false
}

func (k *Kind[E, T]) deleteStrategy(user *strategy[E, T]) rest.RESTDeleteStrategy {
	switch {
	case k.NoGarbageCollection:
		return &uncollectedStrategy[E, T]{user}
	case k.BeginDelete != nil:
		return &markedStrategy[E, T]{user}
	}
	return user
}
