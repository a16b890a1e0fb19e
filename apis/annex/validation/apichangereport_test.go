package validation

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
)

func fieldsOf(errs field.ErrorList) (fields []string) {
	for _, e := range errs {
		fields = append(fields, fmt.Sprint(e.Type, " ", e.Field))
	}
	return fields
}

func TestValidateAPIChangeReport(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range annexv1alpha1.MaxReportedSchemas + 1 {
		many = append(many, fmt.Sprintf("v%d.widgets.example.com", i))
	}
	for name, tt := range map[string]struct {
		spec annexv1alpha1.APIChangeReportSpec
		want []string
	}{
		"valid":    {annexv1alpha1.APIChangeReportSpec{Export: "widgets", Schemas: many[1:], Suspend: true}, nil},
		"empty":    {annexv1alpha1.APIChangeReportSpec{}, []string{"Required value spec.export", "Required value spec.schemas"}},
		"too many": {annexv1alpha1.APIChangeReportSpec{Export: "widgets", Schemas: many}, []string{"Too many spec.schemas"}},
		"no names": {annexv1alpha1.APIChangeReportSpec{Export: "A/B", Schemas: []string{"v1", "", "v1"}}, []string{"Invalid value spec.export", "Required value spec.schemas[1]", "Duplicate value spec.schemas[2]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, fieldsOf(ValidateAPIChangeReport(&annexv1alpha1.APIChangeReport{Spec: tt.spec}))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidateAPIChangeReport_Updates(t *testing.T) {
	t.Parallel()
	old := &annexv1alpha1.APIChangeReport{Spec: annexv1alpha1.APIChangeReportSpec{Export: "widgets", Schemas: []string{"v1"}}}
	same, other := old.DeepCopy(), old.DeepCopy()
	same.Spec.Suspend = true
	other.Spec.Export, other.Spec.Schemas = "gadgets", []string{"v2"}
	if got := fieldsOf(ValidateAPIChangeReportUpdate(same, old)); got != nil {
		t.Errorf("suspending: %q", got)
	}
	if diff := cmp.Diff([]string{"Invalid value spec.export", "Invalid value spec.schemas"}, fieldsOf(ValidateAPIChangeReportUpdate(other, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other.Status.Phase, other.Status.InvalidObjects = "Odd", make([]annexv1alpha1.APIChangeReportObject, annexv1alpha1.MaxReportedObjects+1)
	if diff := cmp.Diff([]string{"Unsupported value status.phase", "Too many status.invalidObjects"}, fieldsOf(ValidateAPIChangeReportStatusUpdate(other, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
