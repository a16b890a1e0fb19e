package storage

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// workspaceStorage is what a stock store of a typed resource works on. It puts the cluster into keys.
type workspaceStorage struct {
	apistorage.Interface // the cacher; answers what has no key
	layout               layout
	newFunc              func() runtime.Object
	newListFunc          func() runtime.Object
}

var _ apistorage.Interface = &workspaceStorage{}

// Create implements storage.Interface.
func (s *workspaceStorage) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	at, err := s.layout.one(ctx, "create", key)
	if err != nil {
		return err
	}
	if err := stamp(obj, at.cluster); err != nil {
		return err
	}
	return apiError(ctx, s.Interface.Create(ctx, at.key, obj, out, ttl), true)
}

// Delete implements storage.Interface.
func (s *workspaceStorage) Delete(ctx context.Context, key string, out runtime.Object, preconditions *apistorage.Preconditions,
	validate apistorage.ValidateObjectFunc, cachedObject runtime.Object, opts apistorage.DeleteOptions) error {
	at, err := s.layout.one(ctx, "delete", key)
	if err != nil {
		return err
	}
	return apiError(ctx, s.Interface.Delete(ctx, at.key, out, preconditions, validate, cachedObject, opts), true)
}

// GuaranteedUpdate implements storage.Interface.
func (s *workspaceStorage) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *apistorage.Preconditions, tryUpdate apistorage.UpdateFunc, cachedObject runtime.Object) error {
	at, err := s.layout.one(ctx, "update", key)
	if err != nil {
		return err
	}
	return apiError(ctx, s.Interface.GuaranteedUpdate(ctx, at.key, destination, ignoreNotFound, preconditions,
		stamping(tryUpdate, at.cluster), cachedObject), true)
}

// stamping returns tryUpdate such that what it makes says which cluster it is in.
func stamping(tryUpdate apistorage.UpdateFunc, cluster logicalcluster.Name) apistorage.UpdateFunc {
	return func(input runtime.Object, res apistorage.ResponseMeta) (runtime.Object, *uint64, error) {
		output, ttl, err := tryUpdate(input, res)
		if err != nil {
			return output, ttl, err
		}
		return output, ttl, stamp(output, cluster)
	}
}

// Get implements storage.Interface.
func (s *workspaceStorage) Get(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error {
	at, err := s.layout.one(ctx, "get", key)
	if err != nil {
		return err
	}
	return apiError(ctx, s.Interface.Get(ctx, at.key, opts, out), false)
}

// GetCurrentResourceVersion implements storage.Interface.
func (s *workspaceStorage) GetCurrentResourceVersion(ctx context.Context) (uint64, error) {
	revision, err := s.Interface.GetCurrentResourceVersion(ctx)
	return revision, apiError(ctx, err, false)
}

// GetList implements storage.Interface.
func (s *workspaceStorage) GetList(ctx context.Context, key string, opts apistorage.ListOptions, list runtime.Object) error {
	at, err := s.layout.many(ctx, key, opts.Recursive)
	if err != nil {
		return err
	}
	return apiError(ctx, s.list(ctx, at, opts, list), false)
}

func (s *workspaceStorage) list(ctx context.Context, at place, opts apistorage.ListOptions, list runtime.Object) error {
	opts.Predicate = narrowed(complete(opts.Predicate), at)
	opts.Recursive = opts.Recursive || at.wildcard()
	return s.Interface.GetList(ctx, at.key, opts, list)
}

// Watch implements storage.Interface.
func (s *workspaceStorage) Watch(ctx context.Context, key string, opts apistorage.ListOptions) (watch.Interface, error) {
	at, err := s.layout.many(ctx, key, opts.Recursive)
	if err != nil {
		return nil, err
	}
	if !wantsInitial(opts) {
		return s.changes(ctx, at, opts)
	}
	list := s.newListFunc()
	if err := s.list(ctx, at, initialList(opts), list); err != nil {
		return nil, apiError(ctx, err, false)
	}
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		return nil, err
	}
	objects, err := meta.ExtractList(list)
	if err != nil {
		return nil, fmt.Errorf("reading the initial objects of %s: %w", s.layout.resource, err)
	}
	if at.wildcard() && opts.SendInitialEvents != nil {
		if err := refuseEqualNames(s.layout.resource, func(yield func(metav1.Object) bool) {
			for _, obj := range objects {
				if accessor, err := meta.Accessor(obj); err == nil && !yield(accessor) {
					return
				}
			}
		}); err != nil {
			return nil, err
		}
	}
	rv := accessor.GetResourceVersion()
	end, err := initialEnd(opts, s.newFunc, rv)
	if err != nil {
		return nil, err
	}
	changes, err := s.changes(ctx, at, fromThere(opts, rv))
	if err != nil || (len(objects) == 0 && end == nil) {
		return changes, err
	}
	return startPump(ctx, initialEvents(objects, end), changes, nil), nil
}

// changes watches from opts.ResourceVersion on.
func (s *workspaceStorage) changes(ctx context.Context, at place, opts apistorage.ListOptions) (watch.Interface, error) {
	opts.Predicate = narrowed(complete(opts.Predicate), at)
	if at.wildcard() {
		opts.Recursive = true
		ctx = unscoped(ctx, "")
	} else {
		opts.Predicate = indexed(opts.Predicate, string(at.cluster))
	}
	w, err := s.Interface.Watch(ctx, at.key, opts)
	return w, apiError(ctx, err, false)
}

// unscoped returns ctx without the namespace and name of the request, by which the cacher files watches that use no index,
// and with scope as its namespace instead.
func unscoped(ctx context.Context, scope string) context.Context {
	return genericapirequest.WithRequestInfo(genericapirequest.WithNamespace(ctx, scope), &genericapirequest.RequestInfo{})
}
