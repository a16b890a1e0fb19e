package browse

import (
	"context"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/tree"
)

// Details returns lines about a workspace, such as the APIs that it has bound.
type Details func(ctx context.Context, path logicalcluster.Path) []string

// Browser is the state. It is not safe for concurrent use.
type Browser struct {
	top    *tree.Node
	open   map[*tree.Node]bool
	cursor int
	// details are what was loaded.
	details map[*tree.Node][]string
}

// row is a line of the tree.
type row struct {
	node, parent *tree.Node
	depth        int
}

// New returns a Browser at top, in which the workspaces on the way to selected are open.
func New(ctx context.Context, top *tree.Node, selected logicalcluster.Path) *Browser {
	b := &Browser{top: top, open: map[*tree.Node]bool{}, details: map[*tree.Node][]string{}}
	for node := top; node != nil; {
		b.open[node] = true
		children, _ := node.Children(ctx)
		node = nil
		for _, child := range children {
			if isAtOrBelow(selected, child.Path) {
				node = child
			}
		}
	}
	for i, r := range b.rows(ctx) {
		if r.node.Path == selected {
			b.cursor = i
		}
	}
	return b
}

// isAtOrBelow reports whether path is ancestor, or below it.
func isAtOrBelow(path, ancestor logicalcluster.Path) bool {
	for at := path; !at.Empty(); at, _ = at.Split() {
		if at == ancestor {
			return true
		}
	}
	return false
}

// rows returns what is visible: the children of open workspaces.
func (b *Browser) rows(ctx context.Context) []row {
	var out []row
	var visit func(node, parent *tree.Node, depth int)
	visit = func(node, parent *tree.Node, depth int) {
		out = append(out, row{node, parent, depth})
		if !b.open[node] {
			return
		}
		children, _ := node.Children(ctx)
		for _, child := range children {
			visit(child, node, depth+1)
		}
	}
	visit(b.top, nil, 0)
	return out
}

// Selected returns the workspace under the cursor.
func (b *Browser) Selected(ctx context.Context) *tree.Node {
	return b.rows(ctx)[b.cursor].node
}

// Outcome says how to go on after a key.
type Outcome int

// The outcomes.
const (
	Continue Outcome = iota
	// Choose means that the user wants to enter the selected workspace.
	Choose
	// Quit means that the user wants nothing.
	Quit
)

// Press does what a key is for. Other keys do nothing.
func (b *Browser) Press(ctx context.Context, key Key) Outcome {
	rows := b.rows(ctx)
	at := rows[b.cursor]
	switch key {
	case KeyUp:
		b.cursor = max(b.cursor-1, 0)
	case KeyDown:
		b.cursor = min(b.cursor+1, len(rows)-1)
	case KeyRight:
		b.open[at.node] = true
	case KeyLeft:
		if b.open[at.node] && b.hasChildren(ctx, at.node) {
			b.open[at.node] = false
			break
		}
		for i, r := range rows {
			if r.node == at.parent {
				b.cursor = i
			}
		}
	case KeySpace:
		b.open[at.node] = !b.open[at.node]
	case KeyEnter:
		if !at.node.Path.Empty() {
			return Choose
		}
	case KeyQuit:
		return Quit
	}
	return Continue
}

func (b *Browser) hasChildren(ctx context.Context, node *tree.Node) bool {
	children, _ := node.Children(ctx)
	return len(children) > 0
}

// Key is a key that does something.
type Key int

// The keys.
const (
	KeyOther Key = iota
	KeyUp
	KeyDown
	KeyRight
	KeyLeft
	KeySpace
	KeyEnter
	KeyQuit
)

// keys are the bytes that a terminal sends.
var keys = map[string]Key{
	"\x1b[A": KeyUp, "\x1bOA": KeyUp, "k": KeyUp,
	"\x1b[B": KeyDown, "\x1bOB": KeyDown, "j": KeyDown,
	"\x1b[C": KeyRight, "\x1bOC": KeyRight, "l": KeyRight,
	"\x1b[D": KeyLeft, "\x1bOD": KeyLeft, "h": KeyLeft, "\x7f": KeyLeft, "\b": KeyLeft,
	" ": KeySpace, "\r": KeyEnter, "\n": KeyEnter,
	"q": KeyQuit, "\x1b": KeyQuit, "\x03": KeyQuit,
}

// ParseKeys returns the keys in what a terminal sent at once. An escape sequence that is none of ours is one key that does nothing.
func ParseKeys(sent []byte) []Key {
	var out []Key
	for len(sent) > 0 {
		n := 1
		if sent[0] == '\x1b' && len(sent) >= 3 && (sent[1] == '[' || sent[1] == 'O') {
			// A sequence ends with a letter or ~.
			for n = 3; n < len(sent) && (sent[n-1] < '@' || sent[n-1] > '~'); n++ {
				continue
			}
		}
		out = append(out, keys[string(sent[:n])])
		sent = sent[n:]
	}
	return out
}
