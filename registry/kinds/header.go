package kinds

import (
	"bytes"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
)

// header reads version and kind where a stored object begins with them, as all do that the server has written. The stock serializer looks
// through the whole object for them before it reads it.
type header struct{ json.MetaFactory }

// Interpret implements json.MetaFactory.
func (h header) Interpret(data []byte) (*schema.GroupVersionKind, error) {
	var kind, version []byte
	rest, ok := bytes.CutPrefix(data, []byte("{"))
	for range 2 {
		switch {
		case !ok:
		case bytes.HasPrefix(rest, []byte(kindField)):
			kind, rest, ok = plain(rest[len(kindField):])
		case bytes.HasPrefix(rest, []byte(versionField)):
			version, rest, ok = plain(rest[len(versionField):])
		}
	}
	if !ok || len(kind) == 0 || len(version) == 0 {
		return h.MetaFactory.Interpret(data)
	}
	gv, err := schema.ParseGroupVersion(string(version))
	if err != nil {
		return nil, err
	}
	gvk := gv.WithKind(string(kind))
	return &gvk, nil
}

const (
	kindField    = `"kind":"`
	versionField = `"apiVersion":"`
)

// plain returns the rest of a string of JSON in which nothing is escaped, and what follows the comma behind it.
func plain(data []byte) (value, rest []byte, ok bool) {
	value, rest, ok = bytes.Cut(data, []byte(`"`))
	if !ok || bytes.IndexByte(value, '\\') >= 0 {
		return nil, nil, false
	}
	rest, ok = bytes.CutPrefix(rest, []byte(","))
	return value, rest, ok
}

// stored returns what decodes stored objects: first as the server writes them as JSON, then in any way.
func (s *Scheme) stored(decoders []runtime.Decoder) []runtime.Decoder {
	first := json.NewSerializerWithOptions(header{json.DefaultMetaFactory}, s.Scheme, s.Scheme, json.SerializerOptions{})
	return append([]runtime.Decoder{first}, decoders...)
}
