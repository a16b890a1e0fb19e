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

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Watch implements storage.Interface.
func (s *schemaStorage) Watch(ctx context.Context, key string, opts apistorage.ListOptions) (watch.Interface, error) {
	at, err := s.layout.many(ctx, key, opts.Recursive)
	if err != nil {
		return nil, err
	}
	opts.Predicate = complete(opts.Predicate)
	v := &schemaView{storage: s, match: newMatcher(ctx, opts.Predicate, at)}

	if !wantsInitial(opts) {
		if opts.ResourceVersion == "" || opts.ResourceVersion == "0" { // from now on
			current, err := s.raw.GetCurrentResourceVersion(ctx)
			if err != nil {
				return nil, apiError(ctx, err, false)
			}
			opts = fromThere(opts, fmt.Sprint(current))
		}
		if !v.match.byKey {
			// Which objects the client knows is the state at its revision.
			list := initialList(opts)
			list.ResourceVersionMatch = metav1.ResourceVersionMatchExact
			known, err := s.page(ctx, at, list)
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
			for i := range first.raws {
				if !yield(&first.raws[i]) {
					return
				}
			}
		}); err != nil {
			return nil, err
		}
	}
	if !v.match.byKey {
		v.know(first)
	}
	end, err := initialEnd(opts, s.newFunc, first.version)
	if err != nil {
		return nil, err
	}
	return s.changes(ctx, at, fromThere(opts, first.version), v, func(yield func(watch.Event) bool) {
		for i := range first.raws { // decoded one by one: the list may be long, and the reader slow
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

// schemaView turns events of the raw cache into those of one schema and field selector. It is used by one goroutine.
type schemaView struct {
	storage *schemaStorage
	match   matcher
	// known holds the last state that the client has of each object that matches; nil when the key alone decides, so that
	// an object matches always or never.
	known map[string]Raw
}

func (v *schemaView) know(p *page) {
	v.known = make(map[string]Raw, len(p.raws))
	for _, raw := range p.raws {
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
	if filter := v.match.filter; filter != nil {
		cluster, namespace, _, _ := raw.tail()
		switch follows, err := filter.Follows(logicalcluster.Name(cluster), namespace, event.Type == watch.Deleted); {
		case err != nil:
			return errorEvent(err)
		case !follows:
			return nil
		}
	}
	decoded, err := v.storage.decode(raw, nil)
	if err != nil {
		return errorEvent(err)
	}
	if v.known == nil {
		return &watch.Event{Type: event.Type, Object: decoded}
	}
	return v.selected(event.Type, raw, decoded)
}

// selected answers for a selector whose answer changes with the object.
func (v *schemaView) selected(event watch.EventType, raw *Raw, decoded runtime.Object) *watch.Event {
	last, was := v.known[raw.Key()]
	is := false
	if event != watch.Deleted {
		var err error
		if is, err = v.match.object(decoded); err != nil {
			is = false // as stock watches do: what cannot be asked does not match
		}
	}
	switch {
	case is:
		v.known[raw.Key()] = *raw
		if was {
			return &watch.Event{Type: watch.Modified, Object: decoded}
		}
		return &watch.Event{Type: watch.Added, Object: decoded}
	case was:
		// The last state that matched, with the revision at which it ceased to.
		delete(v.known, raw.Key())
		last.revision = raw.revision
		gone, err := v.storage.decode(&last, nil)
		if err != nil {
			return errorEvent(err)
		}
		return &watch.Event{Type: watch.Deleted, Object: gone}
	}
	return nil
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
