package custom

import (
	"bytes"
	"io"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/annex-dev/annex/registry/held"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// event is a state of an object that watches send. All watches of one schema that send it at about the same time share it: it is decoded
// once, and encoded once for each form in which clients want it. Safe for many goroutines.
type event struct {
	storage *Storage
	raw     raw.Object
	past    bool // at its revision, others see what it has become

	mu      sync.Mutex
	decoded bool
	obj     apiruntime.Object
	err     error
	forms   map[apiruntime.Identifier]form
}

type form struct {
	data []byte
	err  error
}

var (
	_ apiruntime.Object          = &event{}
	_ apiruntime.CacheableObject = &event{}
	_ metav1.ObjectMetaAccessor  = &event{}
)

// events are those that some watch still has to send, by key and versions.
type events = held.Map[string, event]

// event returns the event for raw, whose bytes were stored at the version of; empty for the last one before that of raw.
func (s *Storage) event(raw *raw.Object, of string) *event {
	return s.events.GetOrPut(raw.Key()+"@"+of+"@"+raw.GetResourceVersion(), func() *event {
		return &event{storage: s, raw: *raw, past: of != raw.GetResourceVersion()}
	})
}

// of returns the event for a watch.
func (e *event) of(kind watch.EventType) *watch.Event { return &watch.Event{Type: kind, Object: e} }

// GetObjectMeta implements metav1.ObjectMetaAccessor: what is known of the object without decoding it.
func (e *event) GetObjectMeta() metav1.Object { return &e.raw }

// use calls do with the object, which do must not change or keep, or returns why it cannot be decoded.
func (e *event) use(do func(apiruntime.Object) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.decoded {
		if e.past {
			e.obj, e.err = e.storage.decode(&e.raw, nil)
		} else {
			e.obj, e.err = e.storage.shared(&e.raw)
		}
		e.decoded = true
	}
	if e.err != nil {
		return e.err
	}
	return do(e.obj)
}

// CacheEncode implements runtime.CacheableObject.
func (e *event) CacheEncode(id apiruntime.Identifier, encode func(apiruntime.Object, io.Writer) error, w io.Writer) error {
	var in form
	if err := e.use(func(obj apiruntime.Object) error {
		known := false
		if in, known = e.forms[id]; known {
			return nil
		}
		own := obj
		if e.storage.decoded != nil { // encoders note kind and version in what they encode, while others read it
			own = e.storage.newFunc()
			if err := setTo(own, obj); err != nil {
				return err
			}
		}
		var data bytes.Buffer
		in.err = encode(own, &data)
		in.data = data.Bytes()
		if e.forms == nil {
			e.forms = map[apiruntime.Identifier]form{}
		}
		e.forms[id] = in
		return nil
	}); err != nil {
		return err
	}
	if in.err != nil {
		return in.err
	}
	if splice, ok := w.(apiruntime.Splice); ok {
		splice.Splice(in.data)
		return nil
	}
	_, err := w.Write(in.data)
	return err
}

// Shared implements follow.Shared: only the outermost fields of what it returns belong to the caller.
func (e *event) Shared() apiruntime.Object {
	var own apiruntime.Object
	_ = e.use(func(obj apiruntime.Object) error {
		own = e.storage.newFunc()
		return setTo(own, obj)
	})
	return own
}

// GetObject implements runtime.CacheableObject. The object is a copy; nil if it cannot be decoded, which no watch sends.
func (e *event) GetObject() apiruntime.Object {
	var c apiruntime.Object
	_ = e.use(func(obj apiruntime.Object) error {
		c = obj.DeepCopyObject()
		return nil
	})
	return c
}

// GetObjectKind implements runtime.Object.
func (e *event) GetObjectKind() schema.ObjectKind {
	if obj := e.GetObject(); obj != nil {
		return obj.GetObjectKind()
	}
	return schema.EmptyObjectKind
}

// DeepCopyObject implements runtime.Object.
func (e *event) DeepCopyObject() apiruntime.Object { return e.GetObject() }
