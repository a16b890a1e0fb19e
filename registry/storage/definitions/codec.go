package definitions

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/schemas/crd"
)

// Codec encodes and decodes CustomResourceDefinitions as the Codec in it does.
type Codec struct {
	runtime.Codec
	Specs *Specs
}

// Encode implements runtime.Encoder.
func (c Codec) Encode(obj runtime.Object, w io.Writer) error {
	definition, ok := obj.(*apiextensions.CustomResourceDefinition)
	if !ok {
		return c.Codec.Encode(obj, w)
	}
	if spec := c.Specs.bytes(&definition.Spec); spec != nil {
		bare := *definition
		bare.Spec = apiextensions.CustomResourceDefinitionSpec{}
		var rest bytes.Buffer
		if err := c.Codec.Encode(&bare, &rest); err != nil {
			return err
		}
		data, err := withSpec(rest.Bytes(), spec)
		if err != nil {
			return fmt.Errorf("encoding a definition: %w", err)
		}
		_, err = w.Write(data)
		return err
	}
	var err error
	room.Large(room.NodeBytes*crd.Nodes(definition), func() { err = c.Codec.Encode(obj, w) })
	return err
}

// Decode implements runtime.Decoder.
func (c Codec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (obj runtime.Object, kind *schema.GroupVersionKind, err error) {
	spec, ok := specOf(data)
	if !ok || len(spec) < least {
		return c.Codec.Decode(data, defaults, into)
	}
	of := identify(spec)
	if definition, kind, ok := c.decodeRest(of, data, defaults, into); ok {
		return definition, kind, nil
	}
	room.Large(len(data), func() {
		definition, known, ok := c.decodeRest(of, data, defaults, into)
		if ok { // others have decoded it meanwhile
			obj, kind = definition, known
			return
		}
		obj, kind, err = c.Codec.Decode(data, defaults, into)
		if definition, ok := obj.(*apiextensions.CustomResourceDefinition); ok && err == nil && isV1(kind) {
			c.Specs.put(of, bytes.Clone(spec), definition)
		}
	})
	return obj, kind, err
}

// decodeRest decodes data without its spec, if that is known. It returns false otherwise, or if all of it has to be decoded: because of an
// error, or because the spec says what its status is by default.
func (c Codec) decodeRest(of id, data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (*apiextensions.CustomResourceDefinition, *schema.GroupVersionKind, bool) {
	known, ok := c.Specs.get(of)
	if !ok {
		return nil, nil, false
	}
	rest, err := withSpec(data, nil)
	if err != nil {
		return nil, nil, false
	}
	obj, kind, err := c.Codec.Decode(rest, defaults, into)
	definition, ok := obj.(*apiextensions.CustomResourceDefinition)
	if err != nil || !ok || len(definition.Status.StoredVersions) == 0 || !isV1(kind) {
		return nil, nil, false
	}
	known.giveTo(definition)
	return definition, kind, true
}

func isV1(kind *schema.GroupVersionKind) bool {
	return kind != nil && kind.GroupVersion() == apiextensionsv1.SchemeGroupVersion
}

// Copy returns a copy of a definition, whose metadata and status may be changed.
func (c Codec) Copy(obj runtime.Object) runtime.Object {
	definition, ok := obj.(*apiextensions.CustomResourceDefinition)
	if !ok {
		return obj.DeepCopyObject()
	}
	made := *definition
	definition.ObjectMeta.DeepCopyInto(&made.ObjectMeta)
	definition.Status.DeepCopyInto(&made.Status)
	made.Spec.Versions = slices.Clone(definition.Spec.Versions)
	return &made
}
