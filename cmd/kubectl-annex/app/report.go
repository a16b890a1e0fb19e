package app

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/offer"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
)

// report has the server check the objects of all consumers of an APIExport.
func (c *common) report(ctx context.Context, w *offer.Workspace, export string, definition *apiextensionsv1.CustomResourceDefinition) (*annexv1alpha1.APIChangeReportStatus, error) {
	line := c.progress(fmt.Sprintf("Checking the objects of the consumers of APIExport %q", export))
	defer line.Stop()
	return w.Report(ctx, export, definition, func(status *annexv1alpha1.APIChangeReportStatus) {
		line.Say("Checking the objects of the consumers of APIExport %q: %d of %d workspaces, %d objects", export, status.Consumers.Checked, status.Consumers.Total, status.Objects.Checked)
	})
}

// pathsOf returns the paths of the workspaces in a report about an APIExport in the workspace at path. Workspaces whose paths the provider does not see
// are left out.
func pathsOf(ctx context.Context, s *session.Session, path logicalcluster.Path, export offer.Offered, report *annexv1alpha1.APIChangeReportStatus) (map[string]logicalcluster.Path, error) {
	if len(report.Workspaces) == 0 {
		return nil, nil
	}
	d, err := s.Door(ctx)
	if err != nil {
		return nil, err
	}
	all, err := offer.Consumers(ctx, s.Quiet(d.ExportURL(path.Join(export.Export).String(), export.Cluster, export.Export)))
	if err != nil {
		return nil, err
	}
	found := map[string]logicalcluster.Path{}
	for i := range report.Workspaces {
		cluster := report.Workspaces[i].Cluster
		if at := all[logicalcluster.Name(cluster)]; !at.Empty() {
			found[cluster] = at
		}
	}
	return found, nil
}

// printReport prints which objects would be invalid; nothing if there is no report.
func (c *common) printReport(d difference) error {
	report := d.Report
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
		rows = append(rows, []any{cmp.Or(d.Workspaces[object.Cluster], "-").String(), object.Cluster, object.Namespace, object.Name, strings.Join(errs, "; ")})
	}
	if err := (&output{}).printTable(c, []string{"Workspace", "Cluster", "Namespace", "Name", "Errors"}, rows); err != nil {
		return err
	}
	if more := report.Objects.Invalid - int64(len(report.InvalidObjects)); more > 0 {
		fmt.Fprintf(c.Out, "and %d more\n", more)
	}
	return nil
}
