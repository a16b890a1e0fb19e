package tree

import (
	"cmp"
	"context"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
)

// parallel is how many workspaces are read at the same time.
const parallel = 16

// List returns the Workspaces in the workspace at path.
type List func(ctx context.Context, path logicalcluster.Path) ([]tenancyv1alpha1.Workspace, error)

// Node is a workspace.
type Node struct {
	// Path is the address of the workspace; empty as long as it has none.
	Path logicalcluster.Path
	Name string
	// Workspace is nil at the top. What it has depends on the Read that read it.
	Workspace *tenancyv1alpha1.Workspace

	ready    chan struct{}
	children []*Node
	err      error
}

// Mounted reports whether the workspace shows another server.
func (n *Node) Mounted() bool { return n.Workspace != nil && n.Workspace.Spec.Mount != nil }

// Children waits until the children are read. It returns them by name, and an error if they cannot be read for another reason than
// that the user may not.
func (n *Node) Children(ctx context.Context) ([]*Node, error) {
	select {
	case <-n.ready:
		return n.children, n.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// isRead reports whether the children are read.
func (n *Node) isRead() bool {
	select {
	case <-n.ready:
		return true
	default:
		return false
	}
}

// Grow returns the node at path and begins to read what is below it, until ctx ends.
func Grow(ctx context.Context, path logicalcluster.Path, list List) *Node {
	g := &grower{list: list, seats: make(chan struct{}, parallel)}
	_, name := path.Split()
	top := &Node{Path: path, Name: name, ready: make(chan struct{})}
	go g.grow(ctx, top)
	return top
}

type grower struct {
	list  List
	seats chan struct{}
}

// grow reads the children of n and, by goroutines of their own, theirs.
func (g *grower) grow(ctx context.Context, n *Node) {
	defer close(n.ready)
	select {
	case g.seats <- struct{}{}:
	case <-ctx.Done():
		n.err = ctx.Err()
		return
	}
	workspaces, err := g.list(ctx, n.Path)
	<-g.seats
	if err != nil {
		if !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
			n.err = err
		}
		return
	}
	for i := range workspaces {
		child := newNode(&workspaces[i])
		if child == nil {
			continue
		}
		n.children = append(n.children, child)
		if child.Path.Empty() || child.Mounted() {
			close(child.ready)
			continue
		}
		go g.grow(ctx, child)
	}
	sortNodes(n.children)
}

// newNode returns the node of a Workspace; nil if it is being deleted.
func newNode(workspace *tenancyv1alpha1.Workspace) *Node {
	if workspace.DeletionTimestamp != nil {
		return nil
	}
	return &Node{Path: session.PathOf(workspace.Spec.URL), Name: workspace.Name, Workspace: workspace, ready: make(chan struct{})}
}

func sortNodes(nodes []*Node) {
	slices.SortFunc(nodes, func(a, b *Node) int { return cmp.Compare(a.Name, b.Name) })
}

// Plant returns the node at path with all that is below it in workspaces, which are those of all logical clusters. cluster is the logical
// cluster of path.
func Plant(path logicalcluster.Path, cluster logicalcluster.Name, workspaces []tenancyv1alpha1.Workspace) *Node {
	in := map[logicalcluster.Name][]*Node{}
	for i := range workspaces {
		if n := newNode(&workspaces[i]); n != nil {
			parent := logicalcluster.From(&workspaces[i])
			in[parent] = append(in[parent], n)
		}
	}
	_, name := path.Split()
	top := &Node{Path: path, Name: name, ready: make(chan struct{})}
	var settle func(*Node, logicalcluster.Name)
	settle = func(n *Node, cluster logicalcluster.Name) {
		n.children = in[cluster]
		// A cluster is in one workspace; the server never makes a circle, and this ends even if there were one.
		delete(in, cluster)
		sortNodes(n.children)
		close(n.ready)
		for _, child := range n.children {
			below := logicalcluster.Name("")
			if !child.Mounted() {
				below = logicalcluster.Name(child.Workspace.Spec.Cluster)
			}
			settle(child, below)
		}
	}
	delete(in, "")
	settle(top, cluster)
	return top
}

// Faults collects what could not be read.
type Faults struct {
	mu   sync.Mutex
	errs []error
}

// Add adds an error, unless it is nil.
func (f *Faults) Add(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = append(f.errs, err)
}

// Errors returns the errors.
func (f *Faults) Errors() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.errs)
}
