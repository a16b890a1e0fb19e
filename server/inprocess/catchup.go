package inprocess

import (
	"context"
	"fmt"
	"strconv"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// CatchUp returns once the watch caches of the resources have reached etcd's current revision, which it reads once and
// returns: Get and List then see every write that was acknowledged before the call. Errors wrap an API status.
func (c *Reader) CatchUp(ctx context.Context, resources ...schema.GroupResource) (uint64, error) {
	var revision uint64
	for _, gr := range resources {
		r, err := c.resource(gr)
		if err != nil {
			return 0, err
		}
		if revision == 0 {
			if revision, err = r.store.Storage.Storage.GetCurrentResourceVersion(ctx); err != nil {
				return 0, fmt.Errorf("reading the current revision: %w", err)
			}
		}
		// A list of a cluster that holds next to nothing costs no more than the wait.
		if _, err := r.store.List(at(ctx, itself, logicalcluster.SystemShard, ""), &metainternalversion.ListOptions{
			ResourceVersion:      strconv.FormatUint(revision, 10),
			ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		}); err != nil {
			return 0, fmt.Errorf("waiting for the watch cache of %s: %w", gr, err)
		}
	}
	return revision, nil
}
