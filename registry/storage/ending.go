package storage

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/lasting"
	"github.com/annex-dev/annex/registry/nice"
)

// ending is a storage that waits for etcd only until the request ends, whatever context its handler has: see registry/lasting. What it does
// for a write, the change of the object included, gives way to others if the request does: see registry/nice.
type ending struct{ apistorage.Interface }

// Create implements storage.Interface.
func (e ending) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) (err error) {
	ctx, done := lasting.Ending(ctx)
	defer done()
	nice.Run(ctx, func(ctx context.Context) { err = e.Interface.Create(ctx, key, obj, out, ttl) })
	return err
}

// Delete implements storage.Interface.
func (e ending) Delete(ctx context.Context, key string, out runtime.Object, preconditions *apistorage.Preconditions,
	validate apistorage.ValidateObjectFunc, cached runtime.Object, opts apistorage.DeleteOptions) (err error) {
	ctx, done := lasting.Ending(ctx)
	defer done()
	nice.Run(ctx, func(ctx context.Context) {
		err = e.Interface.Delete(ctx, key, out, preconditions, validate, cached, opts)
	})
	return err
}

// GuaranteedUpdate implements storage.Interface.
func (e ending) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *apistorage.Preconditions, try apistorage.UpdateFunc, cached runtime.Object) (err error) {
	ctx, done := lasting.Ending(ctx)
	defer done()
	nice.Run(ctx, func(ctx context.Context) {
		err = e.Interface.GuaranteedUpdate(ctx, key, destination, ignoreNotFound, preconditions, try, cached)
	})
	return err
}

// Watch implements storage.Interface. Until the watch has begun, all that exists may have to be decoded. The watch itself ends with ctx
// only.
func (e ending) Watch(ctx context.Context, key string, opts apistorage.ListOptions) (w watch.Interface, err error) {
	nice.Run(ctx, func(ctx context.Context) { w, err = e.Interface.Watch(ctx, key, opts) })
	return w, err
}

// Get implements storage.Interface.
func (e ending) Get(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error {
	ctx, done := lasting.Ending(ctx)
	defer done()
	return e.Interface.Get(ctx, key, opts, out)
}

// GetList implements storage.Interface.
func (e ending) GetList(ctx context.Context, key string, opts apistorage.ListOptions, list runtime.Object) error {
	ctx, done := lasting.Ending(ctx)
	defer done()
	return e.Interface.GetList(ctx, key, opts, list)
}

// GetCurrentResourceVersion implements storage.Interface.
func (e ending) GetCurrentResourceVersion(ctx context.Context) (uint64, error) {
	ctx, done := lasting.Ending(ctx)
	defer done()
	return e.Interface.GetCurrentResourceVersion(ctx)
}
