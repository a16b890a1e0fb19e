package storage

import (
	"context"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/lent"
	single "github.com/annex-dev/annex/registry/storage/object"
	"github.com/annex-dev/annex/registry/storage/owners"
)

const (
	// DefaultPrefix is the first segment of every key, unless Config.Prefix says otherwise.
	DefaultPrefix = layout.DefaultPrefix
	// LocalBucket is the bucket of custom resources whose CRD is in their own cluster.
	LocalBucket = layout.LocalBucket
)

// WithBucket returns a context in which custom resources of the bucket are read and written: the identity hash of their
// export, or [LocalBucket].
func WithBucket(ctx context.Context, bucket string) context.Context {
	return layout.WithBucket(ctx, bucket)
}

// WithEveryBucket returns a context in which custom resources of all buckets are listed and watched, in all clusters: whoever reads them must
// need no schema.
func WithEveryBucket(ctx context.Context) context.Context { return layout.WithEveryBucket(ctx) }

// Owner is the object by which a cluster serves a resource: see package owners.
type Owner = owners.Owner

// WithOwner returns a context in which objects of a resource are created that the cluster serves by owner. They belong to it.
func WithOwner(ctx context.Context, owner Owner) context.Context { return owners.With(ctx, owner) }

// Filter decides which objects a request concerns, by their heads.
type Filter = filter.Filter

// WithFilter returns a context in which reads and writes reach only what f shows, in one cluster as well as over all; nil for
// everything. Only storages of a [Backend] heed it: see package filter.
func WithFilter(ctx context.Context, f Filter) context.Context { return filter.With(ctx, f) }

// LentTo returns a context in which custom resources of the cluster in it are read as if they were in cluster to, and nothing is written:
// see package lent.
func LentTo(ctx context.Context, to logicalcluster.Name) context.Context { return lent.With(ctx, to) }

// WithExpiry returns a context for a watch that ends with 410 when expired is closed.
func WithExpiry(ctx context.Context, expired <-chan struct{}) context.Context {
	return answer.WithExpiry(ctx, expired)
}

// DeletingCached returns a context for a deletion that begins with what is cached of the object instead of a read of etcd, and so
// costs half. It answers Conflict if the cache did not know of finalizers yet.
func DeletingCached(ctx context.Context) context.Context { return single.DeletingCached(ctx) }

// NotDeletingCached undoes DeletingCached, for reads on the way.
func NotDeletingCached(ctx context.Context) context.Context { return single.NotDeletingCached(ctx) }
