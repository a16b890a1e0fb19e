package validation

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/rule"
)

// ValidateAPIStorageMigration returns what is wrong with an APIStorageMigration, apart from its metadata.
func ValidateAPIStorageMigration(migration *annexv1alpha1.APIStorageMigration) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if migration.Spec.Export != "" {
		errs = rule.SubdomainRequired(migration.Spec.Export, spec.Child("export"))
	}
	at := spec.Child("resource")
	if migration.Spec.Resource == "" {
		return append(errs, field.Required(at, "such as widgets.example.com"))
	}
	gr := schema.ParseGroupResource(migration.Spec.Resource)
	if len(utilvalidation.IsDNS1035Label(gr.Resource)) > 0 || len(utilvalidation.IsDNS1123Subdomain(gr.Group)) > 0 {
		errs = append(errs, field.Invalid(at, migration.Spec.Resource, "must be the plural name and the group of a resource, such as widgets.example.com"))
	}
	return errs
}

// ValidateAPIStorageMigrationUpdate returns what is wrong with the change of an APIStorageMigration from old to migration: it stays about the same
// resource.
func ValidateAPIStorageMigrationUpdate(migration, old *annexv1alpha1.APIStorageMigration) field.ErrorList {
	spec := field.NewPath("spec")
	errs := rule.Immutable(migration.Spec.Export, old.Spec.Export, spec.Child("export"), "the APIExport must not be changed")
	return append(errs, rule.Immutable(migration.Spec.Resource, old.Spec.Resource, spec.Child("resource"), "the resource must not be changed")...)
}

// ValidateAPIStorageMigrationStatusUpdate returns what is wrong with the change of the status of an APIStorageMigration from old to migration.
func ValidateAPIStorageMigrationStatusUpdate(migration, _ *annexv1alpha1.APIStorageMigration) field.ErrorList {
	status := field.NewPath("status")
	errs := rule.Conditions(migration.Status.Conditions, status.Child("conditions"))
	errs = append(errs, rule.OneOf(migration.Status.Phase, status.Child("phase"), annexv1alpha1.APIStorageMigrationPending, annexv1alpha1.APIStorageMigrationRunning,
		annexv1alpha1.APIStorageMigrationSuspended, annexv1alpha1.APIStorageMigrationComplete, annexv1alpha1.APIStorageMigrationFailed)...)
	if has := len(migration.Status.Failures); has > annexv1alpha1.MaxMigrationFailures {
		errs = append(errs, field.TooMany(status.Child("failures"), has, annexv1alpha1.MaxMigrationFailures))
	}
	return errs
}
