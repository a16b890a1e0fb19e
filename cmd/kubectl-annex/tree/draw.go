package tree

import (
	"bufio"
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

// Look is how a picture looks.
type Look struct {
	// Full shows paths in place of names.
	Full bool
	// Dot begins with a line with a dot, below which the top is the only branch, as in the pictures of kcp.
	Dot bool
}

// Draw writes the picture line by line, as soon as a line is known. Faults are left out of the picture and returned.
func Draw(ctx context.Context, out io.Writer, top *Node, look Look) []error {
	var faults Faults
	// What is there already is written at once.
	lines := bufio.NewWriter(out)
	look.each(ctx, lines, top, &faults, func(prefix string, n *Node) {
		fmt.Fprintln(lines, prefix+look.label(n))
		if !n.isRead() {
			faults.Add(lines.Flush())
		}
	})
	faults.Add(lines.Flush())
	return faults.Errors()
}

// each writes what is above top, and calls do for top and all nodes below it, with the branches in front of each.
func (l Look) each(ctx context.Context, out io.Writer, top *Node, faults *Faults, do func(prefix string, n *Node)) {
	if !l.Dot {
		each(ctx, top, "", "", faults, do)
		return
	}
	fmt.Fprintln(out, ".")
	each(ctx, top, lastBranch, gap, faults, do)
}

// label returns the name of a node in the picture.
func (l Look) label(n *Node) string {
	name := n.Name
	if l.Full && !n.Path.Empty() {
		name = n.Path.String()
	}
	if n.Mounted() {
		name += mountMark
	}
	return name
}

// each calls do for n and all nodes below it, with the branches in front of each: own in front of n, and below in front of what is below n.
func each(ctx context.Context, n *Node, own, below string, faults *Faults, do func(prefix string, n *Node)) {
	do(own, n)
	children, err := n.Children(ctx)
	faults.Add(err)
	for i, child := range children {
		if i == len(children)-1 {
			each(ctx, child, below+lastBranch, below+gap, faults, do)
		} else {
			each(ctx, child, below+branch, below+trunk, faults, do)
		}
	}
}
