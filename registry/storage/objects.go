package storage

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/storage/filter"
)

// objects is the half of a storage that concerns single objects. It puts the cluster into keys, and lets a request reach only
// what its filter shows.
type objects struct {
	apistorage.Interface // what is below; answers what has no key
	layout               layout
	// read gets an object by its real key.
	read func(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error
	// suggest returns what is cached of an object, which spares the storage below a read; nil for nothing. The storage reads
	// again when that turns out to be old.
	suggest func(ctx context.Context, key string) runtime.Object
}

func (o *objects) sight(ctx context.Context) filter.Sight {
	bucket := ""
	if o.layout.custom {
		bucket, _ = BucketFrom(ctx)
	}
	return filter.Of(ctx, o.layout.resource, bucket)
}

// Create implements storage.Interface.
func (o *objects) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	at, err := o.layout.one(ctx, "create", key)
	if err != nil {
		return err
	}
	if err := stamp(obj, at.cluster); err != nil {
		return err
	}
	if err := o.sight(ctx).Makes(obj); err != nil {
		return err
	}
	return apiError(ctx, o.Interface.Create(ctx, at.key, obj, out, ttl), true)
}

// Delete implements storage.Interface.
func (o *objects) Delete(ctx context.Context, key string, out runtime.Object, preconditions *apistorage.Preconditions,
	validate apistorage.ValidateObjectFunc, _ runtime.Object, opts apistorage.DeleteOptions) error {
	at, err := o.layout.one(ctx, "delete", key)
	if err != nil {
		return err
	}
	return o.sight(ctx).Delete(at.key, preconditions, validate, func(preconditions *apistorage.Preconditions, validate apistorage.ValidateObjectFunc) error {
		return apiError(ctx, o.Interface.Delete(ctx, at.key, out, preconditions, validate, o.suggest(ctx, at.key), opts), true)
	})
}

// GuaranteedUpdate implements storage.Interface.
func (o *objects) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *apistorage.Preconditions, try apistorage.UpdateFunc, _ runtime.Object) error {
	at, err := o.layout.one(ctx, "update", key)
	if err != nil {
		return err
	}
	stamping := func(input runtime.Object, res apistorage.ResponseMeta) (runtime.Object, *uint64, error) {
		output, ttl, err := try(input, res)
		if err != nil {
			return output, ttl, err
		}
		return output, ttl, stamp(output, at.cluster)
	}
	return o.sight(ctx).Update(at.key, preconditions, stamping, func(preconditions *apistorage.Preconditions, try apistorage.UpdateFunc) error {
		return apiError(ctx, o.Interface.GuaranteedUpdate(ctx, at.key, destination, ignoreNotFound, preconditions, try, o.suggest(ctx, at.key)), true)
	})
}

// Get implements storage.Interface.
func (o *objects) Get(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error {
	at, err := o.layout.one(ctx, "get", key)
	if err != nil {
		return err
	}
	return o.sight(ctx).Got(at.key, opts, out, apiError(ctx, o.read(ctx, at.key, opts, out), false))
}

// GetCurrentResourceVersion implements storage.Interface.
func (o *objects) GetCurrentResourceVersion(ctx context.Context) (uint64, error) {
	revision, err := o.Interface.GetCurrentResourceVersion(ctx)
	return revision, apiError(ctx, err, false)
}
