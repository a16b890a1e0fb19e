package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/progress"
	"github.com/annex-dev/annex/cmd/kubectl-annex/tree"
	"github.com/annex-dev/annex/cmd/kubectl-annex/usage"
)

// used is what a workspace stores, as -o json prints it.
type used struct {
	Workspace logicalcluster.Path `json:"workspace"`
	Cluster   string              `json:"cluster,omitempty"`
	*usage.Usage
}

// orders are the values of --sort-by.
var orders = map[string]func(a, b used) int{
	"workspace": func(a, b used) int { return cmp.Compare(a.Workspace, b.Workspace) },
	"objects": func(a, b used) int {
		return cmp.Or(cmp.Compare(b.Objects, a.Objects), cmp.Compare(a.Workspace, b.Workspace))
	},
	"bytes": func(a, b used) int {
		return cmp.Or(cmp.Compare(ptr.Deref(b.Bytes, -1), ptr.Deref(a.Bytes, -1)), cmp.Compare(a.Workspace, b.Workspace))
	},
	"events": func(a, b used) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.Workspace, b.Workspace))
	},
}

func newTopCommand(c *common) *cobra.Command {
	var sortBy, format string
	command := &cobra.Command{
		Use:   "top",
		Short: "Show how much the current workspace and all workspaces below store",
		Long: "Show how many objects the current workspace and all workspaces below have, how many bytes they take, and of which resource there are\n" +
			"most. Both numbers are those which limits of workspaces count: without Events, which have a column of their own, and without the\n" +
			"LogicalCluster. Resources that you may not list are not counted: the number of objects is then marked with a +. The bytes are those of\n" +
			"all objects; you need the permission to get the path /usage. Workspaces that you may not enter are left out.\n\n" +
			"The command sends some 40 requests for each workspace.",
		Example: c.example("\n  $ top\n  $ top --sort-by bytes --workspace :root:org\n  $ top -o json"),
		Args:    cobra.NoArgs,
	}
	flags := command.Flags()
	flags.StringVar(&sortBy, "sort-by", "objects", "Column to sort by: bytes, events, objects or workspace.")
	_ = command.RegisterFlagCompletionFunc("sort-by", cobra.FixedCompletions([]string{"bytes", "events", "objects", "workspace"}, cobra.ShellCompDirectiveNoFileComp))
	flags.StringVarP(&format, "output", "o", "", "Output format: json or wide. Default: a table.")
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", wide}, cobra.ShellCompDirectiveNoFileComp))
	c.addWorkspaceFlag(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		order, ok := orders[sortBy]
		switch {
		case !ok:
			return fmt.Errorf("--sort-by %s: must be bytes, events, objects or workspace", sortBy)
		case format != "" && format != "json" && format != wide:
			return fmt.Errorf("--output %s: must be json or wide", format)
		}
		ctx, cancel := context.WithCancel(command.Context())
		defer cancel()
		found, errs, err := c.usedBelow(ctx)
		if err != nil {
			return err
		}
		slices.SortFunc(found, order)
		if err := c.printUsed(found, format); err != nil {
			return err
		}
		return c.unread(errs)
	}
	return command
}

// usedBelow counts the objects of the workspaces at and below the current one.
func (c *common) usedBelow(ctx context.Context) ([]used, []error, error) {
	s, err := c.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	top, err := c.below(ctx, s, tree.Heads)
	if err != nil {
		return nil, nil, err
	}
	d, err := s.Door(ctx)
	if err != nil {
		return nil, nil, err
	}
	line := progress.Start(c.ErrOut, "Counting objects")
	defer line.Stop()
	var (
		mu    sync.Mutex
		found = []used{}
	)
	errs := tree.Each(ctx, top, func(ctx context.Context, n *tree.Node) error {
		counted, err := usage.Count(ctx, s.Quiet(d.WorkspaceURL(n.Path)))
		if errors.Is(err, usage.ErrClosed) || apierrors.IsForbidden(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("counting the objects of %q: %w", n.Path, err)
		}
		one := used{Workspace: n.Path, Usage: counted}
		if n.Workspace != nil {
			one.Cluster = n.Workspace.Spec.Cluster
		}
		mu.Lock()
		defer mu.Unlock()
		found = append(found, one)
		line.Say("%d workspaces counted", len(found))
		return nil
	})
	if len(found) == 0 && len(errs) == 0 {
		return nil, nil, fmt.Errorf("%q: %w", top.Path, usage.ErrClosed)
	}
	return found, errs, nil
}

func (c *common) printUsed(found []used, format string) error {
	if format == "json" {
		encoder := json.NewEncoder(c.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(found)
	}
	var rows [][]any
	for _, one := range found {
		objects, most := fmt.Sprint(one.Objects), ""
		if len(one.Hidden) > 0 {
			objects += "+"
		}
		if len(one.Resources) > 0 {
			most = fmt.Sprintf("%s (%d)", one.Resources[0], one.Resources[0].Objects)
		}
		rows = append(rows, []any{one.Workspace.String(), objects, size(one.Bytes), one.Events, most, one.Cluster})
	}
	return (&output{format: format}).printTable(c, []string{"Workspace", "Objects", "Bytes", "Events", "Most", "+Cluster"}, rows)
}

// size returns a number of bytes, in a greater unit from 10 of that on, rounded up; - if it is not known.
func size(bytes *int64) string {
	if bytes == nil {
		return "-"
	}
	n, unit := *bytes, 0
	for n >= 10<<10 && unit < len(units)-1 {
		n, unit = (n+1023)>>10, unit+1
	}
	return fmt.Sprint(n, units[unit])
}

// units are those of Kubernetes for bytes.
var units = []string{"", "Ki", "Mi", "Gi", "Ti"}
