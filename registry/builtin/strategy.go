package builtin

import (
	"context"

	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/annex-dev/annex/registry/stamp"
)

// strategy is for writes by users.
type strategy[E any, T Pointer[E]] struct {
	kind   *Kind[E, T]
	scheme *runtime.Scheme
}

var _ interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
	rest.RESTDeleteStrategy
	rest.ResetFieldsStrategy
} = &strategy[metav1.PartialObjectMetadata, *metav1.PartialObjectMetadata]{}

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
func (s *strategy[E, T]) NamespaceScoped() bool { return !s.kind.ClusterScoped }

// PrepareForCreate implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	if s.kind.PrepareForUser != nil {
		s.kind.PrepareForUser(obj.(T), nil)
	}
	s.prepare(ctx, obj.(T), nil)
}

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (s *strategy[E, T]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	if s.kind.PrepareForUser != nil {
		s.kind.PrepareForUser(obj.(T), old.(T))
	}
	s.prepare(ctx, obj.(T), old.(T))
}

// prepare does what every write needs.
func (s *strategy[E, T]) prepare(ctx context.Context, obj, old T) {
	s.scheme.Default(obj)
	if s.kind.Prepare != nil {
		s.kind.Prepare(obj, old)
	}
	stamp.Cluster(ctx, obj)
}

// Validate implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	var errs field.ErrorList
	if s.kind.Name != nil {
		errs = apimachineryvalidation.ValidateObjectMetaAccessor(obj.(T), s.NamespaceScoped(), s.kind.Name, field.NewPath("metadata"))
	}
	if s.kind.Validate != nil {
		errs = append(errs, s.kind.Validate(ctx, obj.(T))...)
	}
	if s.kind.ValidateCreate != nil {
		errs = append(errs, s.kind.ValidateCreate(ctx, obj.(T))...)
	}
	return errs
}

// ValidateUpdate implements rest.RESTUpdateStrategy. The metadata have been validated before.
func (s *strategy[E, T]) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	var errs field.ErrorList
	if s.kind.Validate != nil {
		errs = s.kind.Validate(ctx, obj.(T))
	}
	if s.kind.ValidateUpdate != nil {
		errs = append(errs, s.kind.ValidateUpdate(ctx, obj.(T), old.(T))...)
	}
	return errs
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
	return s.kind.reset(s.kind.Reset)
}

// reset returns the set of paths, and with them the annotation that nobody owns.
func (k *Kind[E, T]) reset(paths [][]any) map[fieldpath.APIVersion]*fieldpath.Set {
	set := fieldpath.NewSet(stamp.Path())
	for _, path := range paths {
		set.Insert(fieldpath.MakePathOrDie(path...))
	}
	return map[fieldpath.APIVersion]*fieldpath.Set{k.apiVersion(): set}
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

// partStrategy is for writes through a subresource.
type partStrategy[E any, T Pointer[E]] struct {
	strategy[E, T]
	part *Subresource[T]
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
	return s.kind.reset(s.part.Reset)
}

// uncollectedStrategy is for deletion of kinds without garbage collection.
type uncollectedStrategy[E any, T Pointer[E]] struct{ *strategy[E, T] }

// DefaultGarbageCollectionPolicy implements rest.GarbageCollectionDeleteStrategy.
func (s *uncollectedStrategy[E, T]) DefaultGarbageCollectionPolicy(context.Context) rest.GarbageCollectionPolicy {
	return rest.Unsupported
}

func (k *Kind[E, T]) deleteStrategy(user *strategy[E, T]) rest.RESTDeleteStrategy {
	if k.NoGarbageCollection {
		return &uncollectedStrategy[E, T]{user}
	}
	return user
}
