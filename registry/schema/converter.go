package schema

import (
	"fmt"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/conversion"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/registry/room"
	"github.com/annex-dev/annex/schemas/form"
)

// converter converts the objects of one definition by its webhook, many with one call, or by its rules. The stock handler converts them one by one, with a
// converter of its own, and its results are the same.
type converter struct {
	convertor runtime.ObjectConvertor // changes what it converts
	schemas   func() (*form.Schemas, error)
	ruled     bool // by rules, which cost less than the review of the stock handler
}

func newConverter(definition *apiextensionsv1.CustomResourceDefinition, hooks Webhooks, rules *rules) (*converter, error) {
	factory, err := conversion.NewCRConverterFactory(hooks, through(hooks))
	if err != nil {
		return nil, fmt.Errorf("preparing conversion: %w", err)
	}
	_, convertor, err := factory.NewConverter(definition)
	if err != nil {
		return nil, fmt.Errorf("preparing the conversion of %s: %w", definition.Name, err)
	}
	if rules != nil {
		convertor = ruleConvertor{convertor, rules}
	}
	return &converter{convertor: convertor, ruled: rules != nil, schemas: sync.OnceValues(func() (schemas *form.Schemas, err error) {
		room.Large(definition.Size(), func() { schemas, err = form.New(definition) })
		return schemas, err
	})}, nil
}

// convert returns objects, which are changed, in the version to.
func (c *converter) convert(objects []*unstructured.Unstructured, to schema.GroupVersion) ([]*unstructured.Unstructured, error) {
	if len(objects) == 1 { // what is wrong with it reads as it does when the stock handler converts it
		converted, err := c.convertor.ConvertToVersion(objects[0], to)
		if err != nil {
			return nil, err
		}
		one, ok := converted.(*unstructured.Unstructured)
		if !ok {
			return nil, fmt.Errorf("converting %s: unexpected type %T", objects[0].GroupVersionKind(), converted)
		}
		return []*unstructured.Unstructured{one}, c.prune(one)
	}
	list := &unstructured.UnstructuredList{Object: map[string]any{}}
	for _, obj := range objects {
		list.Items = append(list.Items, *obj)
	}
	list.SetGroupVersionKind(objects[0].GroupVersionKind()) // the kind is for errors; both must be of the definition
	converted, err := c.convertor.ConvertToVersion(list, to)
	if err != nil {
		return nil, err
	}
	all, ok := converted.(*unstructured.UnstructuredList)
	if !ok || len(all.Items) != len(objects) {
		return nil, fmt.Errorf("converting %d of %s: unexpected result %T", len(objects), objects[0].GroupVersionKind(), converted)
	}
	result := make([]*unstructured.Unstructured, len(objects))
	for i := range all.Items {
		result[i] = &all.Items[i]
		if err := c.prune(result[i]); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// prune makes of a converted object what the stock handler makes of it.
func (c *converter) prune(obj *unstructured.Unstructured) error {
	schemas, err := c.schemas()
	if err != nil {
		return err
	}
	return schemas.Converted(obj)
}

// asStored makes of an object that was decoded as it is stored what the stock handler makes of it before it converts it.
func (c *converter) asStored(obj *unstructured.Unstructured) error {
	schemas, err := c.schemas()
	if err != nil {
		return err
	}
	return schemas.Stored(obj)
}
