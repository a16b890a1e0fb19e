package apiresourceschema

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"k8s.io/apimachinery/pkg/types"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/storage/head"
)

// place is where a schema is.
type place struct {
	cluster logicalcluster.Name
	name    string
}

// bound is the schemas that a consumer has bound, by UID. It shows these.
type bound map[types.UID]place

var _ filter.Filter = bound{}

// Shows implements filter.Filter.
func (b bound) Shows(h head.Head) bool {
	at, ok := b[h.UID]
	return ok && at == place{h.Cluster, h.Name}
}

// where returns the cluster of the schema called name; false if none is bound.
func (b bound) where(name string) (logicalcluster.Name, bool) {
	for _, at := range b {
		if at.name == name {
			return at.cluster, true
		}
	}
	return "", false
}

func (b bound) equal(other bound) bool { return maps.Equal(b, other) }

// boundIn returns what consumer has bound, and the resourceVersion of the last change of one of its APIBindings that exist.
func (e *Endpoint) boundIn(ctx context.Context, consumer logicalcluster.Name) (bound, uint64, error) {
	all, err := client.List[apisv1alpha2.APIBinding](ctx, e.Cached, bindings, client.Scope{Cluster: consumer})
	if err != nil {
		return nil, 0, fmt.Errorf("finding the schemas that %s has bound: %w", consumer, err)
	}
	found, changed := bound{}, uint64(0)
	for _, binding := range all {
		if version, err := strconv.ParseUint(binding.ResourceVersion, 10, 64); err == nil {
			changed = max(changed, version)
		}
		for _, resource := range binding.Status.BoundResources {
			at := place{logicalcluster.Name(binding.Status.APIExportClusterName), resource.Schema.Name}
			if at.cluster != "" && resource.Schema.UID != "" {
				found[types.UID(resource.Schema.UID)] = at
			}
		}
	}
	return found, changed, nil
}
