package kinds

import (
	"context"
	"fmt"
	"reflect"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
)

// NewColumns returns what makes tables of columns that are JSONPaths, which must not lead into managed fields. The error is about a path that
// cannot be parsed.
func NewColumns(columns []apiextensionsv1.CustomResourceColumnDefinition) (rest.TableConvertor, error) {
	stock, err := tableconvertor.New(columns)
	if err != nil {
		return nil, fmt.Errorf("parsing the paths of columns: %w", err)
	}
	return &byPath{stock}, nil
}

// byPath shows objects to the stock convertor without their managed fields. It reads an object as maps, and to make maps of the managed fields,
// which no column shows, takes several times as long as of all the rest.
type byPath struct{ stock rest.TableConvertor }

// ConvertToTable implements rest.TableConvertor.
func (b *byPath) ConvertToTable(ctx context.Context, object, options runtime.Object) (*metav1.Table, error) {
	objects := []runtime.Object{object}
	shown := unmanaged(object)
	if meta.IsListType(object) {
		var err error
		if objects, err = meta.ExtractList(object); err != nil {
			return nil, fmt.Errorf("taking a %T apart: %w", object, err)
		}
		var rows []runtime.Object
		for _, one := range objects {
			rows = append(rows, unmanaged(one))
		}
		if err := meta.SetList(shown, rows); err != nil {
			return nil, fmt.Errorf("building a %T: %w", object, err)
		}
	}
	table, err := b.stock.ConvertToTable(ctx, shown, options)
	if err != nil {
		return nil, err
	}
	for i := range table.Rows {
		table.Rows[i].Object.Object = objects[i]
	}
	return table, nil
}

// unmanaged returns a shallow copy of an object without managed fields, or of a list.
func unmanaged(object runtime.Object) runtime.Object {
	original := reflect.ValueOf(object).Elem()
	shallow := reflect.New(original.Type())
	shallow.Elem().Set(original)
	if one, err := meta.Accessor(shallow.Interface()); err == nil {
		one.SetManagedFields(nil)
	}
	return shallow.Interface().(runtime.Object)
}
