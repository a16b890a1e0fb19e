package tree

import (
	"context"
	"fmt"
	"io"
)

// Branches of the picture.
const (
	branch, lastBranch = "├── ", "└── "
	trunk, gap         = "│   ", "    "
	mountMark          = " [m]"
)

// Draw writes the picture line by line, as soon as a line is known. Faults are left out of the picture and returned.
func Draw(ctx context.Context, out io.Writer, top *Node, full bool) []error {
	var faults Faults
	fmt.Fprintln(out, ".")
	each(ctx, top, "", true, &faults, func(prefix string, n *Node) { fmt.Fprintln(out, prefix+label(n, full)) })
	return faults.Errors()
}

// label returns the name of a node in the picture.
func label(n *Node, full bool) string {
	name := n.Name
	if full && !n.Path.Empty() {
		name = n.Path.String()
	}
	if n.Mounted() {
		name += mountMark
	}
	return name
}

// each calls do for n and all nodes below it, with the branches in front of each.
func each(ctx context.Context, n *Node, prefix string, last bool, faults *Faults, do func(prefix string, n *Node)) {
	mine, below := branch, trunk
	if last {
		mine, below = lastBranch, gap
	}
	do(prefix+mine, n)
	children, err := n.Children(ctx)
	faults.Add(err)
	for i, child := range children {
		each(ctx, child, prefix+below, i == len(children)-1, faults, do)
	}
}
