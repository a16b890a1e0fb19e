package parity

import (
	"encoding/json"
	"fmt"
	"mime"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
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
	default:
		return string(data)
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
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensionsv1.AddToScheme} {
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
