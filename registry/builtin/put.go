package builtin

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/annex-dev/annex/registry/group"
)

// putREST serves a subresource that can only be PUT: of what it wraps it shows updates alone.
type putREST struct{ storage *group.StatusREST }

var (
	_ rest.Updater             = &putREST{}
	_ rest.ResetFieldsStrategy = &putREST{}
)

// New implements rest.Storage.
func (r *putREST) New() runtime.Object { return r.storage.New() }

// Destroy implements rest.Storage.
func (r *putREST) Destroy() {}

// Update implements rest.Updater.
func (r *putREST) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc,
	updateValidation rest.ValidateObjectUpdateFunc, forceAllowCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.storage.Update(ctx, name, objInfo, createValidation, updateValidation, forceAllowCreate, options)
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (r *putREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return r.storage.GetResetFields()
}
