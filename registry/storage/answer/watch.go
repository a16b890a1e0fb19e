package answer

import (
	"context"
	"fmt"
	"iter"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"
	utilflowcontrol "k8s.io/apiserver/pkg/util/flowcontrol"
)

// A stock cacher answers initial events by walking everything it holds. Here they come from a list of the prefix, after
// which the watch goes on from the list's resourceVersion. What a client sees is the same.

// WantsInitial reports whether a watch begins with the objects that exist.
func WantsInitial(opts apistorage.ListOptions) bool {
	if opts.SendInitialEvents != nil {
		return *opts.SendInitialEvents
	}
	return opts.ResourceVersion == "" || opts.ResourceVersion == "0"
}

// InitialList returns the options of the list that precedes the watch.
func InitialList(opts apistorage.ListOptions) apistorage.ListOptions {
	list := apistorage.ListOptions{
		ResourceVersion: opts.ResourceVersion,
		Recursive:       opts.Recursive,
		Predicate:       opts.Predicate,
	}
	if list.ResourceVersion != "" {
		list.ResourceVersionMatch = metav1.ResourceVersionMatchNotOlderThan
	}
	list.Predicate.AllowWatchBookmarks = false
	list.Predicate.Limit, list.Predicate.Continue = 0, ""
	return list
}

// KnownList returns the options of a list of what the client of a watch from opts.ResourceVersion on has seen.
func KnownList(opts apistorage.ListOptions) apistorage.ListOptions {
	list := InitialList(opts)
	list.ResourceVersionMatch = metav1.ResourceVersionMatchExact
	return list
}

// Shown holds, by key, the last state that the client of a watch has of each object, where what matches can change with the
// object.
type Shown[T any] map[string]T

// Change takes note of an event: is says whether the object matches now, in state. It returns the type of the client's own
// event, "" for none, and for a deletion the last state that matched.
func (s Shown[T]) Change(key string, state T, is bool) (watch.EventType, T) {
	last, was := s[key]
	switch {
	case is:
		s[key] = state
		if was {
			return watch.Modified, state
		}
		return watch.Added, state
	case was:
		delete(s, key)
		return watch.Deleted, last
	}
	return "", last
}

// FromThere returns the options of the watch that follows a list with resourceVersion rv.
func FromThere(opts apistorage.ListOptions, rv string) apistorage.ListOptions {
	opts.ResourceVersion, opts.ResourceVersionMatch, opts.SendInitialEvents = rv, "", nil
	return opts
}

// InitialEnd returns the bookmark that ends the initial events; nil when opts does not ask for one.
func InitialEnd(opts apistorage.ListOptions, newFunc func() runtime.Object, rv string) (*watch.Event, error) {
	if opts.SendInitialEvents == nil || !*opts.SendInitialEvents || !opts.Predicate.AllowWatchBookmarks {
		return nil, nil
	}
	bookmark := newFunc()
	accessor, err := meta.Accessor(bookmark)
	if err != nil {
		return nil, fmt.Errorf("making a bookmark: %w", err)
	}
	accessor.SetResourceVersion(rv)
	if err := apistorage.AnnotateInitialEventsEndBookmark(bookmark); err != nil {
		return nil, fmt.Errorf("making a bookmark: %w", err)
	}
	return &watch.Event{Type: watch.Bookmark, Object: bookmark}, nil
}

// RefuseEqualNames returns an error when two objects of a wildcard share namespace and name. Stock reflectors, which ask
// for initial events, keep them in a store keyed by these and would lose all but one; on an error they fall back to LIST,
// which the same reflector handles in full.
func RefuseEqualNames(gr schema.GroupResource, objects iter.Seq[metav1.Object]) error {
	type nn struct{ namespace, name string }
	seen := map[nn]struct{}{}
	for obj := range objects {
		id := nn{obj.GetNamespace(), obj.GetName()}
		if _, ok := seen[id]; ok {
			return apierrors.NewInvalid(schema.GroupKind{Group: gr.Group, Kind: "ListOptions"}, "", field.ErrorList{
				field.Invalid(field.NewPath("sendInitialEvents"), true,
					"several logical clusters hold objects of the same namespace and name: list, then watch"),
			})
		}
		seen[id] = struct{}{}
	}
	return nil
}

// InitialEvents makes the events of objects one by one, as their reader takes them, and then end unless it is nil. It
// drops each object once sent: the list may be long, and the reader slow.
func InitialEvents(objects []runtime.Object, end *watch.Event) iter.Seq[watch.Event] {
	return func(yield func(watch.Event) bool) {
		for i, obj := range objects {
			// The cache's own maps hang below what it lists, while receivers of events may change theirs.
			if !yield(watch.Event{Type: watch.Added, Object: obj.DeepCopyObject()}) {
				return
			}
			objects[i] = nil
		}
		if end != nil {
			yield(*end)
		}
	}
}

// pump sends initial events and then what a source delivers, from one goroutine.
type pump struct {
	result chan watch.Event
	done   chan struct{}
	stop   func()
	source watch.Interface
	// change turns an event of the source into the one to send: nil to send none. After an error nothing more is sent.
	change func(watch.Event) *watch.Event
}

// pumpBuffer is how many events wait for a slow reader before the source's own buffer fills.
const pumpBuffer = 10

// Pump returns a watch that owns source. It ends with ctx, with Stop, or with the source.
func Pump(ctx context.Context, initial iter.Seq[watch.Event], source watch.Interface, change func(watch.Event) *watch.Event) *pump {
	p := &pump{result: make(chan watch.Event, pumpBuffer), done: make(chan struct{}), source: source, change: change}
	p.stop = sync.OnceFunc(func() {
		close(p.done)
		source.Stop()
	})
	go p.run(ctx, initial)
	return p
}

// ResultChan implements watch.Interface.
func (p *pump) ResultChan() <-chan watch.Event { return p.result }

// Stop implements watch.Interface.
func (p *pump) Stop() { p.stop() }

func (p *pump) run(ctx context.Context, initial iter.Seq[watch.Event]) {
	defer close(p.result)
	defer p.stop()
	for event := range initial {
		if !p.send(ctx, event) || event.Type == watch.Error {
			return
		}
	}
	utilflowcontrol.WatchInitialized(ctx)
	for {
		select {
		case event, ok := <-p.source.ResultChan():
			if !ok {
				return
			}
			if p.change != nil {
				changed := p.change(event)
				if changed == nil {
					continue
				}
				event = *changed
			}
			if !p.send(ctx, event) || event.Type == watch.Error {
				return
			}
		case <-p.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (p *pump) send(ctx context.Context, event watch.Event) bool {
	select {
	case p.result <- event:
		return true
	case <-p.done:
	case <-ctx.Done():
	}
	return false
}

// ErrorEvent is how a watch that has begun reports err.
func ErrorEvent(err error) *watch.Event {
	var status metav1.Status
	if s, ok := err.(apierrors.APIStatus); ok {
		status = s.Status()
	} else {
		status = apierrors.NewInternalError(err).Status()
	}
	return &watch.Event{Type: watch.Error, Object: &status}
}
