package storage

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"
)

// workspaceStorage is what a stock store of a typed resource works on. It puts the cluster into keys.
type workspaceStorage struct {
	objects     // over the cacher
	keyOf       func(runtime.Object) (string, error)
	newFunc     func() runtime.Object
	newListFunc func() runtime.Object
}

var _ apistorage.Interface = &workspaceStorage{}

func newWorkspaceStorage(c apistorage.Interface, l layout, keyOf func(runtime.Object) (string, error), newFunc, newListFunc func() runtime.Object) *workspaceStorage {
	return &workspaceStorage{
		objects: objects{
			Interface: c, layout: l, read: c.Get,
			suggest: func(context.Context, string) runtime.Object { return nil }, // the cacher knows better
		},
		keyOf: keyOf, newFunc: newFunc, newListFunc: newListFunc,
	}
}

// GetList implements storage.Interface.
func (s *workspaceStorage) GetList(ctx context.Context, key string, opts apistorage.ListOptions, list runtime.Object) error {
	at, err := s.layout.many(ctx, key, opts.Recursive)
	if err != nil {
		return err
	}
	if s.sight(ctx).Full() {
		return apiError(ctx, s.list(ctx, at, opts, list), false)
	}
	page, err := s.page(ctx, at, opts)
	if err != nil {
		return apiError(ctx, err, false)
	}
	return page.into(list, page.items)
}

func (s *workspaceStorage) list(ctx context.Context, at place, opts apistorage.ListOptions, list runtime.Object) error {
	opts.Predicate = narrowed(complete(opts.Predicate), at)
	opts.Recursive = opts.Recursive || at.wildcard()
	return s.Interface.GetList(ctx, at.key, opts, list)
}

// page reads one page of what is in sight. The cacher has no means to select by more than labels and fields.
func (s *workspaceStorage) page(ctx context.Context, at place, opts apistorage.ListOptions) (*page[runtime.Object], error) {
	by := selector[runtime.Object]{key: func(obj *runtime.Object) (string, error) { return s.keyOf(*obj) }}
	if sight := s.sight(ctx); !sight.Full() {
		by.keep = func(obj *runtime.Object) (bool, error) { return sight.ShowsObject(*obj), nil }
	}
	return fillPage(at.key, opts, by, func(opts apistorage.ListOptions) (*page[runtime.Object], error) {
		list := s.newListFunc()
		if err := s.list(ctx, at, opts, list); err != nil {
			return nil, err
		}
		accessor, err := meta.ListAccessor(list)
		if err != nil {
			return nil, err
		}
		objects, err := meta.ExtractList(list)
		if err != nil {
			return nil, fmt.Errorf("reading a list of %s: %w", s.layout.resource, err)
		}
		return &page[runtime.Object]{
			items: objects, version: accessor.GetResourceVersion(), next: accessor.GetContinue(), remaining: accessor.GetRemainingItemCount(),
		}, nil
	})
}

// Watch implements storage.Interface.
func (s *workspaceStorage) Watch(ctx context.Context, key string, opts apistorage.ListOptions) (watch.Interface, error) {
	at, err := s.layout.many(ctx, key, opts.Recursive)
	if err != nil {
		return nil, err
	}
	v := &workspaceView{storage: s, sight: s.sight(ctx)}
	if !wantsInitial(opts) {
		if v.sight.Full() {
			return s.changes(ctx, at, opts)
		}
		if !v.sight.Fixed() {
			if opts.ResourceVersion == "" || opts.ResourceVersion == "0" { // from now on
				current, err := s.GetCurrentResourceVersion(ctx)
				if err != nil {
					return nil, err
				}
				opts = fromThere(opts, fmt.Sprint(current))
			}
			known, err := s.page(ctx, at, knownList(opts))
			if err != nil {
				return nil, apiError(ctx, err, false)
			}
			if err := v.know(known.items); err != nil {
				return nil, err
			}
		}
		changes, err := s.changes(ctx, at, opts)
		if err != nil {
			return nil, err
		}
		return startPump(ctx, initialEvents(nil, nil), changes, v.show), nil
	}
	first, err := s.page(ctx, at, initialList(opts))
	if err != nil {
		return nil, apiError(ctx, err, false)
	}
	objects := first.items
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
	if !v.sight.Fixed() {
		if err := v.know(objects); err != nil {
			return nil, err
		}
	}
	end, err := initialEnd(opts, s.newFunc, first.version)
	if err != nil {
		return nil, err
	}
	changes, err := s.changes(ctx, at, fromThere(opts, first.version))
	if err != nil || (len(objects) == 0 && end == nil && v.sight.Full()) {
		return changes, err
	}
	show := v.show
	if v.sight.Full() {
		show = nil
	}
	return startPump(ctx, initialEvents(objects, end), changes, show), nil
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

// narrowed returns p such that it also requires the namespace of a wildcard request, which no key prefix can.
func narrowed(p apistorage.SelectionPredicate, to place) apistorage.SelectionPredicate {
	if to.namespace != "" {
		p.Field = fields.AndSelectors(p.Field, fields.OneTermEqualSelector("metadata.namespace", to.namespace))
	}
	return p
}
