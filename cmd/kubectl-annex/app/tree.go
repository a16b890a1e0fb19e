package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
	"github.com/annex-dev/annex/cmd/kubectl-annex/tree"
)

func newTreeCommand(c *common) *cobra.Command {
	var full, wide, interactive bool
	command := &cobra.Command{
		Use:        "tree",
		SuggestFor: []string{"list", "ls"},
		Short:      "Draw the current workspace and those below it",
		Long: "Draw the current workspace and those below it. Workspaces that you may not see are left out, and mounted workspaces have the mark [m].\n" +
			"The picture is written while it is read. From root, one request reads all workspaces, if you may read them all.",
		Example: c.example(`
  # Draw the current workspace and those below it
  % tree

  # Draw all workspaces that you may see, with their paths
  % tree --full --workspace :root

  # Show the phases of the workspaces below another one
  % tree --wide --workspace :root:org`),
		Args: cobra.NoArgs,
	}
	command.RunE = func(command *cobra.Command, _ []string) error {
		if interactive {
			if full || wide {
				return errors.New("--interactive takes neither --full nor --wide")
			}
			return c.browse(command.Context())
		}
		ctx, cancel := context.WithCancel(command.Context())
		defer cancel()
		s, err := c.open(ctx)
		if err != nil {
			return err
		}
		origin, err := s.Origin(ctx)
		if err != nil {
			return err
		}
		if origin.Path.Empty() {
			return c.nowhere(origin.URL)
		}
		top, err := c.top(ctx, s, origin.Path, tree.Heads)
		if err != nil {
			return err
		}
		// Under the names of kcp's plugins, the picture is that of kcp.
		look := tree.Look{Full: full, Dot: c.typed != annexPlugin}
		if wide {
			return c.unread(tree.DrawWide(ctx, c.Out, top, look, phases(s)))
		}
		return c.unread(tree.Draw(ctx, c.Out, top, look))
	}
	command.Flags().BoolVarP(&full, "full", "f", false, "Show full paths.")
	command.Flags().BoolVar(&wide, "wide", false, "Show the phases of each Workspace (ws) and of its LogicalCluster (lc).")
	addInteractiveFlag(command, &interactive)
	c.addWorkspaceFlag(command)
	return command
}

// nowhere says that the context does not lead to a workspace. Under the names of kcp's plugins, that is no error, as for kcp.
func (c *common) nowhere(url string) error {
	if c.typed == annexPlugin {
		return fmt.Errorf("current context URL %q does not point directly to a workspace; enter one, such as with '%s'", url, c.enterRoot())
	}
	fmt.Fprintf(c.Out, "current context URL %q does not point directly to a kcp workspace\n", url)
	fmt.Fprintf(c.ErrOut, "Note: enter a workspace, such as with '%s'.\n", c.enterRoot())
	return nil
}

// phases reads the phases of LogicalClusters.
func phases(s *session.Session) tree.PhaseOf {
	return func(ctx context.Context, path logicalcluster.Path) string {
		d, err := s.Door(ctx)
		if err != nil {
			return ""
		}
		clients, err := s.QuietClients(d.WorkspaceURL(path))
		if err != nil {
			return ""
		}
		lc, err := clients.CoreV1alpha1().LogicalClusters().Get(ctx, corev1alpha1.LogicalClusterName, metav1.GetOptions{})
		if err != nil {
			return ""
		}
		return string(lc.Status.Phase)
	}
}

// unread says what could not be read, and returns an error if there is any.
func (c *common) unread(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	const shown = 10
	for _, err := range errs[:min(len(errs), shown)] {
		c.warn("%v", err)
	}
	if len(errs) > shown {
		c.warn("and %d more", len(errs)-shown)
	}
	return errors.New("some workspaces could not be read")
}
