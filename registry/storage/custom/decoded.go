package custom

import (
	"reflect"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/registry/storage/raw"
	"github.com/annex-dev/annex/schemas/crd"
)

// Decoded holds decoded objects of all resources by key, each in its newest state.
type Decoded struct {
	*lru.Cache[string, state]
	// decoding is what is being decoded now. A big object has many readers at the moment when it changes.
	decoding singleflight.Group
}

// state is an object at a resourceVersion.
type state struct {
	version string
	obj     runtime.Object
}

// NewDecoded returns what holds as many bytes.
func NewDecoded(limit int64) *Decoded {
	return &Decoded{Cache: lru.New[string, state](limit, nil)}
}

const (
	// decodedFactor is about how much more a decoded object takes than its JSON.
	decodedFactor = 8
	// nodeBytes is what a node of the schema of a definition takes, as it is decoded and as it is served.
	nodeBytes = 1280
)

// longValue is the length from which a value of a ConfigMap or Secret takes little more than its bytes.
const longValue = 256

// decodedBytes returns about how many bytes obj takes, which was decoded from so many, and what it is converted to.
func decodedBytes(obj runtime.Object, data int) int64 {
	total := int64(decodedFactor * data)
	plain := func(value int) {
		if value >= longValue {
			total -= int64((decodedFactor - 1) * value)
		}
	}
	switch obj := obj.(type) {
	case *corev1.ConfigMap:
		for _, value := range obj.Data {
			plain(len(value))
		}
		for _, value := range obj.BinaryData {
			plain(len(value))
		}
	case *corev1.Secret:
		for _, value := range obj.Data {
			plain(len(value))
		}
	}
	if definition, ok := obj.(*apiextensions.CustomResourceDefinition); ok {
		total += nodeBytes * int64(crd.Nodes(definition))
	}
	return total
}

// shared returns what raw is decoded to, which belongs to nobody, if the storage holds decoded objects; its readers share it. What it
// returns belongs to the caller otherwise.
func (s *Storage) shared(raw *raw.Object) (runtime.Object, error) {
	if s.decoded == nil {
		return s.decode(raw, s.newFunc())
	}
	key, version := raw.Key(), raw.GetResourceVersion()
	if held, ok := s.decoded.Get(key); ok && held.version == version {
		return held.obj, nil
	}
	obj, err, _ := s.decoded.decoding.Do(key+"@"+version, func() (any, error) {
		if held, ok := s.decoded.Get(key); ok && held.version == version {
			return held.obj, nil
		}
		obj, err := s.decode(raw, s.newFunc())
		if err != nil {
			return nil, err
		}
		cluster, _, _, _ := raw.Tail()
		s.decoded.Put(key, state{version, obj}, decodedBytes(obj, raw.Size()), cluster)
		if !s.raw.Has(key, version) { // looked at afterwards, or it might be held after it is gone
			s.decoded.Remove(key)
		}
		return obj, nil
	})
	if err != nil {
		return nil, err
	}
	return obj.(runtime.Object), nil
}

// heldInLists is from how many stored bytes on an object of any list is held decoded at once. Of smaller ones see [Listed].
const heldInLists = 4 << 10

// object returns what raw is decoded to, of which the outermost fields belong to the caller. As from a stock watch cache, what they refer
// to is shared. Sharing says that others are reading the same list.
func (s *Storage) object(raw *raw.Object) (runtime.Object, error) {
	var obj runtime.Object
	var err error
	switch {
	case s.decoded != nil && raw.Size() >= heldInLists:
		obj, err = s.shared(raw)
	default:
		if obj = s.listed.get(s.id, raw); obj != nil {
			break
		}
		if obj, err = s.decode(raw, s.newFunc()); err == nil && !s.listed.put(s.id, raw, obj) {
			return obj, nil
		}
	}
	if err != nil {
		return nil, err
	}
	own := s.newFunc()
	return own, setTo(own, obj)
}

// setTo makes out, a pointer, a shallow copy of obj.
func setTo(out, obj runtime.Object) error {
	value, err := conversion.EnforcePtr(out)
	if err != nil {
		return err
	}
	if obj != out {
		value.Set(reflect.ValueOf(obj).Elem())
	}
	return nil
}
