package kind

import (
	"context"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
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
	kind  *Kind[E, T]
	typer runtime.ObjectTyper
}

var _ interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
	rest.RESTDeleteStrategy
	rest.ResetFieldsStrategy
} = &strategy[metav1.PartialObjectMetadata, *metav1.PartialObjectMetadata]{}

// ObjectKinds implements runtime.ObjectTyper.
func (s *strategy[E, T]) ObjectKinds(obj runtime.Object) ([]schema.GroupVersionKind, bool, error) {
	return s.typer.ObjectKinds(obj)
}

// Recognizes implements runtime.ObjectTyper.
func (s *strategy[E, T]) Recognizes(gvk schema.GroupVersionKind) bool { return s.typer.Recognizes(gvk) }

// GenerateName implements names.NameGenerator.
func (s *strategy[E, T]) GenerateName(base string) string {
	return names.SimpleNameGenerator.GenerateName(base)
}

// NamespaceScoped implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) NamespaceScoped() bool { return false }

// PrepareForCreate implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) PrepareForCreate(_ context.Context, obj runtime.Object) {
	created := obj.(T)
	if s.kind.CopyStatus != nil {
		s.kind.CopyStatus(created, new(E))
	}
	if s.kind.PrepareForUser != nil {
		s.kind.PrepareForUser(created, nil)
	}
	s.create(created)
}

func (s *strategy[E, T]) create(obj T) {
	obj.SetGeneration(1)
	if s.kind.Prepare != nil {
		s.kind.Prepare(obj, nil)
	}
}

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (s *strategy[E, T]) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	updated, before := obj.(T), old.(T)
	if s.kind.CopyStatus != nil {
		s.kind.CopyStatus(updated, before)
	}
	if s.kind.PrepareForUser != nil {
		s.kind.PrepareForUser(updated, before)
	}
	s.update(updated, before)
}

func (s *strategy[E, T]) update(obj, old T) {
	if s.kind.Prepare != nil {
		s.kind.Prepare(obj, old)
	}
	obj.SetGeneration(old.GetGeneration())
	if !apiequality.Semantic.DeepEqual(s.kind.Spec(obj), s.kind.Spec(old)) {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
}

// Validate implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) Validate(_ context.Context, obj runtime.Object) field.ErrorList {
	return s.kind.Validate(obj.(T))
}

// ValidateUpdate implements rest.RESTUpdateStrategy.
func (s *strategy[E, T]) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return s.kind.ValidateUpdate(obj.(T), old.(T))
}

// WarningsOnCreate implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }

// WarningsOnUpdate implements rest.RESTUpdateStrategy.
func (s *strategy[E, T]) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// Canonicalize implements rest.RESTCreateStrategy.
func (s *strategy[E, T]) Canonicalize(runtime.Object) {}

// AllowCreateOnUpdate implements rest.RESTUpdateStrategy.
func (s *strategy[E, T]) AllowCreateOnUpdate(context.Context) bool { return false }

// AllowUnconditionalUpdate implements rest.RESTUpdateStrategy.
func (s *strategy[E, T]) AllowUnconditionalUpdate(context.Context) bool { return true }

// GetResetFields implements rest.ResetFieldsStrategy.
func (s *strategy[E, T]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	reset := fieldpath.NewSet()
	if s.kind.CopyStatus != nil {
		reset.Insert(fieldpath.MakePathOrDie("status"))
	}
	return map[fieldpath.APIVersion]*fieldpath.Set{s.kind.apiVersion(): reset}
}

func (k *Kind[E, T]) apiVersion() fieldpath.APIVersion {
	return fieldpath.APIVersion(k.Resource.Group + "/" + k.Version)
}

// statusStrategy is for writes of the status.
type statusStrategy[E any, T Pointer[E]] struct{ strategy[E, T] }

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (s *statusStrategy[E, T]) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	updated := obj.(T)
	result := old.DeepCopyObject().(T)
	s.kind.CopyStatus(result, updated)
	// The managed fields already tell who wrote the new status.
	result.SetManagedFields(updated.GetManagedFields())
	result.SetResourceVersion(updated.GetResourceVersion())
	if s.kind.Prepare != nil {
		s.kind.Prepare(result, old.(T))
	}
	*updated = *result
}

// ValidateUpdate implements rest.RESTUpdateStrategy.
func (s *statusStrategy[E, T]) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return s.kind.ValidateStatusUpdate(obj.(T), old.(T))
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (s *statusStrategy[E, T]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return map[fieldpath.APIVersion]*fieldpath.Set{s.kind.apiVersion(): fieldpath.NewSet(
		fieldpath.MakePathOrDie("spec"),
		fieldpath.MakePathOrDie("metadata"),
	)}
}

// systemStrategy is for writes by the server itself.
type systemStrategy[E any, T Pointer[E]] struct{ strategy[E, T] }

// PrepareForCreate implements rest.RESTCreateStrategy.
func (s *systemStrategy[E, T]) PrepareForCreate(_ context.Context, obj runtime.Object) {
	s.create(obj.(T))
}

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (s *systemStrategy[E, T]) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	s.update(obj.(T), old.(T))
}

// ValidateUpdate implements rest.RESTUpdateStrategy: the server writes both parts at once.
func (s *systemStrategy[E, T]) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	errs := s.strategy.ValidateUpdate(ctx, obj, old)
	if s.kind.ValidateStatusUpdate != nil {
		errs = append(errs, s.kind.ValidateStatusUpdate(obj.(T), old.(T))...)
	}
	return errs
}
