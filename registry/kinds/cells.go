package kinds

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metatable "k8s.io/apimachinery/pkg/api/meta/table"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/duration"
)

// NameColumn is the first column of most tables.
func NameColumn() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]}
}

// AgeColumn is the last column of most tables.
func AgeColumn() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: "Age", Type: "string", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"]}
}

// Age says in a few characters how long ago created was, for example 5d.
func Age(created metav1.Time) string { return metatable.ConvertToHumanReadableDateType(created) }

// MicroAge is Age for times of finer grain.
func MicroAge(then metav1.MicroTime) string {
	if then.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(time.Since(then.Time))
}

// cells makes tables from what Kind.Cells returns.
type cells[E any, T Pointer[E]] struct {
	kind     *Kind[E, T]
	resource schema.GroupResource
}

// ConvertToTable implements rest.TableConvertor.
func (c *cells[E, T]) ConvertToTable(_ context.Context, object, tableOptions runtime.Object) (*metav1.Table, error) {
	rows, err := metatable.MetaToTableRow(object, func(obj runtime.Object, _ metav1.Object, _, _ string) ([]any, error) {
		one, ok := obj.(T)
		if !ok {
			return nil, fmt.Errorf("%T is not one of %s", obj, c.resource)
		}
		return c.kind.Cells(one), nil
	})
	if err != nil {
		return nil, fmt.Errorf("making a table of %s: %w", c.resource, err)
	}
	t := &metav1.Table{Rows: rows}
	if list, err := meta.ListAccessor(object); err == nil {
		t.ResourceVersion = list.GetResourceVersion()
		t.Continue = list.GetContinue()
		t.RemainingItemCount = list.GetRemainingItemCount()
	} else if one, err := meta.CommonAccessor(object); err == nil {
		t.ResourceVersion = one.GetResourceVersion()
	}
	if options, ok := tableOptions.(*metav1.TableOptions); !ok || !options.NoHeaders {
		t.ColumnDefinitions = c.kind.Columns
	}
	return t, nil
}
