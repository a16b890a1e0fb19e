package storage

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/answer"
)

// CatchUp returns etcd's current revision, no older than the call, once the watch caches of the resources have reached it: reads
// from them then see every write that was acknowledged before the call. Let one call for the same resources run at a time; a
// fresh.Gate does. Errors are API statuses.
func (b *Backend) CatchUp(ctx context.Context, resources ...schema.GroupResource) (uint64, error) {
	revision, err := b.caches.CatchUp(ctx, resources...)
	if err != nil {
		return 0, answer.Error(ctx, err, false)
	}
	return revision, nil
}

// Unchanged reports whether nothing was written in cluster, in any of the resources, after the revision since and up to until, which
// CatchUp has returned. It costs no list, and is false if that is not known.
func (b *Backend) Unchanged(cluster logicalcluster.Name, since, until uint64, resources ...schema.GroupResource) bool {
	return b.caches.Unchanged(cluster, since, until, resources...)
}
