package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/offer"
	"github.com/annex-dev/annex/schemas/change"
)

// difference is what changes of an API, as -o json prints it.
type difference struct {
	Name string `json:"name"` // of the CustomResourceDefinition
	// From is what the definition is compared with; empty if the API is new.
	From    string          `json:"from,omitempty"`
	Changes []change.Change `json:"changes"`
	// Report is about the objects of consumers; nil without --report, or if no APIExport has the API.
	Report *annexv1alpha1.APIChangeReportStatus `json:"report,omitempty"`
	// Workspaces are the paths of the consumers in Report, by the name of the logical cluster, as far as the provider sees them.
	Workspaces map[string]logicalcluster.Path `json:"workspaces,omitempty"`
}

func newDiffCommand(c *common) *cobra.Command {
	var file, export, format string
	var report bool
	command := &cobra.Command{
		Use:   "diff (CRD... | -f FILE|DIRECTORY) [--export NAME]",
		Short: "Show what a new CustomResourceDefinition changes for those who use the API",
		Long: "Compare CustomResourceDefinitions with what the APIExport of the current workspace offers now, or, if none has the API, with the definition\n" +
			"in the workspace. Changes that may break a client or an object are marked as breaking: the command fails if there are any.\n\n" +
			"Without --report, nothing is written, and no objects of consumers are read, so there may be none that a breaking change concerns. With --report, the\n" +
			"server checks the objects of all consumers by an APIChangeReport, which is deleted afterwards.\n\n" + findHelp,
		Example: c.example(`
  # What would these definitions change?
  $ diff -f crd.yaml
  helm show crds chart | ` + c.typed + ` diff -f -

  # Which objects of consumers would become invalid?
  $ diff -f crd.yaml --report

  # What has changed in the definition since it was published?
  $ diff widgets.example.com`),
	}
	command.RunE = func(command *cobra.Command, names []string) error {
		switch {
		case (file == "") == (len(names) == 0):
			return errors.New("give either the names of CustomResourceDefinitions or --filename")
		case format != "" && format != "json":
			return fmt.Errorf("--output %s: must be json", format)
		}
		var wanted []*apiextensionsv1.CustomResourceDefinition
		if file != "" {
			manifests, err := c.readDefinitions(file)
			if err != nil {
				return err
			}
			for _, manifest := range manifests {
				wanted = append(wanted, manifest.Definition)
			}
		}
		found, err := c.diff(command.Context(), names, wanted, export, report)
		if err != nil {
			return err
		}
		return c.printDifferences(found, format)
	}
	flags := command.Flags()
	flags.StringVarP(&file, "filename", "f", "", "File or directory with CustomResourceDefinitions; - is stdin.")
	flags.StringVar(&export, "export", "", "Name of the APIExport. Default: the one that has the API.")
	flags.BoolVar(&report, "report", false, "Check the objects of all consumers of the APIExport.")
	flags.StringVarP(&format, "output", "o", "", "Output format: json. Default: a table.")
	c.addWorkspaceFlag(command)
	return command
}

// diff compares definitions, those that are called names in the workspace or those that are wanted, with what is offered; with report, it checks the
// objects of consumers, too.
func (c *common) diff(ctx context.Context, names []string, wanted []*apiextensionsv1.CustomResourceDefinition, export string, report bool) ([]difference, error) {
	s, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	url, path, err := s.WorkspaceURL(ctx)
	if err != nil {
		return nil, err
	}
	w, err := offer.New(s.At(url))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		definition, err := w.Definition(ctx, name)
		if err != nil {
			return nil, err
		}
		if definition == nil {
			return nil, fmt.Errorf("the workspace has no CustomResourceDefinition %q", name)
		}
		wanted = append(wanted, definition)
	}
	var all []difference
	for _, definition := range wanted {
		now, err := w.Exported(ctx, schema.GroupResource{Group: definition.Spec.Group, Resource: definition.Spec.Names.Plural}, export)
		if err != nil {
			return nil, err
		}
		switch {
		case now.By == "" && export != "":
			return nil, fmt.Errorf("APIExport %q does not have %s", export, definition.Name)
		case now.By == "" && len(names) > 0:
			return nil, fmt.Errorf("no APIExport has %s", definition.Name)
		case now.By == "":
			if now.Definition, err = w.Definition(ctx, definition.Name); err != nil {
				return nil, err
			}
			if now.Definition != nil {
				now.By = "the definition in the workspace"
			}
		}
		d := difference{Name: definition.Name, From: now.By, Changes: []change.Change{}}
		if now.Definition != nil {
			d.Changes = append(d.Changes, change.Between(now.Definition, definition)...)
		}
		if report && now.Export != "" {
			if d.Report, err = c.report(ctx, w, now.Export, definition); err != nil {
				return nil, err
			}
			if d.Workspaces, err = pathsOf(ctx, s, path, now, d.Report); err != nil {
				c.warn("the paths of workspaces cannot be read: %v", err)
			}
		}
		all = append(all, d)
	}
	return all, nil
}

// printDifferences prints what changes. Its error counts the breaking changes.
func (c *common) printDifferences(all []difference, format string) error {
	breaking, invalid, behind := 0, int64(0), int32(0)
	for _, d := range all {
		breaking += len(change.Breaking(d.Changes))
		if d.Report != nil {
			invalid, behind = invalid+d.Report.Objects.Invalid, behind+d.Report.Consumers.Behind
		}
	}
	if format == "json" {
		encoder := json.NewEncoder(c.Out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(all); err != nil {
			return err
		}
	} else if err := c.printChanges(all); err != nil {
		return err
	}
	switch {
	case invalid > 0 || behind > 0:
		return fmt.Errorf("%d changes may break clients or objects, %d objects would be invalid, and %d workspaces could not follow", breaking, invalid, behind)
	case breaking == 0:
		return nil
	case breaking == 1:
		return errors.New("1 change may break clients or objects")
	}
	return fmt.Errorf("%d changes may break clients or objects", breaking)
}

func (c *common) printChanges(all []difference) error {
	for i, d := range all {
		if i > 0 {
			fmt.Fprintln(c.Out)
		}
		switch {
		case d.From == "":
			fmt.Fprintf(c.Out, "%s is new\n", d.Name)
			continue
		case len(d.Changes) == 0:
			fmt.Fprintf(c.Out, "%s: no change from %s\n", d.Name, d.From)
			if err := c.printReport(d); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(c.Out, "%s, compared with %s:\n\n", d.Name, d.From)
		var rows [][]any
		for _, one := range d.Changes {
			effect := "compatible"
			if one.Breaking {
				effect = "BREAKING"
			}
			rows = append(rows, []any{effect, one.Version, one.Field, one.Message})
		}
		if err := (&output{}).printTable(c, []string{"Effect", "Version", "Field", "Change"}, rows); err != nil {
			return err
		}
		if err := c.printReport(d); err != nil {
			return err
		}
	}
	return nil
}
