package app

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/annex-dev/annex/cmd/annex/scaffold"
)

// sourceVariable is the environment variable that names a checkout of Annex.
const sourceVariable = "ANNEX_SOURCE"

func newInitCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "init",
		Short: "Write the source code of a new project",
		Args:  cobra.NoArgs,
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(newInitOperatorCommand())
	return command
}

func newInitOperatorCommand() *cobra.Command {
	var project scaffold.Project
	var output string
	command := &cobra.Command{
		Use:   "operator NAME --domain DOMAIN",
		Short: "Write the source code of an operator that offers an API to other workspaces",
		Long: "Write the source code of an operator that offers an API to other workspaces: types, schema, APIExport, reconciler, tests,\n" +
			"chart and Makefile. It compiles, its tests pass, and for each object of a consumer it writes a Secret. Change that into\n" +
			"what you want to offer.",
		Example: "  annex init operator account --domain shop.example.com\n" +
			"  annex init operator db --domain example.com --kind Database --module git.example.com/platform/db-operator",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one NAME for the operator, not %d, such as: annex init operator account --domain shop.example.com", len(args))
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&project.Group, "domain", "", "Group of the API: a domain of yours, such as shop.example.com. Required.")
	flags.StringVar(&project.Kind, "kind", "", "Kind of the objects. Default: NAME without -operator, such as Account for account.")
	flags.StringVar(&project.Plural, "plural", "", "Plural of the kind in lower case, such as accounts. It is the name of the APIExport, too. Default: guessed from the kind.")
	flags.StringVar(&project.Version, "api-version", "", "Version of the API. Default: v1alpha1.")
	flags.StringVar(&project.Module, "module", "", "Path of the Go module. Default: <domain>/<NAME>.")
	flags.StringVarP(&output, "output", "o", "", "Directory to write to. It must be empty or not exist. Default: NAME.")
	flags.StringVar(&project.ClientVersion, "client-version", "", "Version of the Go module github.com/annex-dev/annex/client. Default: the version of this program.")
	flags.StringVar(&project.Replace, "replace", os.Getenv(sourceVariable), "Checkout of Annex whose modules the project uses in place of a release. Default: the value of "+sourceVariable+".")
	_ = command.MarkFlagRequired("domain") // it exists
	command.RunE = func(command *cobra.Command, args []string) (err error) {
		project.Name = args[0]
		if project.ReplaceFrom = "--replace"; !flags.Changed("replace") {
			project.ReplaceFrom = sourceVariable
		}
		if project.Replace != "" {
			if project.Replace, err = filepath.Abs(project.Replace); err != nil {
				return fmt.Errorf("%s: %w", project.ReplaceFrom, err)
			}
		}
		project.Complete(version)
		if err := project.Validate(); err != nil {
			return err
		}
		if output == "" {
			output = project.Name
		}
		if err := project.Write(output); err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "Wrote the operator of %s.%s to %s. Next:\n\n  cd %s\n  make test\n\nREADME.md says how to run and to install it.\n",
			project.Plural, project.Group, output, output)
		return err
	}
	return command
}
