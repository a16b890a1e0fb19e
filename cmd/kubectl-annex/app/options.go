package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/annex-dev/annex/cmd/kubectl-annex/progress"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
)

// common is what all commands share.
type common struct {
	genericiooptions.IOStreams
	flags *genericclioptions.ConfigFlags
	// typed is how users begin each command line; within is how they begin that of a command which kcp has below `ws`.
	typed, within string
	// workspace is the flag --workspace.
	workspace string
}

// example returns examples for the help of a command. $ stands for what users begin the command line with, and % for what they begin that of
// a command with which kcp has below `ws`.
func (c *common) example(text string) string {
	return strings.NewReplacer("$ ", c.typed+" ", "% ", c.within+" ").Replace(strings.Trim(text, "\n"))
}

// addWorkspaceFlag adds the flag to work in another workspace than that of the context.
func (c *common) addWorkspaceFlag(command *cobra.Command) {
	command.Flags().StringVarP(&c.workspace, "workspace", "w", "", "Workspace to work in, as for 'ws'. Default: the workspace of the current context.")
	_ = command.RegisterFlagCompletionFunc("workspace", c.completeWorkspaces)
}

// open returns the session for the flags of a command.
func (c *common) open(ctx context.Context) (*session.Session, error) {
	return session.Open(ctx, c.flags, c.workspace)
}

// warn writes a warning. Parts of it can come from other users, so it must not control the terminal.
func (c *common) warn(format string, args ...any) {
	fmt.Fprintln(c.ErrOut, printers.EscapeTerminal("Warning: "+fmt.Sprintf(format, args...)))
}

// oneArgument returns an error that says what is missing, unless there is one argument.
func oneArgument(what string) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s needs one argument, %s; see '%s --help'", command.CommandPath(), what, command.CommandPath())
		}
		return nil
	}
}

// progress begins to tell what the user waits for.
func (c *common) progress(text string) *progress.Line { return progress.Start(c.ErrOut, text) }
