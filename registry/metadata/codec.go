package metadata

import (
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
)

// OriginalVersionAnnotationKey is the annotation with the apiVersion in which an object is stored.
const OriginalVersionAnnotationKey = "kcp.io/original-api-version"

// codec reads the metadata of stored custom resources of all schemas. It writes nothing.
type codec struct{}

var _ runtime.Codec = codec{}

// Decode implements runtime.Decoder.
func (codec) Decode(data []byte, _ *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	object, ok := into.(*metav1.PartialObjectMetadata)
	if !ok || object == nil {
		object = &metav1.PartialObjectMetadata{}
	}
	*object = metav1.PartialObjectMetadata{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, object); err != nil {
		return nil, nil, fmt.Errorf("reading the metadata of an object: %w", err)
	}
	stored := object.GroupVersionKind()
	if object.Annotations == nil {
		object.Annotations = map[string]string{}
	}
	object.Annotations[OriginalVersionAnnotationKey] = object.APIVersion
	object.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind("PartialObjectMetadata"))
	return object, &stored, nil
}

// Encode implements runtime.Encoder.
func (codec) Encode(runtime.Object, io.Writer) error {
	return errors.New("metadata without an object is not stored")
}

// Identifier implements runtime.Encoder.
func (codec) Identifier() runtime.Identifier { return "metadata" }
