package app

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/browse"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
	"github.com/annex-dev/annex/cmd/kubectl-annex/tree"
)

// addInteractiveFlag adds -i.
func addInteractiveFlag(command *cobra.Command, interactive *bool) {
	command.Flags().BoolVarP(interactive, "interactive", "i", false, "Choose a workspace from the tree, on a terminal.")
}

// browse shows the tree from the top of the current path, and enters the workspace that the user chooses.
func (c *common) browse(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	_, path, err := s.WorkspaceURL(ctx)
	if err != nil {
		return err
	}
	top, err := tree.Of(ctx, s, logicalcluster.Path(path.Segments()[0]), tree.Heads)
	if err != nil {
		return err
	}
	chosen, err := browse.Run(ctx, c.In, c.Out, browse.New(ctx, top, path), details(s))
	if err != nil || chosen == nil {
		return err
	}
	workspace, err := s.Check(ctx, chosen.Path)
	if err != nil {
		return err
	}
	return c.enter(ctx, s, chosen.Path, workspace, true, false)
}

// details reads which APIs a workspace offers and has bound.
func details(s *session.Session) browse.Details {
	return func(ctx context.Context, path logicalcluster.Path) []string {
		url, err := s.ObjectsURL(ctx, path)
		if err != nil {
			return []string{err.Error()}
		}
		clients, err := s.QuietClients(url)
		if err != nil {
			return []string{err.Error()}
		}
		var lines []string
		if exports, err := clients.ApisV1alpha2().APIExports().List(ctx, metav1.ListOptions{}); err != nil {
			lines = append(lines, "APIExports cannot be read")
		} else {
			for i := range exports.Items {
				lines = append(lines, "exports "+exports.Items[i].Name)
			}
		}
		bindings, err := clients.ApisV1alpha2().APIBindings().List(ctx, metav1.ListOptions{})
		if err != nil {
			return append(lines, "APIBindings cannot be read")
		}
		for i := range bindings.Items {
			b := &bindings.Items[i]
			if export := b.Spec.Reference.Export; export != nil {
				lines = append(lines, fmt.Sprintf("binds   %s:%s (%s)", export.Path, export.Name, b.Status.Phase))
			}
		}
		return lines
	}
}
