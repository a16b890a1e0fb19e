package dynamic

import (
	"context"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/registry/kinds"
)

// Objects returns o for the stock plugins. They convert what they have changed back into the internal type, which most kinds here do not
// have (see package kinds): a scheme does not convert a type into itself.
func Objects(o admission.ObjectInterfaces) admission.ObjectInterfaces {
	return &objects{ObjectInterfaces: o, convertor: convertor{o.GetObjectConvertor()}}
}

type objects struct {
	admission.ObjectInterfaces
	convertor convertor
}

// GetObjectConvertor implements admission.ObjectInterfaces.
func (o *objects) GetObjectConvertor() runtime.ObjectConvertor { return o.convertor }

type convertor struct{ runtime.ObjectConvertor }

// Convert implements runtime.ObjectConvertor.
func (c convertor) Convert(in, out, context any) error {
	from, to := reflect.ValueOf(in), reflect.ValueOf(out)
	_, dynamic := in.(runtime.Unstructured)
	if dynamic || from.Kind() != reflect.Pointer || from.Type() != to.Type() {
		return c.ObjectConvertor.Convert(in, out, context)
	}
	to.Elem().Set(from.Elem())
	if obj, ok := out.(runtime.Object); ok {
		obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{}) // internal objects have none
	}
	return nil
}

// Stamp shows webhooks and policies the cluster of the object, as whoever reads it later sees it. The status of an object comes with the metadata
// that its client has sent, and its scale is made for the request, so neither says by itself which cluster it belongs to.
func Stamp(ctx context.Context, a admission.Attributes) {
	if a.GetOperation() != admission.Create && a.GetOperation() != admission.Update {
		return
	}
	switch a.GetSubresource() {
	case "", "status":
		stamp(ctx, a.GetObject())
	case "scale":
		stamp(ctx, a.GetObject())
		stamp(ctx, a.GetOldObject())
	}
}

func stamp(ctx context.Context, obj runtime.Object) {
	if obj == nil {
		return
	}
	if o, err := meta.Accessor(obj); err == nil {
		kinds.Stamp(ctx, o)
	}
}
