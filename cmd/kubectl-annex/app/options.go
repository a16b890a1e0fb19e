package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/progress"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
	"github.com/annex-dev/annex/cmd/kubectl-annex/tree"
)

// common is what all commands share.
type common struct {
	genericiooptions.IOStreams
	flags *genericclioptions.ConfigFlags
	// typed is how users begin each command line; within is how they begin that of a command which kcp has below `ws`.
	typed, within string
	// workspace is the flag --workspace.
	workspace string
	// session is the one that was opened last.
	session *session.Session
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
func (c *common) open(ctx context.Context) (s *session.Session, err error) {
	if s, err = session.Open(ctx, c.flags, c.workspace); err == nil {
		c.session = s
	}
	return s, err
}

// explained makes command, and all below it, say that the current workspace does not exist. The server does not: it only says that the user may not do
// something in it.
func (c *common) explained(command *cobra.Command) {
	for _, below := range command.Commands() {
		c.explained(below)
	}
	run := command.RunE
	if run == nil {
		return
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		err := run(command, args)
		if c.session == nil || !apierrors.IsForbidden(err) {
			return err
		}
		if _, path, hereErr := c.session.WorkspaceURL(command.Context()); hereErr == nil {
			if missing := c.exists(command.Context(), c.session, path); session.IsMissing(missing) {
				return missing
			}
		}
		return err
	}
}

// exists returns an error if the workspace at path, in which a command is to work, does not exist as far as the user can see, or if the server does not
// say.
func (c *common) exists(ctx context.Context, s *session.Session, path logicalcluster.Path) error {
	_, err := s.Check(ctx, path)
	switch {
	case session.IsDenied(err):
		return nil
	case session.IsMissing(err) && c.workspace == "":
		// The context leads nowhere: whoever named the workspace knows how to name another one.
		return fmt.Errorf("%w; '%s' leads back to the top", err, c.enterRoot())
	}
	return err
}

// enterRoot is what users type to enter the workspace that always exists.
func (c *common) enterRoot() string {
	return strings.TrimSuffix(c.within, " ws") + " ws :root"
}

// top returns the current workspace and those below it. It is an error if the workspace does not exist, which has nothing below it.
func (c *common) top(ctx context.Context, s *session.Session, path logicalcluster.Path, read tree.Read) (*tree.Node, error) {
	if err := c.exists(ctx, s, path); err != nil {
		return nil, err
	}
	return tree.Of(ctx, s, path, read)
}

// note writes what a user should know beside the output. Parts of it can come from other users, so it must not control the terminal.
func (c *common) note(format string, args ...any) {
	fmt.Fprintln(c.ErrOut, printers.EscapeTerminal("Note: "+fmt.Sprintf(format, args...)))
}

// none says that a command has nothing to print, as kubectl does.
func (c *common) none(what string) { fmt.Fprintln(c.ErrOut, what) }

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
