package typed

import (
	"context"
	"fmt"
	"iter"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/object"
	"github.com/annex-dev/annex/registry/storage/watchcache"
)

// Storage is what a stock store of a typed resource works on. It puts the cluster into keys.
type Storage struct {
	object.Storage // over the cacher
	keyOf          func(runtime.Object) (string, error)
	newFunc        func() runtime.Object
	newListFunc    func() runtime.Object
}

var _ apistorage.Interface = &Storage{}

// New returns a storage over the watch cache of a resource. KeyOf returns the real key of an object.
func New(c apistorage.Interface, l layout.Resource, keyOf func(runtime.Object) (string, error), newFunc, newListFunc func() runtime.Object) *Storage {
	return &Storage{
		Storage: object.Storage{
			Interface: c, Layout: l, Read: c.Get,
			Suggest: func(context.Context, string) runtime.Object { return nil }, // the cacher knows better
		},
		keyOf: keyOf, newFunc: newFunc, newListFunc: newListFunc,
	}
}

// GetList implements storage.Interface.
func (s *Storage) GetList(ctx context.Context, key string, opts apistorage.ListOptions, list runtime.Object) error {
	at, err := s.Layout.Many(ctx, key, opts.Recursive)
	if err != nil {
		return err
	}
	if s.Sight(ctx).Full() {
		return answer.Error(ctx, s.list(ctx, at, opts, list), false)
	}
	page, err := s.page(ctx, at, opts)
	if err != nil {
		return answer.Error(ctx, err, false)
	}
	return page.Into(list, page.Items)
}

func (s *Storage) list(ctx context.Context, at layout.Place, opts apistorage.ListOptions, list runtime.Object) error {
	opts.Predicate = narrowed(watchcache.Complete(opts.Predicate), at)
	opts.Recursive = opts.Recursive || at.Wildcard()
	return s.Interface.GetList(ctx, at.Key, opts, list)
}

// page reads one page of what is in sight. The cacher has no means to select by more than labels and fields.
func (s *Storage) page(ctx context.Context, at layout.Place, opts apistorage.ListOptions) (*answer.Page[runtime.Object], error) {
	by := answer.Selector[runtime.Object]{Key: func(obj *runtime.Object) (string, error) { return s.keyOf(*obj) }}
	if sight := s.Sight(ctx); !sight.Full() {
		by.Keep = func(obj *runtime.Object) (bool, error) { return sight.ShowsObject(*obj), nil }
	}
	return answer.Fill(at.Key, opts, by, func(opts apistorage.ListOptions) (*answer.Page[runtime.Object], error) {
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
			return nil, fmt.Errorf("reading a list of %s: %w", s.Layout.Resource, err)
		}
		return &answer.Page[runtime.Object]{
			Items: objects, Version: accessor.GetResourceVersion(), Next: accessor.GetContinue(), Remaining: accessor.GetRemainingItemCount(),
		}, nil
	})
}

// Watch implements storage.Interface.
func (s *Storage) Watch(ctx context.Context, key string, opts apistorage.ListOptions) (watch.Interface, error) {
	at, err := s.Layout.Many(ctx, key, opts.Recursive)
	if err != nil {
		return nil, err
	}
	v := &view{storage: s, sight: s.Sight(ctx)}
	w := answer.Watching{Resource: s.Layout.Resource, NewFunc: s.newFunc, Wildcard: at.Wildcard(), Fixed: v.sight.Fixed()}
	if !w.Fixed {
		w.Now = func() (uint64, error) { return s.GetCurrentResourceVersion(ctx) }
	}
	w.List = func(opts apistorage.ListOptions) (answer.First, error) {
		page, err := s.page(ctx, at, opts)
		if err != nil {
			return answer.First{}, answer.Error(ctx, err, false)
		}
		return answer.First{
			Version: page.Version,
			Objects: metas(page.Items),
			Know:    func() error { return v.know(page.Items) },
			Events: func(end *watch.Event) iter.Seq[watch.Event] {
				if len(page.Items) == 0 && end == nil {
					return nil
				}
				return answer.InitialEvents(page.Items, end)
			},
		}, nil
	}
	w.Changes = func(opts apistorage.ListOptions, initial iter.Seq[watch.Event]) (watch.Interface, error) {
		if v.sight.Full() && initial == nil {
			return s.changes(ctx, at, opts)
		}
		changes, err := s.changes(answer.Silent(ctx), at, opts)
		if err != nil {
			return nil, err
		}
		if v.sight.Full() {
			return answer.Pump(ctx, initial, changes, nil), nil
		}
		return answer.Pump(ctx, initial, changes, v.show), nil
	}
	return w.Start(opts)
}

// metas yields the metadata of objects.
func metas(objects []runtime.Object) iter.Seq[metav1.Object] {
	return func(yield func(metav1.Object) bool) {
		for _, obj := range objects {
			if accessor, err := meta.Accessor(obj); err == nil && !yield(accessor) {
				return
			}
		}
	}
}

// changes watches from opts.ResourceVersion on.
func (s *Storage) changes(ctx context.Context, at layout.Place, opts apistorage.ListOptions) (watch.Interface, error) {
	opts.Predicate = narrowed(watchcache.Complete(opts.Predicate), at)
	if at.Wildcard() {
		opts.Recursive = true
		ctx = watchcache.Unscoped(ctx, "")
	} else {
		opts.Predicate = watchcache.Indexed(opts.Predicate, string(at.Cluster))
	}
	w, err := s.Interface.Watch(ctx, at.Key, opts)
	return w, answer.Error(ctx, err, false)
}

// narrowed returns p such that it also requires the namespace of a wildcard request, which no key prefix can.
func narrowed(p apistorage.SelectionPredicate, to layout.Place) apistorage.SelectionPredicate {
	if to.Namespace != "" {
		p.Field = fields.AndSelectors(p.Field, fields.OneTermEqualSelector("metadata.namespace", to.Namespace))
	}
	return p
}
