package app

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/annex-dev/annex/cmd/kubectl-annex/near"
)

// hideConnectionFlags leaves the flags that all commands have out of the help of each command, as kubectl does. They are still completed.
func hideConnectionFlags(root *cobra.Command, listedBy string) {
	usage := root.UsageFunc()
	root.SetUsageFunc(func(command *cobra.Command) error {
		set := func(hidden bool) func(*pflag.Flag) { return func(flag *pflag.Flag) { flag.Hidden = hidden } }
		root.PersistentFlags().VisitAll(set(true))
		defer root.PersistentFlags().VisitAll(set(false))
		if err := usage(command); err != nil {
			return err
		}
		_, err := fmt.Fprintf(command.OutOrStderr(), "\nUse %q for a list of flags that all commands have, such as --context.\n", listedBy)
		return err
	})
}

// newOptionsCommand returns the command that lists what hideConnectionFlags hides.
func newOptionsCommand(c *common) *cobra.Command {
	return &cobra.Command{
		Use:     "options",
		Short:   "List the flags that all commands have",
		Long:    "List the flags that all commands have: who you are, and which server, context and namespace a command works with.",
		Example: c.example("\n  $ options"),
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.Out, "All commands have these flags:\n\n%s", command.Root().PersistentFlags().FlagUsages())
			return err
		},
	}
}

// elsewhere are the commands of kubectl that do for workspaces what users look for in the plugin.
var elsewhere = map[string]string{
	"delete": "kubectl delete workspace NAME", "describe": "kubectl describe workspace NAME", "edit": "kubectl edit workspace NAME", "get": "kubectl get workspaces",
}

// newElsewhereCommands returns commands that do not exist, to say which command does it. No help lists them.
func newElsewhereCommands(c *common) []*cobra.Command {
	var all []*cobra.Command
	for name, line := range elsewhere {
		all = append(all, &cobra.Command{
			Use:                name,
			Short:              "Is not a command",
			Hidden:             true,
			DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error {
				return fmt.Errorf("unknown command %q for %q: use '%s'", name, c.typed, line)
			},
		})
	}
	return all
}

// newGroup completes a command that only has commands of its own. It shows its help, and says which of them there are if one is misspelled.
func newGroup(group *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	group.AddCommand(commands...)
	group.Args = func(command *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, below := range command.Commands() {
			if below.IsAvailableCommand() {
				names = append(names, below.Name())
			}
		}
		return fmt.Errorf("unknown command %q for %q%s", args[0], command.CommandPath(), near.Hint(args[0], names, command.CommandPath()+" "))
	}
	group.RunE = func(command *cobra.Command, _ []string) error { return command.Help() }
	return group
}
