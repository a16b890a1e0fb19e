package server

import (
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
}

func newIndexes(s *stores) *indexes {
	watches := serve.NewWatches()
	return &indexes{
		watches:   watches,
		index:     index.New(index.Config{Paths: s.paths, Cached: s.reader, Fresh: s.gate(index.Followed()...), SwitchedOff: watches.Recheck}),
		evaluator: policy.New(s.reader, s.gate(policy.Followed()...)),
	}
}
