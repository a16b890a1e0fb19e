package typed

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/storage/head"
)

// view turns events of a typed resource into those that a filter shows. It is used by one goroutine.
type view struct {
	storage *Storage
	sight   filter.Sight
	known   answer.Shown[runtime.Object] // nil when an object is in sight always or never
}

func (v *view) know(objects []runtime.Object) error {
	v.known = make(answer.Shown[runtime.Object], len(objects))
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
func (v *view) show(event watch.Event) *watch.Event {
	if event.Type == watch.Error || event.Type == watch.Bookmark {
		return &event
	}
	obj := event.Object
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return answer.ErrorEvent(err)
	}
	is, err := v.sight.Follows(head.Of(v.storage.Layout.Resource, "", accessor), event.Type == watch.Deleted)
	switch {
	case err != nil:
		return answer.ErrorEvent(err)
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
		return answer.ErrorEvent(err)
	}
	kind, last := v.known.Change(key, obj, is && event.Type != watch.Deleted)
	switch kind {
	case "":
		return nil
	case watch.Deleted:
		gone := last.DeepCopyObject()
		lastMeta, err := meta.Accessor(gone)
		if err != nil {
			return answer.ErrorEvent(err)
		}
		lastMeta.SetResourceVersion(accessor.GetResourceVersion())
		return &watch.Event{Type: kind, Object: gone}
	}
	return &watch.Event{Type: kind, Object: event.Object}
}
