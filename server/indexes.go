package server

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/registry/fresh"
	"github.com/annex-dev/annex/registry/index"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/serve"
)

// indexes is the second layer: what is kept in memory of the stores, and follows them.
type indexes struct {
	// watches are the open watches, which the layers above end when something changes.
	watches *serve.Watches
	// index finds clusters by path, evaluator decides by their RBAC.
	index     *index.Index
	evaluator *policy.Evaluator
	// gate returns a gate before the watch caches of the resources.
	gate func(resources ...schema.GroupResource) *fresh.Gate
}

func newIndexes(s *stores) *indexes {
	gate := func(resources ...schema.GroupResource) *fresh.Gate {
		return fresh.New(func(ctx context.Context) (uint64, error) { return s.reader.CatchUp(ctx, resources...) })
	}
	watches := serve.NewWatches()
	return &indexes{
		watches:   watches,
		index:     index.New(index.Config{Paths: s.paths, Cached: s.reader, Fresh: gate(index.Followed()...), SwitchedOff: watches.Recheck}),
		evaluator: policy.New(s.reader, gate(policy.Followed()...)),
		gate:      gate,
	}
}
