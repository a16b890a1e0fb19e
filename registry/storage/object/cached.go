package object

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"
)

// A stock deletion reads the object from etcd to find out whether finalizers hold it, although the write that follows is compared
// with etcd in any case. For that read the watch cache is good enough, if the write makes sure that the answer was right.

type cachedKey struct{}

// DeletingCached returns a context for a deletion that begins with what is cached of the object. It answers Conflict if the cache
// did not know of finalizers yet.
func DeletingCached(ctx context.Context) context.Context {
	return context.WithValue(ctx, cachedKey{}, true)
}

// NotDeletingCached returns a context in which reads are what they say, whatever ctx is for.
func NotDeletingCached(ctx context.Context) context.Context {
	if !deletesCached(ctx) {
		return ctx
	}
	return context.WithValue(ctx, cachedKey{}, false)
}

func deletesCached(ctx context.Context) bool {
	cached, _ := ctx.Value(cachedKey{}).(bool)
	return cached
}

// read reads an object by its real key.
func (o *Storage) read(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error {
	if opts.ResourceVersion == "" && deletesCached(ctx) {
		cached := opts
		cached.ResourceVersion, cached.IgnoreNotFound = "0", false
		// What is not in the cache may be new.
		if err := o.Read(ctx, key, cached, out); !apistorage.IsNotFound(err) {
			return err
		}
	}
	return o.Read(ctx, key, opts, out)
}

// checked returns validate such that it refuses objects with finalizers if the deletion has looked for them in the cache only.
func (o *Storage) checked(ctx context.Context, validate apistorage.ValidateObjectFunc) apistorage.ValidateObjectFunc {
	if !deletesCached(ctx) {
		return validate
	}
	return func(ctx context.Context, obj runtime.Object) error {
		accessor, err := meta.Accessor(obj)
		if err != nil {
			return err
		}
		if len(accessor.GetFinalizers()) > 0 {
			return apierrors.NewConflict(o.Layout.Resource, accessor.GetName(), errors.New("it has finalizers now"))
		}
		return validate(ctx, obj)
	}
}
