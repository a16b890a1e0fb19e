package storage

import (
	"context"

	"github.com/annex-dev/annex/registry/storage/filter"
)

// Filter decides which objects a request concerns, by their heads.
type Filter = filter.Filter

// WithFilter returns a context in which reads and writes reach only what f shows, in one cluster as well as over all; nil for
// everything. Only storages of a [Backend] heed it: see package filter.
func WithFilter(ctx context.Context, f Filter) context.Context { return filter.With(ctx, f) }
