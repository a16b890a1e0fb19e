package custom

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
	"github.com/annex-dev/annex/registry/storage/raw"
	"github.com/annex-dev/annex/registry/storage/watchcache"
)

var versioner apistorage.APIObjectVersioner

// Watch implements storage.Interface.
func (s *Storage) Watch(ctx context.Context, key string, opts apistorage.ListOptions) (watch.Interface, error) {
	at, err := s.Layout.Many(ctx, key, opts.Recursive)
	if err != nil {
		return nil, err
	}
	opts.Predicate = s.Sight(ctx).Narrow(watchcache.Complete(opts.Predicate))
	v := &view{storage: s, match: newMatcher(opts.Predicate, at, s.Sight(ctx))}
	return answer.Watching{
		Resource: s.Layout.Resource, NewFunc: s.newFunc, Wildcard: at.Wildcard(), Fixed: v.match.fixed(),
		Now: func() (uint64, error) {
			now, err := s.raw.GetCurrentResourceVersion(ctx)
			return now, answer.Error(ctx, err, false)
		},
		List: func(opts apistorage.ListOptions) (answer.First, error) {
			// A client that does not read would keep all that is decoded.
			page, err := s.page(ctx, at, opts, nil)
			if err != nil {
				return answer.First{}, answer.Error(ctx, err, false)
			}
			return v.first(page), nil
		},
		Changes: func(opts apistorage.ListOptions, initial iter.Seq[watch.Event]) (watch.Interface, error) {
			return s.changes(ctx, at, opts, v, initial)
		},
	}.Start(opts)
}

// changes watches the raw cache from opts.ResourceVersion on, and shows it through v, after what initial yields.
func (s *Storage) changes(ctx context.Context, at layout.Place, opts apistorage.ListOptions, v *view, initial iter.Seq[watch.Event]) (watch.Interface, error) {
	opts.Predicate.Field = fields.Everything()
	opts.Predicate.GetAttrs = s.raw.Attrs
	turning := turning{storage: s, ctx: ctx, at: at, predicate: opts.Predicate, view: v}
	if v.match.sight.Turning() != nil {
		var err error
		if v.position, err = versioner.ParseResourceVersion(opts.ResourceVersion); err != nil {
			return nil, err
		}
	}
	if at.Wildcard() {
		opts.Recursive = true
		scope := at.Key[:len(at.Key)-1]
		if at.EveryBucket {
			scope = "" // the cacher files watches by bucket; the prefix decides
		}
		ctx = watchcache.Unscoped(ctx, scope)
	} else {
		base, err := s.Layout.Base(ctx)
		if err != nil {
			return nil, err
		}
		opts.Predicate = watchcache.Indexed(opts.Predicate, base+"/"+string(at.Cluster))
	}
	w, err := s.raw.Watch(answer.Silent(ctx), at.Key, opts)
	if err != nil {
		return nil, answer.Error(ctx, err, false)
	}
	return answer.Pump(ctx, initial, w, v.show, turning.turns()), nil
}

// view turns events of the raw cache into those of one schema, filter and field selector. It is used by one goroutine.
type view struct {
	storage *Storage
	match   matcher
	known   answer.Shown[raw.Object] // nil when an object matches always or never
	// position is the revision up to which the raw cache has sent its events, if the filter turns.
	position uint64
}

// first returns what a watch begins with.
func (v *view) first(p *rawPage) answer.First {
	return answer.First{
		Version: p.Version,
		Objects: func(yield func(metav1.Object) bool) {
			for i := range p.Items {
				if !yield(&p.Items[i]) {
					return
				}
			}
		},
		Know: func() error {
			v.known = make(answer.Shown[raw.Object], len(p.Items))
			// The bytes of these are those of the watch cache, which answers such lists from memory.
			for _, raw := range p.Items {
				v.known[raw.Key()] = raw
			}
			return nil
		},
		Events: func(end *watch.Event) iter.Seq[watch.Event] {
			return func(yield func(watch.Event) bool) {
				decoding := &ahead{storage: v.storage, items: p.Items}
				for i := range p.Items { // decoded little by little: the list may be long, and the reader slow
					obj, err := decoding.object(i)
					if err != nil {
						if !v.match.sight.Full() {
							continue
						}
						yield(*answer.ErrorEvent(err))
						return
					}
					if !yield(watch.Event{Type: watch.Added, Object: obj}) {
						return
					}
				}
				if end != nil {
					yield(*end)
				}
			}
		},
	}
}

// show returns the event that a client gets; nil for none.
func (v *view) show(change watch.Event) *watch.Event {
	if change.Type == watch.Error {
		return &change
	}
	obj := change.Object
	if c, ok := obj.(runtime.CacheableObject); ok {
		obj = c.GetObject()
	}
	raw, ok := obj.(*raw.Object)
	if !ok {
		return answer.ErrorEvent(fmt.Errorf("watch cache sent a %T", obj))
	}
	if v.match.sight.Turning() != nil {
		v.position = max(v.position, version(raw))
	}
	if change.Type == watch.Bookmark {
		return v.bookmark(raw)
	}
	if !v.match.selects(raw) {
		return nil
	}
	is := true
	if !v.match.sight.Full() {
		var err error
		if is, err = v.match.sight.Follows(raw.Head(), change.Type == watch.Deleted); err != nil {
			return answer.ErrorEvent(err)
		}
	}
	is = is && (v.known == nil || change.Type != watch.Deleted)
	if !is && v.known == nil {
		return nil
	}
	var state *event
	if is {
		of := raw.GetResourceVersion()
		if change.Type == watch.Deleted {
			// These are the bytes of the state before. If the object only no longer has the labels that are asked for, there is another one at
			// this version.
			of = ""
		}
		state = v.storage.event(raw, of)
		err := state.use(func(obj runtime.Object) error {
			if v.known != nil {
				ok, err := v.match.object(obj)
				is = ok && err == nil // as stock watches do: what cannot be asked does not match
			}
			return nil
		})
		switch {
		case err != nil && v.match.sight.Full():
			return answer.ErrorEvent(err)
		case err != nil && v.known == nil:
			return nil
		case err != nil:
			is = false
		case v.known == nil:
			return state.of(change.Type)
		}
	}
	kind, last := v.known.Change(raw.Key(), *raw, is)
	if kind == watch.Deleted {
		of := last.GetResourceVersion()
		last.SetResourceVersion(raw.GetResourceVersion())
		state = v.storage.event(&last, of)
		if err := state.use(func(runtime.Object) error { return nil }); err != nil {
			return answer.ErrorEvent(err)
		}
	}
	if kind == "" {
		return nil
	}
	return state.of(kind)
}

func (v *view) bookmark(raw *raw.Object) *watch.Event {
	obj := v.storage.newFunc()
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return answer.ErrorEvent(err)
	}
	accessor.SetResourceVersion(raw.GetResourceVersion())
	if annotations := raw.GetAnnotations(); len(annotations) > 0 {
		accessor.SetAnnotations(annotations)
	}
	return &watch.Event{Type: watch.Bookmark, Object: obj}
}
