package storage

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/answer"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// CatchUp returns etcd's current revision, no older than the call, once the watch caches of the resources have reached it: reads
// from them then see every write that was acknowledged before the call. All of them must be in one etcd. Let one call for the same
// resources run at a time; a fresh.Gate does. Errors are API statuses.
func (b *Backend) CatchUp(ctx context.Context, resources ...schema.GroupResource) (uint64, error) {
	e, err := b.together(resources)
	if err != nil {
		return 0, apierrors.NewInternalError(err)
	}
	revision, err := e.caches.CatchUp(ctx, resources...)
	if err != nil {
		return 0, answer.Error(ctx, err, false)
	}
	return revision, nil
}

// Unchanged reports whether nothing was written in cluster, in any of the resources, after the revision since and up to until, which
// CatchUp has returned. It costs no list, and is false if that is not known.
func (b *Backend) Unchanged(cluster logicalcluster.Name, since, until uint64, resources ...schema.GroupResource) bool {
	e, err := b.together(resources)
	return err == nil && e.caches.Unchanged(cluster, since, until, resources...)
}

// together returns the etcd that has the resources, whose revisions can be compared.
func (b *Backend) together(resources []schema.GroupResource) (*etcd, error) {
	e := b.main
	for i, gr := range resources {
		its := b.at(layout.TypedRoot(gr))
		if i > 0 && its != e {
			return nil, fmt.Errorf("%s and %s are in different etcds", resources[0], gr)
		}
		e = its
	}
	return e, nil
}
