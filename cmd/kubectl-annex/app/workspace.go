package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/cmd/door"
	"github.com/annex-dev/annex/cmd/kubectl-annex/address"
	"github.com/annex-dev/annex/cmd/kubectl-annex/claims"
	"github.com/annex-dev/annex/cmd/kubectl-annex/contexts"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
)

const (
	homeNote  = "Note: 'kubectl ws' now matches 'cd' semantics: go to home workspace. 'kubectl ws -' to go back. 'kubectl ws .' to print current workspace."
	annexNote = "This is your home workspace. 'kubectl annex ws -' takes you back."
	// absoluteNote is legacyNote in our words: it has what was typed.
	absoluteNote = "Note: %q is read as %q, because absolute paths begin with ':'.\n"
	legacyNote   = "Note: Using 'root:' to define an absolute path is no longer supported. Instead, use ':root' to specify an absolute path."
)

func newWorkspaceCommand(c *common) *cobra.Command {
	var short, interactive bool
	command := &cobra.Command{
		Use:     "workspace [<path>|..|.|-|~|:<absolute path>]",
		Aliases: []string{"ws", "workspaces"},
		Short:   "Enter a workspace; without a path, your home workspace",
		Long: "Enter a workspace. Paths work as directories do for 'cd': 'team' and 'a:b' (or 'a/b') are below the current workspace, '..' is its parent,\n" +
			"':root:org' is absolute, '-' is the previous workspace, '~' or no path is your home workspace, ':' is the first workspace of the\n" +
			"current path, and '.' prints the current workspace.\n\n" +
			"The command writes the contexts '" + contexts.Current + "' and '" + contexts.Previous + "' to your kubeconfig, with the user and\n" +
			"the namespace of the context that you leave. Other contexts do not change. Nothing is written if you may not enter the workspace.",
		Example: c.example(`
  # Enter a workspace by its absolute path, a child of the current one, and go back
  $ ws :root:org
  $ ws team
  $ ws -

  # Print the current workspace, for a shell prompt
  $ ws . --short`),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: c.completeWorkspaces,
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		switch {
		case !interactive:
			return c.use(command, args, short)
		case len(args) > 0 || short:
			return errors.New("--interactive takes neither a path nor --short")
		}
		return c.browse(command.Context())
	}
	command.Flags().BoolVar(&short, "short", false, "Print only the path of the workspace.")
	addInteractiveFlag(command, &interactive)
	command.AddCommand(newUseCommand(c), newCurrentCommand(c), newTreeCommand(c), newCreateCommand(c, "create"), newCreateContextCommand(c))
	return command
}

func newUseCommand(c *common) *cobra.Command {
	var short bool
	command := &cobra.Command{
		Use:               "use [<path>|..|.|-|~|:<absolute path>]",
		Aliases:           []string{"cd"},
		Short:             "Enter a workspace",
		Example:           c.example("\n  # Enter a workspace, also if it is called like a command\n  $ ws use tree"),
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: c.completeWorkspaces,
	}
	command.RunE = func(command *cobra.Command, args []string) error { return c.use(command, args, short) }
	command.Flags().BoolVar(&short, "short", false, "Print only the path of the workspace.")
	return command
}

func newCurrentCommand(c *common) *cobra.Command {
	var short bool
	command := &cobra.Command{
		Use:     "current",
		Short:   "Print the current workspace",
		Example: c.example("\n  $ ws current --short"),
		Args:    cobra.NoArgs,
	}
	command.RunE = func(command *cobra.Command, _ []string) error { return c.use(command, []string{"."}, short) }
	command.Flags().BoolVar(&short, "short", false, "Print only the path of the workspace.")
	return command
}

// use enters the workspace that args name.
func (c *common) use(command *cobra.Command, args []string, short bool) error {
	if len(args) > 1 {
		return command.Help()
	}
	ctx := command.Context()
	s, err := session.Open(ctx, c.flags, "")
	if err != nil {
		return err
	}
	arg := "~"
	if len(args) == 1 {
		arg = args[0]
	}
	target, err := s.Resolve(ctx, arg)
	if err != nil {
		return err
	}
	switch {
	case target.Legacy && c.typed == annexPlugin:
		fmt.Fprintf(c.ErrOut, absoluteNote, arg, ":"+target.Path.String())
	case target.Legacy:
		fmt.Fprintln(c.ErrOut, legacyNote)
	}
	switch target.Kind {
	case address.Here:
		printCurrent(c.Out, s.URL(), nil, short)
		return nil
	case address.Back:
		return c.back(ctx, s, short)
	}
	workspace, err := s.Check(ctx, target.Path)
	if err != nil {
		return err
	}
	if target.Kind == address.Top {
		workspace = nil
	}
	if err := c.enter(ctx, s, target.Path, workspace, target.Kind != address.Top, short); err != nil {
		return err
	}
	if len(args) == 0 {
		note := homeNote
		if c.typed == annexPlugin {
			note = annexNote
		}
		fmt.Fprintln(c.ErrOut, note)
	}
	return nil
}

