package offer

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/schemas/publish"
)

// reportEvery is how often a report is read.
const reportEvery = 300 * time.Millisecond

// Report has the server check what a definition would break for the consumers of an APIExport, and returns the result. It calls progress with what
// there is so far. The report is removed, and so is the schema of the definition unless it was there before.
func (w *Workspace) Report(ctx context.Context, export string, definition *apiextensionsv1.CustomResourceDefinition,
	progress func(*annexv1alpha1.APIChangeReportStatus)) (_ *annexv1alpha1.APIChangeReportStatus, err error) {
	schema, err := publish.SchemaOf(definition)
	if err != nil {
		return nil, err
	}
	// Also after an interrupt.
	ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	schemas, reports := w.exports.ApisV1alpha1().APIResourceSchemas(), w.exports.AnnexV1alpha1().APIChangeReports()
	remove := func(what string, remove func(context.Context, string, metav1.DeleteOptions) error, name string) {
		// An export may have come to offer the schema meanwhile.
		if removeErr := remove(ended, name, metav1.DeleteOptions{}); removeErr != nil && !apierrors.IsNotFound(removeErr) && !apierrors.IsForbidden(removeErr) {
			err = errors.Join(err, fmt.Errorf("deleting %s %q: %w", what, name, removeErr))
		}
	}
	_, err = schemas.Create(ctx, schema, metav1.CreateOptions{})
	switch {
	case err == nil:
		defer remove("APIResourceSchema", schemas.Delete, schema.Name)
	case !apierrors.IsAlreadyExists(err):
		return nil, fmt.Errorf("creating APIResourceSchema %q: %w", schema.Name, err)
	}
	report, err := reports.Create(ctx, &annexv1alpha1.APIChangeReport{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "diff-"}, Spec: annexv1alpha1.APIChangeReportSpec{Export: export, Schemas: []string{schema.Name}},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("creating an APIChangeReport: %w", err)
	}
	defer remove("APIChangeReport", reports.Delete, report.Name)
	err = wait.PollUntilContextCancel(ctx, reportEvery, true, func(ctx context.Context) (bool, error) {
		found, err := reports.Get(ctx, report.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		report = found
		progress(&report.Status)
		return report.Status.Phase == annexv1alpha1.APIChangeReportComplete || report.Status.Phase == annexv1alpha1.APIChangeReportFailed, nil
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for APIChangeReport %q: %w", report.Name, err)
	}
	if report.Status.Phase == annexv1alpha1.APIChangeReportFailed {
		why := ""
		for _, t := range []conditionsv1alpha1.ConditionType{annexv1alpha1.ReportValid, annexv1alpha1.ReportComplete} {
			if c := conditionsv1alpha1.Get(report, t); c != nil && c.Status == "False" && why == "" {
				why = ": " + c.Message
			}
		}
		return nil, fmt.Errorf("the objects of consumers cannot be checked%s", why)
	}
	return &report.Status, nil
}
