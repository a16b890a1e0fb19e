package tree

import (
	"context"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

const unknownPhase = "Unknown"

// PhaseOf returns the phase of the LogicalCluster at path; empty if the user may not read it.
type PhaseOf func(ctx context.Context, path logicalcluster.Path) string

// DrawWide is Draw with two more columns: the phases of each Workspace and of its LogicalCluster.
func DrawWide(ctx context.Context, out io.Writer, top *Node, look Look, phaseOf PhaseOf) []error {
	type row struct {
		label, workspace string
		cluster          string
	}
	var (
		faults Faults
		rows   []*row
		all    sync.WaitGroup
	)
	seats := make(chan struct{}, parallel)
	table := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	look.each(ctx, table, top, &faults, func(prefix string, n *Node) {
		r := &row{label: prefix + look.label(n), workspace: "-", cluster: unknownPhase}
		rows = append(rows, r)
		if n.Workspace != nil {
			r.workspace = string(n.Workspace.Status.Phase)
		}
		if n.Path.Empty() || n.Mounted() {
			return
		}
		all.Go(func() {
			seats <- struct{}{}
			defer func() { <-seats }()
			if phase := phaseOf(ctx, n.Path); phase != "" {
				r.cluster = phase
			}
		})
	})
	all.Wait()
	for _, r := range rows {
		fmt.Fprintf(table, "%s\tws=%s\tlc=%s\n", r.label, r.workspace, r.cluster)
	}
	faults.Add(table.Flush())
	return faults.Errors()
}
