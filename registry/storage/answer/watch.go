package answer

import (
	"fmt"
	"iter"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"
)

// A stock cacher answers initial events by walking everything it holds. Here they come from a list of the prefix, after
// which the watch goes on from the list's resourceVersion. What a client sees is the same.

// Watching is what a watch is made from.
type Watching struct {
	Resource schema.GroupResource
	NewFunc  func() runtime.Object
	// Wildcard is whether the watch is of all clusters.
	Wildcard bool
	// Fixed is whether an object matches for its whole life or never. Otherwise it must be known what the client has seen.
	Fixed bool
	// Now returns the revision from which events are new; nil where Changes finds it itself.
	Now func() (uint64, error)
	// List reads what exists.
	List func(opts apistorage.ListOptions) (First, error)
	// Changes watches from opts.ResourceVersion on, after the initial events; nil for none.
	Changes func(opts apistorage.ListOptions, initial iter.Seq[watch.Event]) (watch.Interface, error)
}

// First is what exists when a watch begins.
type First struct {
	Version string
	Objects iter.Seq[metav1.Object]
	// Know takes note that the client has seen it.
	Know func() error
	// Events returns it as events, and then end unless that is nil; nil for no events.
	Events func(end *watch.Event) iter.Seq[watch.Event]
}

// Start begins the watch that opts ask for.
func (w Watching) Start(opts apistorage.ListOptions) (watch.Interface, error) {
	if !wantsInitial(opts) {
		if w.Now != nil && (opts.ResourceVersion == "" || opts.ResourceVersion == "0") {
			now, err := w.Now()
			if err != nil {
				return nil, err
			}
			opts = fromThere(opts, strconv.FormatUint(now, 10))
		}
		if !w.Fixed {
			known, err := w.List(knownList(opts))
			if err != nil {
				return nil, err
			}
			if err := known.Know(); err != nil {
				return nil, err
			}
		}
		return w.Changes(opts, nil)
	}
	first, err := w.List(initialList(opts))
	if err != nil {
		return nil, err
	}
	if w.Wildcard && opts.SendInitialEvents != nil {
		if err := refuseEqualNames(w.Resource, first.Objects); err != nil {
			return nil, err
		}
	}
	if !w.Fixed {
		if err := first.Know(); err != nil {
			return nil, err
		}
	}
	end, err := initialEnd(opts, w.NewFunc, first.Version)
	if err != nil {
		return nil, err
	}
	return w.Changes(fromThere(opts, first.Version), first.Events(end))
}

// wantsInitial reports whether a watch begins with the objects that exist.
func wantsInitial(opts apistorage.ListOptions) bool {
	if opts.SendInitialEvents != nil {
		return *opts.SendInitialEvents
	}
	return opts.ResourceVersion == "" || opts.ResourceVersion == "0"
}

// initialList returns the options of the list that precedes the watch.
func initialList(opts apistorage.ListOptions) apistorage.ListOptions {
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

// knownList returns the options of a list of what the client of a watch from opts.ResourceVersion on has seen.
func knownList(opts apistorage.ListOptions) apistorage.ListOptions {
	list := initialList(opts)
	list.ResourceVersionMatch = metav1.ResourceVersionMatchExact
	return list
}

// fromThere returns the options of the watch that follows a list with resourceVersion rv.
func fromThere(opts apistorage.ListOptions, rv string) apistorage.ListOptions {
	opts.ResourceVersion, opts.ResourceVersionMatch, opts.SendInitialEvents = rv, "", nil
	return opts
}

// initialEnd returns the bookmark that ends the initial events; nil when opts does not ask for one.
func initialEnd(opts apistorage.ListOptions, newFunc func() runtime.Object, rv string) (*watch.Event, error) {
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

// refuseEqualNames returns an error when two objects of a wildcard share namespace and name. Stock reflectors, which ask
// for initial events, keep them in a store keyed by these and would lose all but one; on an error they fall back to LIST,
// which the same reflector handles in full.
func refuseEqualNames(gr schema.GroupResource, objects iter.Seq[metav1.Object]) error {
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
