package app

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// annexPlugin is how users type the plugin under its own name.
const annexPlugin = "kubectl annex"

// completePrefix begins the names by which kubectl asks a plugin for completions: kubectl_complete-annex for kubectl-annex.
const completePrefix = "kubectl_complete-"

// Names of the plugin that creates workspaces: kubectl looks for the first one for `kubectl create workspace`, and for the second one,
// which is kcp's, for `kubectl create-workspace`.
const (
	createPlugin  = "kubectl-create-workspace"
	createCommand = "kubectl-create_workspace"
)

// New returns the command for the name that the program was called by, and its arguments. kubectl finds plugins by the names of files, so a
// link to the program is another plugin.
func New(called string, args []string, streams genericiooptions.IOStreams) *cobra.Command {
	called = strings.TrimSuffix(filepath.Base(called), ".exe")
	if plugin, completes := strings.CutPrefix(called, completePrefix); completes {
		called = "kubectl-" + plugin
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	c := &common{IOStreams: streams, flags: genericclioptions.NewConfigFlags(true)}
	var root *cobra.Command
	switch called {
	case "kubectl-ws":
		c.typed, c.within = "kubectl", "kubectl ws"
		root = newWorkspaceCommand(c)
		root.Use = "ws" + strings.TrimPrefix(root.Use, "workspace")
	case createPlugin, createCommand:
		c.typed, c.within = "kubectl", "kubectl"
		name := "create workspace"
		if called == createCommand {
			name = "create-workspace"
		}
		root = newCreateCommand(c, name)
	case "kubectl-kcp":
		c.typed, c.within = "kubectl kcp", "kubectl kcp ws"
		root = newKCPCommand(c)
	default:
		c.typed, c.within = annexPlugin, annexPlugin
		root = newAnnexCommand(c)
	}
	// Help and completion name the command as users type it.
	display := c.typed
	switch called {
	case "kubectl-ws":
		display = c.within
	case createPlugin, createCommand:
		display += " " + strings.TrimSuffix(root.Use, " NAME")
	}
	root.Aliases = nil
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: display}
	root.SilenceErrors, root.SilenceUsage = true, true
	// kubectl has the scripts for shells, and asks this program for completions.
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetArgs(args)
	c.flags.AddFlags(root.PersistentFlags())
	c.explained(root)
	listedBy := annexPlugin
	if called == "kubectl-kcp" {
		listedBy = c.typed
	}
	hideConnectionFlags(root, listedBy+" options")
	return root
}

func newAnnexCommand(c *common) *cobra.Command {
	root := &cobra.Command{
		Use:   "annex",
		Short: "Work with workspaces",
		Long: "Work with workspaces of Annex: enter them, create them, share APIs between them.\n\n" +
			"A workspace is a whole Kubernetes API. The context of your kubeconfig leads to one of them, through a host cluster or at Annex's\n" +
			"own endpoint. These commands work on that workspace. 'kubectl annex ws' enters another one.",
		Example: c.example(`
  # Enter a workspace, and go back
  $ ws :root:org:team
  $ ws -

  # Show all workspaces below the current one
  $ tree

  # Create a workspace and enter it
  $ create team-a --enter

  # Use the API of a provider
  $ bind apiexport root:provider:widgets.example.com`),
		// Args of its own would keep cobra from suggesting commands for one that does not exist.
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	// The help lists what the documentation types.
	ws := newWorkspaceCommand(c)
	ws.Use, ws.Aliases = "ws"+strings.TrimPrefix(ws.Use, "workspace"), []string{"workspace", "workspaces"}
	ws.Short += " (alias: workspace)"
	root.AddCommand(ws, newTreeCommand(c), newCreateCommand(c, "create"), newCreateContextCommand(c),
		newBindCommand(c), newClaimsCommand(c), newCRDCommand(c), newPublishCommand(c), newDiffCommand(c), newMigrateCommand(c), newRolloutCommand(c), newQuickstartCommand(c),
		newWhoAmICommand(c), newAccessCommand(c), newWhyCommand(c), newWhoCanCommand(c), newEventsCommand(c), newTopCommand(c), newKubeconfigCommand(c),
		newTokenCommand(c), newVersionCommand(c), newOptionsCommand(c))
	root.AddCommand(newElsewhereCommands(c)...)
	return root
}

func newKCPCommand(c *common) *cobra.Command {
	return newGroup(&cobra.Command{
		Use:     "kcp",
		Short:   "Work with workspaces, under the names of kcp's plugin",
		Example: c.example("\n  $ ws :root:org:team\n  $ ws tree\n  $ bind apiexport root:provider:widgets.example.com"),
	}, newWorkspaceCommand(c), newBindCommand(c), newClaimsCommand(c), newCRDCommand(c), newQuickstartCommand(c), newOptionsCommand(c))
}
