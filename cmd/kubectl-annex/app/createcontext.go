package app

import (
	"fmt"

	"github.com/spf13/cobra"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/cmd/kubectl-annex/contexts"
)

func newCreateContextCommand(c *common) *cobra.Command {
	var overwrite bool
	command := &cobra.Command{
		Use:   "create-context [NAME]",
		Short: "Write a context for the current workspace",
		Long: "Write a context for the current workspace, which stays there when you enter another one, and make it the current context.\n" +
			"It has the user and the namespace of the current context. Its name is the path of the workspace, unless you give another one.",
		Example: c.example("\n  % create-context\n  % create-context team-a --overwrite"),
		Args:    cobra.MaximumNArgs(1),
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		ctx := command.Context()
		s, err := c.open(ctx)
		if err != nil {
			return err
		}
		name := contexts.Name{Overwrite: overwrite, Enter: true, Server: s.URL()}
		if len(args) == 1 {
			name.Context = args[0]
		} else {
			origin, err := s.Origin(ctx)
			if err != nil {
				return err
			}
			if origin.Path.Empty() {
				return fmt.Errorf("current URL %q does not point to a workspace, so give a name", origin.URL)
			}
			name.Context = origin.Path.String()
		}
		var existed, switched bool
		if err := contexts.Modify(ctx, s.Access(), func(config *clientcmdapi.Config) (err error) {
			existed, switched, err = contexts.Create(config, s.Start(), name)
			return err
		}); err != nil {
			return err
		}
		done, tail := "Created", ""
		if existed {
			done = "Updated"
		}
		if switched {
			tail = " and switched to it"
		}
		fmt.Fprintf(c.Out, "%s context %q%s.\n", done, name.Context, tail)
		return nil
	}
	command.Flags().BoolVar(&overwrite, "overwrite", false, "Replace a context of this name.")
	c.addWorkspaceFlag(command)
	return command
}
