package parity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	cborframer "k8s.io/apimachinery/pkg/runtime/serializer/cbor"
	cbor "k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// decode returns a body as JSON would have it, whatever its content type. What cannot be decoded is returned as text.
func decode(contentType string, data []byte) any {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	var body any
	var err error
	switch mediaType {
	case runtime.ContentTypeJSON:
		err = json.Unmarshal(data, &body)
	case runtime.ContentTypeYAML:
		err = yaml.Unmarshal(data, &body)
	case runtime.ContentTypeCBOR:
		err = cbor.Unmarshal(data, &body)
	case runtime.ContentTypeProtobuf:
		body, err = decodeProtobuf(data)
	default: // a stock server sends the index of OpenAPI v3 as text
		if !bytes.HasPrefix(data, []byte("{")) {
			return string(data)
		}
		err = json.Unmarshal(data, &body)
	}
	if err != nil {
		return string(data)
	}
	return body
}

// encode returns an object as the media type has it; JSON for media types of other things.
func encode(mediaType string, object any) ([]byte, error) {
	switch mediaType {
	case runtime.ContentTypeYAML:
		return yaml.Marshal(object)
	case runtime.ContentTypeCBOR:
		return cbor.Marshal(object)
	case runtime.ContentTypeProtobuf:
		return encodeProtobuf(object)
	}
	return json.Marshal(object)
}

// knownKinds are those that clients know, which is what protobuf needs.
func knownKinds() (*runtime.Scheme, error) {
	known := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensionsv1.AddToScheme, metav1.AddMetaToScheme} {
		if err := add(known); err != nil {
			return nil, err
		}
	}
	return known, nil
}

func decodeProtobuf(data []byte) (any, error) {
	known, err := knownKinds()
	if err != nil {
		return nil, err
	}
	object, err := runtime.Decode(serializer.NewCodecFactory(known).UniversalDeserializer(), data)
	if err != nil {
		return nil, err
	}
	return runtime.DefaultUnstructuredConverter.ToUnstructured(object)
}

// envelopeOf returns what stands around an object in its encoding: the kind and the encoding that protobuf names apart from the object, or
// the mark with which CBOR begins. Nil for encodings without.
func envelopeOf(contentType string, data []byte) (map[string]any, error) {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	switch mediaType {
	case runtime.ContentTypeCBOR:
		return map[string]any{"mark": bytes.HasPrefix(data, []byte{0xd9, 0xd9, 0xf7})}, nil
	case runtime.ContentTypeProtobuf:
		inner, ok := bytes.CutPrefix(data, []byte("k8s\x00"))
		if !ok {
			return map[string]any{"mark": false}, nil
		}
		var unknown runtime.Unknown
		if err := unknown.Unmarshal(inner); err != nil {
			return nil, fmt.Errorf("reading the envelope of protobuf: %w", err)
		}
		return map[string]any{
			"mark": true, "apiVersion": unknown.APIVersion, "kind": unknown.Kind, "contentType": unknown.ContentType, "contentEncoding": unknown.ContentEncoding,
		}, nil
	}
	return nil, nil
}

// readEvents returns the events of a watch, at most n unless n is zero, in whatever encoding they are.
func readEvents(contentType string, stream io.ReadCloser, n int) ([]any, error) {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	next := jsonEvents(stream)
	switch mediaType {
	case runtime.ContentTypeProtobuf:
		next = protobufEvents(protobuf.LengthDelimitedFramer.NewFrameReader(stream))
	case runtime.ContentTypeCBORSequence:
		next = cborEvents(cborframer.NewFramer().NewFrameReader(stream))
	}
	events := []any{}
	for n == 0 || len(events) < n {
		event, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return events, fmt.Errorf("reading event %d: %w", len(events)+1, err)
		}
		events = append(events, event)
	}
	return events, nil
}

func jsonEvents(stream io.Reader) func() (any, error) {
	decoder := json.NewDecoder(stream)
	return func() (event any, err error) {
		err = decoder.Decode(&event)
		return event, err
	}
}

// frame returns the next frame of a stream.
func frame(from io.Reader) ([]byte, error) {
	buffer := make([]byte, 4<<20)
	n, err := from.Read(buffer)
	return buffer[:n], err
}

func protobufEvents(frames io.Reader) func() (any, error) {
	return func() (any, error) {
		data, err := frame(frames)
		if err != nil {
			return nil, err
		}
		var event metav1.WatchEvent
		if err := event.Unmarshal(data); err != nil {
			return nil, err
		}
		object, err := decodeProtobuf(event.Object.Raw)
		if err != nil {
			return nil, err
		}
		envelope, err := envelopeOf(runtime.ContentTypeProtobuf, event.Object.Raw)
		return map[string]any{"type": event.Type, "object": object, "envelope": envelope}, err
	}
}

func cborEvents(frames io.Reader) func() (any, error) {
	return func() (event any, err error) {
		data, err := frame(frames)
		if err == nil {
			err = cbor.Unmarshal(data, &event)
		}
		return event, err
	}
}

func encodeProtobuf(object any) ([]byte, error) {
	content, ok := object.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%v is no object", object)
	}
	known, err := knownKinds()
	if err != nil {
		return nil, err
	}
	typed, err := known.New((&unstructured.Unstructured{Object: content}).GroupVersionKind())
	if err != nil {
		return nil, err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, typed); err != nil {
		return nil, err
	}
	return runtime.Encode(protobuf.NewSerializer(known, known), typed)
}
