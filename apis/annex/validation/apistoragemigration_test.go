package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
)

func TestValidateAPIStorageMigration(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spec annexv1alpha1.APIStorageMigrationSpec
		want []string
	}{
		"of an export":     {annexv1alpha1.APIStorageMigrationSpec{Export: "widgets", Resource: "widgets.example.com", Suspend: true}, nil},
		"of a definition":  {annexv1alpha1.APIStorageMigrationSpec{Resource: "widgets.example.com"}, nil},
		"empty":            {annexv1alpha1.APIStorageMigrationSpec{}, []string{"Required value spec.resource"}},
		"no names":         {annexv1alpha1.APIStorageMigrationSpec{Export: "A/B", Resource: "Widgets.example.com"}, []string{"Invalid value spec.export", "Invalid value spec.resource"}},
		"without a group":  {annexv1alpha1.APIStorageMigrationSpec{Resource: "widgets"}, []string{"Invalid value spec.resource"}},
		"with a version":   {annexv1alpha1.APIStorageMigrationSpec{Resource: "widgets.example.com/v1"}, []string{"Invalid value spec.resource"}},
		"without a plural": {annexv1alpha1.APIStorageMigrationSpec{Resource: ".example.com"}, []string{"Invalid value spec.resource"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, fieldsOf(ValidateAPIStorageMigration(&annexv1alpha1.APIStorageMigration{Spec: tt.spec}))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidateAPIStorageMigration_Updates(t *testing.T) {
	t.Parallel()
	old := &annexv1alpha1.APIStorageMigration{Spec: annexv1alpha1.APIStorageMigrationSpec{Export: "widgets", Resource: "widgets.example.com"}}
	same, other := old.DeepCopy(), old.DeepCopy()
	same.Spec.Suspend = true
	other.Spec.Export, other.Spec.Resource = "", "gadgets.example.com"
	if got := fieldsOf(ValidateAPIStorageMigrationUpdate(same, old)); got != nil {
		t.Errorf("suspending: %q", got)
	}
	if diff := cmp.Diff([]string{"Invalid value spec.export", "Invalid value spec.resource"}, fieldsOf(ValidateAPIStorageMigrationUpdate(other, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other.Status.Phase, other.Status.Failures = "Odd", make([]annexv1alpha1.APIStorageMigrationFailure, annexv1alpha1.MaxMigrationFailures+1)
	if diff := cmp.Diff([]string{"Unsupported value status.phase", "Too many status.failures"}, fieldsOf(ValidateAPIStorageMigrationStatusUpdate(other, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
