package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/rule"
)

// ValidateAPIChangeReport returns what is wrong with an APIChangeReport, apart from its metadata.
func ValidateAPIChangeReport(report *annexv1alpha1.APIChangeReport) field.ErrorList {
	spec := field.NewPath("spec")
	errs := rule.SubdomainRequired(report.Spec.Export, spec.Child("export"))
	at := spec.Child("schemas")
	switch n := len(report.Spec.Schemas); {
	case n == 0:
		errs = append(errs, field.Required(at, ""))
	case n > annexv1alpha1.MaxReportedSchemas:
		return append(errs, field.TooMany(at, n, annexv1alpha1.MaxReportedSchemas))
	}
	seen := map[string]bool{}
	for i, name := range report.Spec.Schemas {
		errs = append(errs, rule.SubdomainRequired(name, at.Index(i))...)
		if seen[name] {
			errs = append(errs, field.Duplicate(at.Index(i), name))
		}
		seen[name] = true
	}
	return errs
}

// ValidateAPIChangeReportUpdate returns what is wrong with the change of an APIChangeReport from old to report: a report stays about the same
// change.
func ValidateAPIChangeReportUpdate(report, old *annexv1alpha1.APIChangeReport) field.ErrorList {
	spec := field.NewPath("spec")
	errs := rule.Immutable(report.Spec.Export, old.Spec.Export, spec.Child("export"), "the APIExport must not be changed")
	return append(errs, rule.Immutable(report.Spec.Schemas, old.Spec.Schemas, spec.Child("schemas"), "the schemas must not be changed")...)
}

// ValidateAPIChangeReportStatusUpdate returns what is wrong with the change of the status of an APIChangeReport from old to report.
func ValidateAPIChangeReportStatusUpdate(report, _ *annexv1alpha1.APIChangeReport) field.ErrorList {
	status := field.NewPath("status")
	errs := rule.Conditions(report.Status.Conditions, status.Child("conditions"))
	errs = append(errs, rule.OneOf(report.Status.Phase, status.Child("phase"), annexv1alpha1.APIChangeReportPending, annexv1alpha1.APIChangeReportChecking,
		annexv1alpha1.APIChangeReportSuspended, annexv1alpha1.APIChangeReportComplete, annexv1alpha1.APIChangeReportFailed)...)
	for name, list := range map[string]struct{ has, most int }{
		"changes":        {len(report.Status.Changes), annexv1alpha1.MaxReportedChanges},
		"workspaces":     {len(report.Status.Workspaces), annexv1alpha1.MaxReportedWorkspaces},
		"invalidObjects": {len(report.Status.InvalidObjects), annexv1alpha1.MaxReportedObjects},
	} {
		if list.has > list.most {
			errs = append(errs, field.TooMany(status.Child(name), list.has, list.most))
		}
	}
	return errs
}
