package schema

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/registry/nice"
)

// creating is the admission of a definition. It changes by which strategy its objects are created: the stock handler makes a storage for
// each version, with a strategy of its own. Admission is the only place that sees these storages, in the scope of the request, before anything
// is created. It wraps the strategy of each when it first sees it. All admission of a custom resource gives way to others if the request does, the parts of this
// package included.
type creating struct {
	admission.Interface
	// freelyNamed says that objects may have every name that is valid in a URL.
	freelyNamed bool
	mu          sync.Mutex
}

var (
	_ admission.MutationInterface   = &creating{}
	_ admission.ValidationInterface = &creating{}
)

// Handles implements admission.Interface.
func (c *creating) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Update || c.Interface.Handles(operation)
}

// Admit implements admission.MutationInterface. Server-side apply creates by an update.
func (c *creating) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) (err error) {
	if operation := a.GetOperation(); a.GetSubresource() == "" && (operation == admission.Create || operation == admission.Update) {
		if err := c.wrap(o); err != nil {
			return apierrors.NewInternalError(err)
		}
	}
	if mutating, ok := c.Interface.(admission.MutationInterface); ok && c.Interface.Handles(a.GetOperation()) {
		nice.Run(ctx, func(ctx context.Context) { err = mutating.Admit(ctx, a, o) })
	}
	return err
}

// Validate implements admission.ValidationInterface.
func (c *creating) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) (err error) {
	if validating, ok := c.Interface.(admission.ValidationInterface); ok && c.Interface.Handles(a.GetOperation()) {
		nice.Run(ctx, func(ctx context.Context) { err = validating.Validate(ctx, a, o) })
	}
	return err
}

// wrap wraps the strategy by which the storage in the scope of a request creates objects. Nobody reads the strategy before admission, so
// every read is after the lock here.
func (c *creating) wrap(o admission.ObjectInterfaces) error {
	scope, ok := o.(*handlers.RequestScope)
	if !ok {
		return fmt.Errorf("creating a custom resource: admission gets %T, not the scope of the request", o)
	}
	storage, ok := scope.TableConvertor.(*customresource.REST)
	if !ok {
		return fmt.Errorf("creating a custom resource: tables are made by %T, not by the storage", scope.TableConvertor)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, wrapped := storage.CreateStrategy.(givingWay); wrapped {
		return nil
	}
	if c.freelyNamed {
		storage.CreateStrategy = freelyNamed{storage.CreateStrategy}
	}
	storage.CreateStrategy = givingWay{storage.CreateStrategy}
	return nil
}

// givingWay is a strategy whose validation gives way to others if the request does. The author of the schema and its rules decides how long it
// takes. Updates are validated in storage, which does the same.
type givingWay struct{ rest.RESTCreateStrategy }

// Validate implements rest.RESTCreateStrategy.
func (g givingWay) Validate(ctx context.Context, obj runtime.Object) (errs field.ErrorList) {
	nice.Run(ctx, func(ctx context.Context) { errs = g.RESTCreateStrategy.Validate(ctx, obj) })
	return errs
}
