package quickstart

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Shape is the shape of a random tree.
type Shape struct {
	// Depth is how many levels it has below the top; Count is how many workspaces are in them.
	Depth, Count int
	// Seed chooses one of all such trees. The same seed always gives the same tree.
	Seed uint64
}

// maxCount is the most workspaces of a tree. They are made one after the other.
const maxCount = 1000

// Validate returns an error that names the flag of a bad value.
func (s Shape) Validate() error {
	switch {
	case s.Depth < 1 || s.Depth > 10:
		return errors.New("--tree-depth: must be between 1 and 10")
	case s.Count < 1 || s.Count > maxCount:
		return fmt.Errorf("--tree-count: must be between 1 and %d", maxCount)
	}
	return nil
}

// parents returns, for each workspace, the index of its parent among those before it; -1 is the top. Each level that the depth allows is
// reached if there are enough workspaces.
func (s Shape) parents() []int {
	random := rand.New(rand.NewPCG(s.Seed, s.Seed)) //nolint:gosec // a tree to play with
	parents, depth := make([]int, s.Count), make([]int, s.Count)
	for i := range parents {
		parents[i] = -1
		if i > 0 && i < s.Depth {
			parents[i] = i - 1
		} else if at := random.IntN(i+1) - 1; at >= 0 && depth[at] < s.Depth {
			parents[i] = at
		}
		depth[i] = 1
		if parents[i] >= 0 {
			depth[i] = depth[parents[i]] + 1
		}
	}
	return parents
}

// Tree builds a random tree. It returns its top.
func (b *Builder) Tree(ctx context.Context, shape Shape) (logicalcluster.Path, error) {
	top, err := b.workspace(ctx, b.Parent, b.name("org"), "organization")
	if err != nil {
		return "", err
	}
	paths := make([]logicalcluster.Path, shape.Count)
	for i, at := range shape.parents() {
		parent := top
		if at >= 0 {
			parent = paths[at]
		}
		if paths[i], err = b.workspace(ctx, parent, fmt.Sprintf("%s-%d", b.Prefix, i+1), ""); err != nil {
			return "", err
		}
		b.Doing("%d of %d workspaces are ready", i+1, shape.Count)
	}
	b.Say("%d workspaces are below %q.", shape.Count, top)
	return top, nil
}
