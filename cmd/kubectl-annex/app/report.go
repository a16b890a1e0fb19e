package app

import (
	"context"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/cmd/kubectl-annex/offer"
)

// report has the server check the objects of all consumers of an APIExport.
func (c *common) report(ctx context.Context, w *offer.Workspace, export string, definition *apiextensionsv1.CustomResourceDefinition) (*annexv1alpha1.APIChangeReportStatus, error) {
	line := c.progress(fmt.Sprintf("Checking the objects of the consumers of APIExport %q", export))
	defer line.Stop()
	return w.Report(ctx, export, definition, func(status *annexv1alpha1.APIChangeReportStatus) {
		line.Say("Checking the objects of the consumers of APIExport %q: %d of %d workspaces, %d objects", export, status.Consumers.Checked, status.Consumers.Total, status.Objects.Checked)
	})
}

// printReport prints which objects would be invalid; nothing if report is nil.
func (c *common) printReport(report *annexv1alpha1.APIChangeReportStatus) error {
	if report == nil {
		return nil
	}
	fmt.Fprintf(c.Out, "\n%d objects in %d workspaces: %d would be invalid, in %d workspaces\n", report.Objects.Checked, report.Consumers.Total, report.Objects.Invalid, report.Consumers.Invalid)
	if report.Consumers.Behind > 0 {
		fmt.Fprintf(c.Out, "%d workspaces could not follow: the new schema lacks a version in which objects may be stored, or has another scope or kind\n", report.Consumers.Behind)
	}
	if len(report.InvalidObjects) == 0 {
		return nil
	}
	fmt.Fprintln(c.Out)
	var rows [][]any
	for i := range report.InvalidObjects {
		object := &report.InvalidObjects[i]
		var errs []string
		for _, e := range object.Errors {
			errs = append(errs, strings.TrimPrefix(e.Field+" "+e.Message, " "))
		}
		if object.MoreErrors > 0 {
			errs = append(errs, fmt.Sprintf("%d more", object.MoreErrors))
		}
		rows = append(rows, []any{object.Cluster, object.Namespace, object.Name, strings.Join(errs, "; ")})
	}
	if err := (&output{}).printTable(c, []string{"Cluster", "Namespace", "Name", "Errors"}, rows); err != nil {
		return err
	}
	if more := report.Objects.Invalid - int64(len(report.InvalidObjects)); more > 0 {
		fmt.Fprintf(c.Out, "and %d more\n", more)
	}
	return nil
}
