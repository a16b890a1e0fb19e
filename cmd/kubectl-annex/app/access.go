package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/cmd/kubectl-annex/progress"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
	"github.com/annex-dev/annex/cmd/kubectl-annex/tree"
)

// entrance says whether the user may enter a workspace.
type entrance struct {
	path logicalcluster.Path
	// workspace is nil if the user may not read it.
	workspace *tenancyv1alpha1.Workspace
	open      bool
}

func newAccessCommand(c *common) *cobra.Command {
	var all bool
	command := &cobra.Command{
		Use:   "access [WORKSPACE...]",
		Short: "Show which workspaces you may enter",
		Long: "Show which workspaces at and below the current one you may enter, as far as you can see them: a workspace below one that you may not\n" +
			"list is not found. Name workspaces to ask for these only; the command then fails if you may not enter one of them.",
		Example:           c.example("\n  $ access\n  $ access --all --workspace :root\n  $ access :root:org:team-a :root:org:team-b"),
		ValidArgsFunction: c.completeWorkspaces,
	}
	out := addOutputFlag(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(command.Context())
		defer cancel()
		s, err := c.open(ctx)
		if err != nil {
			return err
		}
		if err := c.noteImpersonated(ctx, s); err != nil {
			return err
		}
		if len(args) > 0 {
			return c.accessTo(ctx, s, args, out)
		}
		found, errs, err := c.accessBelow(ctx, s, out)
		if err != nil {
			return err
		}
		if !all {
			found = slices.DeleteFunc(found, func(e entrance) bool { return !e.open })
		}
		if err := c.printAccess(out, found); err != nil {
			return err
		}
		return c.unread(errs)
	}
	command.Flags().BoolVar(&all, "all", false, "Also show the workspaces that you see but may not enter.")
	c.addWorkspaceFlag(command)
	return command
}

// accessTo asks for the workspaces that a user named.
func (c *common) accessTo(ctx context.Context, s *session.Session, args []string, out *output) error {
	var found []entrance
	closed := 0
	for _, arg := range args {
		target, err := s.Resolve(ctx, arg)
		if err != nil {
			return err
		}
		if target.Path.Empty() {
			_, target.Path, err = s.WorkspaceURL(ctx)
			if err != nil {
				return err
			}
		}
		e := entrance{path: target.Path}
		if e.open, err = s.MayEnter(ctx, e.path); err != nil {
			return err
		}
		if !e.open {
			closed++
		}
		// The parent is not everybody's to read.
		e.workspace, _ = s.Workspace(ctx, e.path)
		found = append(found, e)
	}
	if err := c.printAccess(out, found); err != nil {
		return err
	}
	if closed > 0 {
		return fmt.Errorf("you may not enter %d of %d workspaces, or they do not exist", closed, len(args))
	}
	return nil
}

// accessBelow asks for all workspaces at and below the current one.
func (c *common) accessBelow(ctx context.Context, s *session.Session, out *output) ([]entrance, []error, error) {
	read := tree.Whole
	if out.table() || out.format == "name" {
		read = tree.Heads
	}
	top, err := c.below(ctx, s, read)
	if err != nil {
		return nil, nil, err
	}
	line := progress.Start(c.ErrOut, "Asking which workspaces you may enter")
	defer line.Stop()
	var (
		mu    sync.Mutex
		found []entrance
	)
	errs := tree.Each(ctx, top, func(ctx context.Context, n *tree.Node) error {
		open, err := s.MayEnter(ctx, n.Path)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		found = append(found, entrance{n.Path, n.Workspace, open})
		line.Say("%d workspaces asked", len(found))
		return nil
	})
	slices.SortFunc(found, func(a, b entrance) int { return cmp.Compare(a.path, b.path) })
	return found, errs, nil
}

// printAccess prints workspaces. Objects of several workspaces can have the same name, so -o name prints paths.
func (c *common) printAccess(out *output, found []entrance) error {
	switch {
	case out.format == "name":
		for _, e := range found {
			fmt.Fprintln(c.Out, e.path)
		}
		return nil
	case !out.table():
		var objects []runtime.Object
		for _, e := range found {
			if e.workspace != nil {
				objects = append(objects, e.workspace)
			}
		}
		return out.printObjects(c, objects)
	}
	var rows [][]any
	for _, e := range found {
		typ, phase, cluster := "", "", ""
		if e.workspace != nil {
			typ, phase, cluster = typeName(e.workspace.Spec.Type), string(e.workspace.Status.Phase), e.workspace.Spec.Cluster
		}
		rows = append(rows, []any{e.path.String(), yesNo(e.open), typ, phase, cluster})
	}
	if len(rows) == 0 {
		c.none("No workspaces found that you may enter.")
		return nil
	}
	return out.printTable(c, []string{"Workspace", "Enter", "Type", "Phase", "+Cluster"}, rows)
}

// below returns the workspaces at and below the current one.
func (c *common) below(ctx context.Context, s *session.Session, read tree.Read) (*tree.Node, error) {
	_, path, err := s.WorkspaceURL(ctx)
	if err != nil {
		return nil, err
	}
	return c.top(ctx, s, path, read)
}
