package object

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/writecost"
)

// Storage is the half of a storage that concerns single objects. It puts the cluster into keys, and lets a request reach only
// what its filter shows.
type Storage struct {
	apistorage.Interface // what is below; answers what has no key
	Layout               layout.Resource
	// Read gets an object by its real key.
	Read func(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error
	// Suggest returns what is cached of an object, which spares the storage below a read; nil for nothing. The storage reads
	// again when that turns out to be old.
	Suggest func(ctx context.Context, key string) runtime.Object
}

// Sight returns what the request of ctx may see.
func (o *Storage) Sight(ctx context.Context) filter.Sight {
	bucket := ""
	if o.Layout.Custom {
		bucket, _ = layout.BucketFrom(ctx)
	}
	return filter.Of(ctx, o.Layout.Resource, bucket)
}

// Create implements storage.Interface.
func (o *Storage) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	at, err := o.Layout.One(ctx, "create", key)
	if err != nil {
		return err
	}
	if err := layout.Stamp(obj, at.Cluster); err != nil {
		return err
	}
	if err := writecost.CheckManagers(obj, nil, o.Layout.Resource); err != nil {
		return err
	}
	if err := o.Sight(ctx).Makes(obj); err != nil {
		return err
	}
	return answer.Error(ctx, o.Interface.Create(ctx, at.Key, obj, out, ttl), true)
}

// Delete implements storage.Interface.
func (o *Storage) Delete(ctx context.Context, key string, out runtime.Object, preconditions *apistorage.Preconditions,
	validate apistorage.ValidateObjectFunc, _ runtime.Object, opts apistorage.DeleteOptions) error {
	at, err := o.Layout.One(ctx, "delete", key)
	if err != nil {
		return err
	}
	return o.Sight(ctx).Delete(at.Key, preconditions, o.checked(ctx, validate), func(preconditions *apistorage.Preconditions, validate apistorage.ValidateObjectFunc) error {
		return answer.Error(ctx, o.Interface.Delete(ctx, at.Key, out, preconditions, validate, o.Suggest(ctx, at.Key), opts), true)
	})
}

// GuaranteedUpdate implements storage.Interface.
func (o *Storage) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *apistorage.Preconditions, try apistorage.UpdateFunc, _ runtime.Object) error {
	at, err := o.Layout.One(ctx, "update", key)
	if err != nil {
		return err
	}
	stamping := func(input runtime.Object, res apistorage.ResponseMeta) (runtime.Object, *uint64, error) {
		if err := writecost.Check(ctx, input); err != nil {
			return nil, nil, err
		}
		output, ttl, err := try(input, res)
		if err != nil {
			return output, ttl, err
		}
		if err := writecost.CheckManagers(output, input, o.Layout.Resource); err != nil {
			return nil, nil, err
		}
		return output, ttl, layout.Stamp(output, at.Cluster)
	}
	return o.Sight(ctx).Update(at.Key, preconditions, stamping, func(preconditions *apistorage.Preconditions, try apistorage.UpdateFunc) error {
		return answer.Error(ctx, o.Interface.GuaranteedUpdate(ctx, at.Key, destination, ignoreNotFound, preconditions, try, o.Suggest(ctx, at.Key)), true)
	})
}

// Get implements storage.Interface.
func (o *Storage) Get(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error {
	at, err := o.Layout.One(ctx, "get", key)
	if err != nil {
		return err
	}
	if err := o.Sight(ctx).Got(at.Key, opts, out, answer.Error(ctx, o.read(ctx, at.Key, opts, out), false)); err != nil {
		return err
	}
	return writecost.Check(ctx, out) // a write that is only tried reads its object here
}

// GetCurrentResourceVersion implements storage.Interface.
func (o *Storage) GetCurrentResourceVersion(ctx context.Context) (uint64, error) {
	revision, err := o.Interface.GetCurrentResourceVersion(ctx)
	return revision, answer.Error(ctx, err, false)
}
