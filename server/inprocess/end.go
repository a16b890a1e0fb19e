package inprocess

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	apistorage "k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
)

// errGoesOn says that an update does not end its object.
var errGoesOn = errors.New("the update does not end the object")

// end deletes the object if updated, its next state, has lost the last finalizer that held it; ended is false if it goes on. A store
// does the same after it has tracked fields, validated, and read the object anew, for a state that nobody will see.
func (c *Client) end(ctx context.Context, r *resource, updated runtime.Object, keepsSpec bool, attributes func(updated, old runtime.Object) admission.Attributes) (ended bool, err error) {
	accessor, err := meta.Accessor(updated)
	if err != nil {
		return false, fmt.Errorf("reading the metadata of a %T: %w", updated, err)
	}
	name, uid, version := accessor.GetName(), accessor.GetUID(), accessor.GetResourceVersion()
	if accessor.GetDeletionTimestamp() == nil || uid == "" || version == "" {
		return false, nil
	}
	key, err := r.store.KeyFunc(ctx, name)
	if err != nil || !r.ends(ctx, key, updated, updated) {
		return false, err
	}
	validate := rest.AdmissionToValidateObjectUpdateFunc(c.admission, attributes(nil, nil), c.objects)
	err = r.store.Storage.Delete(ctx, key, r.store.New(), &apistorage.Preconditions{UID: &uid, ResourceVersion: &version},
		func(ctx context.Context, old runtime.Object) error {
			if !r.ends(ctx, key, updated, old) {
				return errGoesOn
			}
			next := updated.DeepCopyObject()
			if keepsSpec {
				if err := keepSpec(next, old); err != nil {
					return errGoesOn
				}
			}
			if err := c.mutate(ctx, attributes(next, old)); err != nil {
				return err
			}
			if !r.ends(ctx, key, next, old) {
				return errGoesOn
			}
			return validate(ctx, next, old)
		}, false, nil, apistorage.DeleteOptions{})
	if errors.Is(err, errGoesOn) {
		return false, nil
	}
	return err == nil, storeerr.InterpretUpdateError(err, r.store.DefaultQualifiedResource, name)
}

// ends reports whether the step from old to updated completes a deletion.
func (r *resource) ends(ctx context.Context, key string, updated, old runtime.Object) bool {
	return genericregistry.ShouldDeleteDuringUpdate(ctx, key, updated, old) &&
		(r.store.ShouldDeleteDuringUpdate == nil || r.store.ShouldDeleteDuringUpdate(ctx, key, updated, old))
}
