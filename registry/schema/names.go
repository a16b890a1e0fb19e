package schema

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/registry/nice"
)

// freelyNaming is the admission of a definition whose objects may have every name that is valid in a URL. The stock handler knows no such
// definitions: it makes a storage for each version, with a strategy of its own. Admission is the only place that sees these storages, in the
// scope of the request, before anything is created. It wraps the strategy of each when it first sees it.
type freelyNaming struct {
	admission.Interface
	mu sync.Mutex
}

var (
	_ admission.MutationInterface   = &freelyNaming{}
	_ admission.ValidationInterface = &freelyNaming{}
)

// Handles implements admission.Interface.
func (f *freelyNaming) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Update || f.Interface.Handles(operation)
}

// Admit implements admission.MutationInterface. Server-side apply creates by an update.
func (f *freelyNaming) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if operation := a.GetOperation(); a.GetSubresource() == "" && (operation == admission.Create || operation == admission.Update) {
		if err := f.wrap(o); err != nil {
			return apierrors.NewInternalError(err)
		}
	}
	if mutating, ok := f.Interface.(admission.MutationInterface); ok && f.Interface.Handles(a.GetOperation()) {
		return mutating.Admit(ctx, a, o)
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (f *freelyNaming) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if validating, ok := f.Interface.(admission.ValidationInterface); ok && f.Interface.Handles(a.GetOperation()) {
		return validating.Validate(ctx, a, o)
	}
	return nil
}

// wrap wraps the strategy by which the storage in the scope of a request creates objects. Nobody reads the strategy before admission, so
// every read is after the lock here.
func (f *freelyNaming) wrap(o admission.ObjectInterfaces) error {
	scope, ok := o.(*handlers.RequestScope)
	if !ok {
		return fmt.Errorf("allowing all names: admission gets %T, not the scope of the request", o)
	}
	storage, ok := scope.TableConvertor.(*customresource.REST)
	if !ok {
		return fmt.Errorf("allowing all names: tables are made by %T, not by the storage", scope.TableConvertor)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, wrapped := storage.CreateStrategy.(freelyNamed); !wrapped {
		storage.CreateStrategy = freelyNamed{storage.CreateStrategy}
	}
	return nil
}

// freelyNamed is a strategy for objects that may have every name that is valid in a URL.
type freelyNamed struct{ rest.RESTCreateStrategy }

// Validate implements rest.RESTCreateStrategy. What the schema and its rules say about names stays. Their author decides how long they take,
// so they give way to others if the request does; updates are validated in storage, which does the same.
func (s freelyNamed) Validate(ctx context.Context, obj runtime.Object) (errs field.ErrorList) {
	nice.Run(ctx, func(ctx context.Context) { errs = s.RESTCreateStrategy.Validate(ctx, obj) })
	object, ok := obj.(metav1.Object)
	if !ok {
		return append(errs, field.InternalError(field.NewPath("metadata"), fmt.Errorf("unexpected type %T", obj)))
	}
	for _, of := range []struct {
		field, value string
		stock, ours  []string
	}{
		{"name", object.GetName(), apimachineryvalidation.NameIsDNSSubdomain(object.GetName(), false), content.IsPathSegmentName(object.GetName())},
		{"generateName", object.GetGenerateName(), apimachineryvalidation.NameIsDNSSubdomain(object.GetGenerateName(), true), content.IsPathSegmentPrefix(object.GetGenerateName())},
	} {
		at := field.NewPath("metadata", of.field)
		errs = slices.DeleteFunc(errs, func(e *field.Error) bool {
			return e.Type == field.ErrorTypeInvalid && e.Field == at.String() && slices.Contains(of.stock, e.Detail)
		})
		if of.value == "" {
			continue
		}
		if strings.ContainsRune(of.value, 0) {
			of.ours = append(of.ours, "may not contain a zero byte") // no storage key can
		}
		for _, message := range of.ours {
			errs = append(errs, field.Invalid(at, of.value, message))
		}
	}
	return errs
}
