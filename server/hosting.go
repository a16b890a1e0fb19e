package server

import (
	"context"
	"sync/atomic"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/index"
	"github.com/annex-dev/annex/registry/kinds"
)

// hosting is the catalog in which the host workspace serves what the table of kinds says that it, and no other, serves.
type hosting struct {
	*catalog.Catalog
	// hosts reports whether cluster is the host workspace. It is asked for every request, and answers from memory.
	hosts func(cluster logicalcluster.Name) bool
	last  atomic.Pointer[hosted]
}

// hosted is what the host workspace serves: of its own, and with what it alone serves.
type hosted struct{ own, all *catalog.Snapshot }

// For implements serve.Catalog.
func (h *hosting) For(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error) {
	snapshot, err := h.Catalog.For(ctx, cluster)
	return h.with(cluster, snapshot), err
}

// Refresh implements serve.Catalog.
func (h *hosting) Refresh(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error) {
	snapshot, err := h.Catalog.Refresh(ctx, cluster)
	return h.with(cluster, snapshot), err
}

func (h *hosting) with(cluster logicalcluster.Name, own *catalog.Snapshot) *catalog.Snapshot {
	if own == nil || !h.hosts(cluster) {
		return own
	}
	if last := h.last.Load(); last != nil && last.own == own {
		return last.all
	}
	var resources []*catalog.Resource
	for _, row := range kinds.All.Rows() {
		if gr := row.GroupResource(); kinds.All.IsInHostWorkspace(gr) {
			resources = append(resources, &catalog.Resource{Group: gr.Group, Plural: gr.Resource, Hash: "typed", Typed: true})
		}
	}
	all := own.With(resources...)
	h.last.Store(&hosted{own: own, all: all})
	return all
}

// hosts returns what reports whether host shows a cluster as its own; none without a host.
func hosts(host *Host, paths *index.Paths) func(logicalcluster.Name) bool {
	return func(cluster logicalcluster.Name) bool {
		if host == nil {
			return false
		}
		if host.Workspace == cluster.Path() {
			return true
		}
		path, known := paths.PathOf(cluster)
		return known && path == host.Workspace
	}
}