// enter makes the workspace at path the current one.
func (c *common) enter(ctx context.Context, s *session.Session, path logicalcluster.Path, workspace *tenancyv1alpha1.Workspace, typed, short bool) error {
	d, err := s.Door(ctx)
	if err != nil {
		return err
	}
	url := d.WorkspaceURL(path)
	if err := contexts.Modify(ctx, s.Access(), func(config *clientcmdapi.Config) error {
		return contexts.Enter(config, s.Start(), url)
	}); err != nil {
		return err
	}
	if typed && workspace == nil && path == logicalcluster.Root.Path() {
		workspace = &tenancyv1alpha1.Workspace{Spec: tenancyv1alpha1.WorkspaceSpec{Type: &tenancyv1alpha1.WorkspaceTypeReference{Name: "root"}}}
	}
	printCurrent(c.Out, url, workspace, short)
	c.warnOfClaims(ctx, s, url)
	return nil
}

// back swaps the current and the previous workspace.
func (c *common) back(ctx context.Context, s *session.Session, short bool) error {
	if err := c.checkPrevious(ctx, s); err != nil {
		return err
	}
	var url string
	if err := contexts.Modify(ctx, s.Access(), func(config *clientcmdapi.Config) (err error) {
		url, err = contexts.Back(config, s.Start())
		return err
	}); err != nil {
		return err
	}
	printCurrent(c.Out, url, nil, short)
	if d, _, err := door.Parse(url); err == nil && d.Here != "" {
		c.warnOfClaims(ctx, s, url)
	}
	return nil
}

// checkPrevious returns an error unless the user of the previous context may enter its workspace. A URL that names no workspace is not checked.
func (c *common) checkPrevious(ctx context.Context, s *session.Session) error {
	config, err := s.Access().GetStartingConfig()
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if _, _, err := contexts.Left(config); err != nil {
		return err
	}
	previous, err := session.OpenContext(ctx, c.flags, contexts.Previous)
	if err != nil {
		return err
	}
	if previous.Path().Empty() {
		return nil
	}
	// Only the server knows whether the end of the URL is a workspace or, behind another proxy, something else.
	d, err := previous.Door(ctx)
	if err != nil || d.Here == "" {
		return err
	}
	_, err = previous.Check(ctx, logicalcluster.Path(d.Here))
	return err
}

// printCurrent says which workspace is the current one. The type is said if workspace is not nil.
func printCurrent(out io.Writer, url string, workspace *tenancyv1alpha1.Workspace, short bool) {
	d, _, err := door.Parse(url)
	named := err == nil && d.Here != ""
	switch {
	case short && named:
		fmt.Fprintln(out, d.Here)
	case short:
	case !named:
		fmt.Fprintf(out, "Current workspace is the URL %q.\n", url)
	case workspace != nil && workspace.Spec.Type != nil:
		fmt.Fprintf(out, "Current workspace is '%s' (type %s).\n", d.Here, typeName(workspace.Spec.Type))
	default:
		fmt.Fprintf(out, "Current workspace is '%s'.\n", d.Here)
	}
}

// typeName returns, for example, root:organization.
func typeName(reference *tenancyv1alpha1.WorkspaceTypeReference) string {
	if reference == nil {
		return ""
	}
	return logicalcluster.Path(reference.Path).Join(string(reference.Name)).String()
}

// warnOfClaims says which claims in the workspace at url wait for an answer. It says nothing if the user may not read that.
func (c *common) warnOfClaims(ctx context.Context, s *session.Session, url string) {
	clients, err := s.QuietClients(url)
	if err != nil {
		return
	}
	bindings, err := clients.ApisV1alpha2().APIBindings().List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for i := range bindings.Items {
		for _, warning := range claims.Warnings(&bindings.Items[i]) {
			c.warn("%s", warning)
		}
	}
}
