package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/cmd/kubectl-annex/offer"
)

func newMigrateCommand(c *common) *cobra.Command {
	var export string
	var local bool
	await := true
	command := &cobra.Command{
		Use:   "migrate RESOURCE.GROUP [--export NAME]",
		Short: "Rewrite stored objects in the version of an API that is stored now",
		Long: "Rewrite the objects of all consumers of an APIExport of the current workspace that are stored in an older version, or, if no APIExport has the\n" +
			"resource, the objects of a CustomResourceDefinition in the workspace. When all of them are rewritten, you can remove the old version from the schema.\n\n" +
			"The server does this by an APIStorageMigration, which is deleted afterwards. If you interrupt the command, it continues.",
		Example: c.example(`
  # Rewrite the widgets of all consumers
  $ migrate widgets.example.com

  # Rewrite those of the definition in the workspace, which is published
  $ migrate widgets.example.com --local

  # Do not wait for it
  $ migrate widgets.example.com --wait=false`),
		Args: cobra.ExactArgs(1),
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		gr := schema.ParseGroupResource(args[0])
		if gr.Group == "" {
			return fmt.Errorf("%q must be the plural name and the group of a resource, such as widgets.example.com", args[0])
		}
		if local && export != "" {
			return errors.New("give either --export or --local")
		}
		return c.migrate(command.Context(), gr, export, local, await)
	}
	flags := command.Flags()
	flags.StringVar(&export, "export", "", "Name of the APIExport. Default: the one that has the resource.")
	flags.BoolVar(&local, "local", false, "Rewrite the objects of the CustomResourceDefinition in the workspace, also if an APIExport has the resource.")
	flags.BoolVar(&await, "wait", await, "Wait until all objects are rewritten.")
	c.addWorkspaceFlag(command)
	return command
}

// migrate has the objects of a resource rewritten.
func (c *common) migrate(ctx context.Context, gr schema.GroupResource, export string, local, await bool) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	url, _, err := s.WorkspaceURL(ctx)
	if err != nil {
		return err
	}
	w, err := offer.New(s.At(url))
	if err != nil {
		return err
	}
	if !local {
		now, err := w.Exported(ctx, gr, export)
		if err != nil {
			return err
		}
		if export != "" && now.Export == "" {
			return fmt.Errorf("APIExport %q does not have %s", export, gr)
		}
		export = now.Export
	}
	migration, err := w.Migrate(ctx, gr, export)
	if err != nil {
		return err
	}
	if !await {
		fmt.Fprintf(c.Out, "apistoragemigration.annex.dev/%s created\n", migration.Name)
		return nil
	}
	line := c.progress(fmt.Sprintf("Rewriting %s", gr))
	migration, err = w.AwaitMigration(ctx, migration.Name, func(status *annexv1alpha1.APIStorageMigrationStatus) {
		line.Say("Rewriting %s in version %s: %d of %d workspaces, %d objects looked at, %d rewritten", gr, status.Version,
			status.Consumers.Migrated+status.Consumers.Behind+status.Consumers.Failed, status.Consumers.Total, status.Objects.Seen, status.Objects.Rewritten)
	})
	line.Stop()
	if err != nil {
		return err
	}
	if err := w.ForgetMigration(ctx, migration.Name); err != nil {
		return err
	}
	return c.printMigration(gr, migration)
}

// printMigration prints how a migration has ended. The error says why it has failed.
func (c *common) printMigration(gr schema.GroupResource, migration *annexv1alpha1.APIStorageMigration) error {
	status := &migration.Status
	if status.Phase == annexv1alpha1.APIStorageMigrationComplete {
		fmt.Fprintf(c.Out, "All objects of %s in %d workspaces are stored in version %s: %d objects looked at, %d rewritten\n",
			gr, status.Consumers.Total, status.Version, status.Objects.Seen, status.Objects.Rewritten)
		return nil
	}
	if len(status.Failures) > 0 {
		var rows [][]any
		for _, f := range status.Failures {
			rows = append(rows, []any{f.Cluster, f.Namespace, f.Name, f.Version, f.Message})
		}
		if err := (&output{}).printTable(c, []string{"Cluster", "Namespace", "Name", "Version", "Reason"}, rows); err != nil {
			return err
		}
		fmt.Fprintln(c.Out)
	}
	return fmt.Errorf("not all objects of %s are rewritten: %s", gr, conditionsv1alpha1.GetMessage(migration, annexv1alpha1.MigrationFailed))
}
