package quickstart

import (
	"slices"
	"testing"
)

func TestShape(t *testing.T) {
	for _, shape := range []Shape{{1, 1, 0}, {3, 50, 7}, {5, 3, 1}, {10, 1000, 42}} {
		parents := shape.parents()
		if !slices.Equal(parents, shape.parents()) {
			t.Errorf("%+v: the same seed gives another tree", shape)
		}
		depth, deepest := make([]int, len(parents)), 0
		for i, at := range parents {
			if at >= i {
				t.Fatalf("%+v: workspace %d is below %d, which comes later", shape, i, at)
			}
			depth[i] = 1
			if at >= 0 {
				depth[i] = depth[at] + 1
			}
			deepest = max(deepest, depth[i])
		}
		if len(parents) != shape.Count || deepest != min(shape.Depth, shape.Count) {
			t.Errorf("%+v: %d workspaces, %d levels", shape, len(parents), deepest)
		}
	}
	if slices.Equal(Shape{3, 50, 1}.parents(), Shape{3, 50, 2}.parents()) {
		t.Error("another seed gives the same tree")
	}
	for _, bad := range []Shape{{0, 1, 0}, {11, 1, 0}, {1, 0, 0}, {1, maxCount + 1, 0}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is valid", bad)
		}
	}
}
