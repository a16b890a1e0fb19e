package apiextensions

import (
	"context"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/nice"
)

const resourceName = "customresourcedefinitions"

// NewGroup returns the storage of apiextensions.k8s.io/v1.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter) (*group.Group, error) {
	stock, err := customresourcedefinition.NewREST(s.Scheme, getter)
	if err != nil {
		return nil, fmt.Errorf("building the storage of %s: %w", resourceName, err)
	}
	ours := strategy{customresourcedefinition.NewStrategy(s.Scheme)}
	users := limited{ours}
	stock.Store.CreateStrategy = users
	stock.Store.UpdateStrategy = users

	own := systemStrategy{ours}
	system := *stock.Store
	system.CreateStrategy = own
	system.UpdateStrategy = own
	system.ResetFieldsStrategy = nil

	return &group.Group{
		Name: apiextensions.GroupName,
		Versions: map[string]map[string]rest.Storage{
			apiextensionsv1.SchemeGroupVersion.Version: {
				resourceName:             &REST{REST: stock},
				resourceName + "/status": &StatusREST{StatusREST: customresourcedefinition.NewStatusREST(s.Scheme, stock)},
			},
		},
		System: map[string]*genericregistry.Store{resourceName: &system},
	}, nil
}

// REST serves customresourcedefinitions.
type REST struct {
	*customresourcedefinition.REST
}

var (
	_ rest.StandardStorage    = &REST{}
	_ rest.ShortNamesProvider = &REST{}
	_ rest.CategoriesProvider = &REST{}
)

// Create refuses reserved names before the stock storage sees them.
func (r *REST) Create(ctx context.Context, obj runtime.Object, validation rest.ValidateObjectFunc, options *metav1.CreateOptions) (made runtime.Object, err error) {
	if err := checkReserved(ctx, obj, nil); err != nil {
		return nil, err
	}
	nice.Run(ctx, func(ctx context.Context) { made, err = r.REST.Create(ctx, obj, validation, options) })
	return made, err
}

// Update implements rest.Updater.
func (r *REST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc,
	updateValidation rest.ValidateObjectUpdateFunc, forceAllowCreate bool, options *metav1.UpdateOptions) (made runtime.Object, created bool, err error) {
	checkedCreate := func(ctx context.Context, obj runtime.Object) error {
		if err := checkReserved(ctx, obj, nil); err != nil {
			return err
		}
		return createValidation(ctx, obj)
	}
	nice.Run(ctx, func(ctx context.Context) {
		made, created, err = r.REST.Update(ctx, name, info, checkedCreate, withReservedCheck(updateValidation), forceAllowCreate, options)
	})
	return made, created, err
}

// withReservedCheck returns validate after a check of reserved names.
func withReservedCheck(validate rest.ValidateObjectUpdateFunc) rest.ValidateObjectUpdateFunc {
	return func(ctx context.Context, obj, old runtime.Object) error {
		if err := checkReserved(ctx, obj, old); err != nil {
			return err
		}
		return validate(ctx, obj, old)
	}
}

// Delete implements rest.GracefulDeleter. The stock storage holds a definition until a controller has deleted its objects;
// a bound definition has none of its own.
func (r *REST) Delete(ctx context.Context, name string, validation rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	if cluster, _ := logicalcluster.FromContext(ctx); cluster == logicalcluster.SystemBoundCRDs {
		return r.Store.Delete(ctx, name, validation, options)
	}
	return r.REST.Delete(ctx, name, validation, options)
}

// StatusREST serves the status of customresourcedefinitions. The stock strategy lets annotations through.
type StatusREST struct {
	*customresourcedefinition.StatusREST
}

var _ rest.Patcher = &StatusREST{}

// Update implements rest.Updater. It never creates.
func (r *StatusREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc,
	updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.StatusREST.Update(ctx, name, info, createValidation, withReservedCheck(updateValidation), false, options)
}
