package storage

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/lasting"
)

// ending is a storage that waits for etcd only until the request ends, whatever context its handler has: see registry/lasting.
type ending struct{ apistorage.Interface }

// Create implements storage.Interface.
func (e ending) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	ctx, done := lasting.Ending(ctx)
	defer done()
	return e.Interface.Create(ctx, key, obj, out, ttl)
}

// Delete implements storage.Interface.
func (e ending) Delete(ctx context.Context, key string, out runtime.Object, preconditions *apistorage.Preconditions,
	validate apistorage.ValidateObjectFunc, cached runtime.Object, opts apistorage.DeleteOptions) error {
	ctx, done := lasting.Ending(ctx)
	defer done()
	return e.Interface.Delete(ctx, key, out, preconditions, validate, cached, opts)
}

// GuaranteedUpdate implements storage.Interface.
func (e ending) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *apistorage.Preconditions, try apistorage.UpdateFunc, cached runtime.Object) error {
	ctx, done := lasting.Ending(ctx)
	defer done()
	return e.Interface.GuaranteedUpdate(ctx, key, destination, ignoreNotFound, preconditions, try, cached)
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
