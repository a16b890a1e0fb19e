package definitions

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"k8s.io/apimachinery/pkg/runtime"
)

// magic begins every object that is stored as protobuf (k8s.io/apimachinery/pkg/runtime/serializer/protobuf).
var magic = []byte("k8s\x00")

// Fields of messages, from their generated.proto.
const (
	unknownRaw     protowire.Number = 2 // of runtime.Unknown
	definitionSpec protowire.Number = 2 // of CustomResourceDefinition
)

var errNoDefinition = errors.New("this is not a definition in protobuf")

// specOf returns the bytes of the spec in a stored definition; false if it is not stored as protobuf.
func specOf(data []byte) ([]byte, bool) {
	message, ok := bytes.CutPrefix(data, magic)
	if !ok {
		return nil, false
	}
	raw, _, ok := field(message, unknownRaw)
	if !ok {
		return nil, false
	}
	spec, _, ok := field(raw, definitionSpec)
	return spec, ok
}

// field returns the bytes of the only field of a message with that number, and where the field begins; false if there is none, or several.
func field(message []byte, want protowire.Number) (value []byte, at int, ok bool) {
	for i := 0; i < len(message); {
		number, kind, n := protowire.ConsumeTag(message[i:])
		if n < 0 {
			return nil, 0, false
		}
		size := protowire.ConsumeFieldValue(number, kind, message[i+n:])
		if size < 0 {
			return nil, 0, false
		}
		if number == want {
			if ok || kind != protowire.BytesType {
				return nil, 0, false
			}
			value, _ = protowire.ConsumeBytes(message[i+n:])
			at, ok = i, true
		}
		i += n + size
	}
	return value, at, ok
}

// withSpec returns a stored definition with another spec; with none if that is nil.
func withSpec(data, spec []byte) ([]byte, error) {
	message, ok := bytes.CutPrefix(data, magic)
	if !ok {
		return nil, errNoDefinition
	}
	var envelope runtime.Unknown
	if err := envelope.Unmarshal(message); err != nil {
		return nil, fmt.Errorf("reading its envelope: %w", err)
	}
	old, at, ok := field(envelope.Raw, definitionSpec)
	if !ok {
		return nil, errNoDefinition
	}
	raw := make([]byte, 0, len(envelope.Raw)-len(old)+len(spec)+protowire.SizeTag(definitionSpec)+protowire.SizeBytes(len(spec)))
	raw = append(raw, envelope.Raw[:at]...)
	if spec != nil {
		raw = protowire.AppendTag(raw, definitionSpec, protowire.BytesType)
		raw = protowire.AppendBytes(raw, spec)
	}
	envelope.Raw = append(raw, envelope.Raw[at+protowire.SizeTag(definitionSpec)+protowire.SizeBytes(len(old)):]...)
	made := make([]byte, len(magic)+envelope.Size())
	copy(made, magic)
	if _, err := envelope.MarshalToSizedBuffer(made[len(magic):]); err != nil {
		return nil, fmt.Errorf("writing its envelope: %w", err)
	}
	return made, nil
}
