package apis

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/schemas/validation"
)

var schemas = apisv1alpha1.Resource("apiresourceschemas")

// schemaKind does not validate: schemaREST does, with an answer of its own.
func schemaKind() *kinds.Kind[apisv1alpha1.APIResourceSchema, *apisv1alpha1.APIResourceSchema] {
	return &kinds.Kind[apisv1alpha1.APIResourceSchema, *apisv1alpha1.APIResourceSchema]{
		Warn: func(s, old *apisv1alpha1.APIResourceSchema) (warnings []string) {
			if old == nil { // it never changes
				room.Large(schemaBytes(s), func() { warnings = validation.WarnAPIResourceSchema(s) })
			}
			return warnings
		},
	}
}

// schemaREST serves apiresourceschemas. All that is wrong with a schema is answered together, as Forbidden.
type schemaREST struct{ *kinds.REST }

// Create implements rest.Creater.
func (r *schemaREST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	return r.REST.Create(ctx, obj, validSchema(validate), options)
}

// Update implements rest.Updater.
func (r *schemaREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, validate rest.ValidateObjectFunc,
	validateUpdate rest.ValidateObjectUpdateFunc, forceAllowCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.REST.Update(ctx, name, info, validSchema(validate), validSchemaUpdate(validateUpdate), forceAllowCreate, options)
}

// Patch comes in through Update.
var _ rest.Patcher = &schemaREST{}

func validSchema(next rest.ValidateObjectFunc) rest.ValidateObjectFunc {
	return func(ctx context.Context, obj runtime.Object) error {
		s, ok := obj.(*apisv1alpha1.APIResourceSchema)
		if !ok {
			return apierrors.NewInternalError(errors.New("the object is not an APIResourceSchema"))
		}
		var faults field.ErrorList
		room.Large(schemaBytes(s), func() { faults = validation.ValidateAPIResourceSchema(ctx, s) })
		if err := forbid(s.Name, faults); err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		return next(ctx, obj)
	}
}

func validSchemaUpdate(next rest.ValidateObjectUpdateFunc) rest.ValidateObjectUpdateFunc {
	return func(ctx context.Context, obj, old runtime.Object) error {
		s, ok := obj.(*apisv1alpha1.APIResourceSchema)
		before, okay := old.(*apisv1alpha1.APIResourceSchema)
		if !ok || !okay {
			return apierrors.NewInternalError(errors.New("the object is not an APIResourceSchema"))
		}
		if err := forbid(s.Name, validation.ValidateAPIResourceSchemaUpdate(s, before)); err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		return next(ctx, obj, old)
	}
}

// schemaBytes returns how many bytes the schemas of s have.
func schemaBytes(s *apisv1alpha1.APIResourceSchema) int {
	n := 0
	for i := range s.Spec.Versions {
		n += len(s.Spec.Versions[i].Schema.Raw)
	}
	return n
}

// forbid returns all of faults as one Forbidden, nil when there are none.
func forbid(name string, faults field.ErrorList) error {
	if len(faults) == 0 {
		return nil
	}
	return apierrors.NewForbidden(schemas, name, faults.ToAggregate())
}

// systemSchemas keeps the server from storing a schema that no user could.
func systemSchemas(store *genericregistry.Store) {
	store.BeginCreate = func(ctx context.Context, obj runtime.Object, _ *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
		return func(context.Context, bool) {}, validSchema(nil)(ctx, obj)
	}
	store.BeginUpdate = func(ctx context.Context, obj, old runtime.Object, _ *metav1.UpdateOptions) (genericregistry.FinishFunc, error) {
		return func(context.Context, bool) {}, validSchemaUpdate(nil)(ctx, obj, old)
	}
}
