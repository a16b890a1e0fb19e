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

// Watch implements storage.Interface.
func (s *schemaStorage) Watch(ctx context.Context, key string, opts apistorage.ListOptions) (watch.Interface, error) {
	at, err := s.layout.many(ctx, key, opts.Recursive)
	if err != nil {
		return nil, err
	}
	opts.Predicate = complete(opts.Predicate)
	v := &schemaView{storage: s, match: newMatcher(opts.Predicate, at, s.sight(ctx))}

	if !wantsInitial(opts) {
		if opts.ResourceVersion == "" || opts.ResourceVersion == "0" { // from now on
			current, err := s.raw.GetCurrentResourceVersion(ctx)
			if err != nil {
				return nil, apiError(ctx, err, false)
			}
			opts = fromThere(opts, fmt.Sprint(current))
		}
		if !v.match.fixed() {
			known, err := s.page(ctx, at, knownList(opts))
			if err != nil {
				return nil, apiError(ctx, err, false)
			}
			v.know(known)
		}
		return s.changes(ctx, at, opts, v, nil)
	}

	first, err := s.page(ctx, at, initialList(opts))
	if err != nil {
		return nil, apiError(ctx, err, false)
	}
	if at.wildcard() && opts.SendInitialEvents != nil {
		if err := refuseEqualNames(s.layout.resource, func(yield func(metav1.Object) bool) {
			for i := range first.items {
				if !yield(&first.items[i]) {
					return
				}
			}
		}); err != nil {
			return nil, err
		}
	}
	if !v.match.fixed() {
		v.know(first)
	}
	end, err := initialEnd(opts, s.newFunc, first.version)
	if err != nil {
		return nil, err
	}
	return s.changes(ctx, at, fromThere(opts, first.version), v, func(yield func(watch.Event) bool) {
		for i := range first.items { // decoded one by one: the list may be long, and the reader slow
			obj, err := first.object(s, i)
			if err != nil {
				yield(*errorEvent(err))
				return
			}
			if !yield(watch.Event{Type: watch.Added, Object: obj}) {
				return
			}
		}
		if end != nil {
			yield(*end)
		}
	})
}

// changes watches the raw cache from opts.ResourceVersion on, and shows it through v, after what initial yields.
func (s *schemaStorage) changes(ctx context.Context, at place, opts apistorage.ListOptions, v *schemaView, initial func(func(watch.Event) bool)) (watch.Interface, error) {
	opts.Predicate.Field = fields.Everything()
	opts.Predicate.GetAttrs = s.raw.attrs
	if at.wildcard() {
		opts.Recursive = true
		ctx = unscoped(ctx, at.key[:len(at.key)-1])
	} else {
		base, err := s.layout.base(ctx)
		if err != nil {
			return nil, err
		}
		opts.Predicate = indexed(opts.Predicate, base+"/"+string(at.cluster))
	}
	w, err := s.raw.Watch(ctx, at.key, opts)
	if err != nil {
		return nil, apiError(ctx, err, false)
	}
	if initial == nil {
		initial = func(func(watch.Event) bool) {}
	}
	return startPump(ctx, initial, w, v.show), nil
}

// schemaView turns events of the raw cache into those of one schema, filter and field selector. It is used by one goroutine.
type schemaView struct {
	storage *schemaStorage
	match   matcher
	known   shown[Raw] // nil when an object matches always or never
}

func (v *schemaView) know(p *rawPage) {
	v.known = make(shown[Raw], len(p.items))
	for _, raw := range p.items {
		v.known[raw.Key()] = raw
	}
}

// show returns the event that a client gets; nil for none.
func (v *schemaView) show(event watch.Event) *watch.Event {
	if event.Type == watch.Error {
		return &event
	}
	obj := event.Object
	if c, ok := obj.(runtime.CacheableObject); ok {
		obj = c.GetObject()
	}
	raw, ok := obj.(*Raw)
	if !ok {
		return errorEvent(fmt.Errorf("watch cache sent a %T", obj))
	}
	if event.Type == watch.Bookmark {
		return v.bookmark(raw)
	}
	if !v.match.selects(raw) {
		return nil
	}
	is := true
	if !v.match.sight.Full() {
		var err error
		if is, err = v.match.sight.Follows(raw.Head(), event.Type == watch.Deleted); err != nil {
			return errorEvent(err)
		}
	}
	is = is && (v.known == nil || event.Type != watch.Deleted)
	if !is && v.known == nil {
		return nil
	}
	var decoded runtime.Object
	if is {
		var err error
		if decoded, err = v.storage.decode(raw, nil); err != nil {
			return errorEvent(err)
		}
		if v.known == nil {
			return &watch.Event{Type: event.Type, Object: decoded}
		}
		if is, err = v.match.object(decoded); err != nil {
			is = false // as stock watches do: what cannot be asked does not match
		}
	}
	kind, last := v.known.change(raw.Key(), *raw, is)
	if kind == watch.Deleted {
		last.SetResourceVersion(raw.GetResourceVersion())
		var err error
		if decoded, err = v.storage.decode(&last, nil); err != nil {
			return errorEvent(err)
		}
	}
	if kind == "" {
		return nil
	}
	return &watch.Event{Type: kind, Object: decoded}
}

func (v *schemaView) bookmark(raw *Raw) *watch.Event {
	obj := v.storage.newFunc()
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return errorEvent(err)
	}
	accessor.SetResourceVersion(raw.GetResourceVersion())
	if annotations := raw.GetAnnotations(); len(annotations) > 0 {
		accessor.SetAnnotations(annotations)
	}
	return &watch.Event{Type: watch.Bookmark, Object: obj}
}
