package storage

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/storage/head"
)

// workspaceView turns events of a typed resource into those that a filter shows. It is used by one goroutine.
type workspaceView struct {
	storage *workspaceStorage
	sight   filter.Sight
	known   shown[runtime.Object] // nil when an object is in sight always or never
}

func (v *workspaceView) know(objects []runtime.Object) error {
	v.known = make(shown[runtime.Object], len(objects))
	for _, obj := range objects {
		key, err := v.storage.keyOf(obj)
		if err != nil {
			return err
		}
		v.known[key] = obj
	}
	return nil
}

// show returns the event that a client gets; nil for none.
func (v *workspaceView) show(event watch.Event) *watch.Event {
	if event.Type == watch.Error || event.Type == watch.Bookmark {
		return &event
	}
	obj := event.Object
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return errorEvent(err)
	}
	is, err := v.sight.Follows(head.Of(v.storage.layout.resource, "", accessor), event.Type == watch.Deleted)
	switch {
	case err != nil:
		return errorEvent(err)
	case v.known == nil && is:
		return &event
	case v.known == nil:
		return nil
	}
	if c, ok := obj.(runtime.CacheableObject); ok {
		obj = c.GetObject() // a copy
	} else {
		obj = obj.DeepCopyObject() // receivers of events may change theirs
	}
	key, err := v.storage.keyOf(obj)
	if err != nil {
		return errorEvent(err)
	}
	kind, last := v.known.change(key, obj, is && event.Type != watch.Deleted)
	switch kind {
	case "":
		return nil
	case watch.Deleted:
		gone := last.DeepCopyObject()
		lastMeta, err := meta.Accessor(gone)
		if err != nil {
			return errorEvent(err)
		}
		lastMeta.SetResourceVersion(accessor.GetResourceVersion())
		return &watch.Event{Type: kind, Object: gone}
	}
	return &watch.Event{Type: kind, Object: event.Object}
}
