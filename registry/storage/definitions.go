package storage

import (
	"io"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/schemas/crd"
)

// definitions is the codec of CustomResourceDefinitions. Each step of it copies all nodes of all schemas.
type definitions struct{ runtime.Codec }

// Encode implements runtime.Encoder.
func (c definitions) Encode(obj runtime.Object, w io.Writer) error {
	bytes := 0
	if definition, ok := obj.(*apiextensions.CustomResourceDefinition); ok {
		bytes = room.NodeBytes * crd.Nodes(definition)
	}
	var err error
	room.Large(bytes, func() { err = c.Codec.Encode(obj, w) })
	return err
}

// Decode implements runtime.Decoder.
func (c definitions) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (obj runtime.Object, kind *schema.GroupVersionKind, err error) {
	room.Large(len(data), func() { obj, kind, err = c.Codec.Decode(data, defaults, into) })
	return obj, kind, err
}
