package index

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client/reader"
)

// Resolve returns the name of the logical cluster at path, for example that of root:org:team, of 2f8kq1z0c7a9x3bd:team
// or of 2f8kq1z0c7a9x3bd itself; false when there is none, also for the wildcard. The server's own clusters resolve to
// themselves. It returns ServiceUnavailable until the index was filled once, and the error of a second look that failed.
func (i *Index) Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	if path.Empty() || path == logicalcluster.Wildcard {
		return "", false, nil
	}
	if err := i.Ready(); err != nil {
		return "", false, apierrors.NewServiceUnavailable(err.Error())
	}
	segments := path.Segments()
	name := logicalcluster.Name(segments[0])
	if len(segments) == 1 {
		_, found, err := i.cluster(ctx, name)
		if !found {
			return "", false, err
		}
		return name, true, err
	}
	// What lies on the way need not be looked up itself: a cluster that holds a Workspace exists.
	for _, segment := range segments[1:] {
		next, found, err := i.child(ctx, child{parent: name, name: segment})
		if err != nil {
			return "", false, fmt.Errorf("resolving %s: %w", path, err)
		}
		if !found {
			return "", false, nil
		}
		name = next
	}
	return name, true, nil
}

// Phase returns the phase of a logical cluster, such as Ready; false when there is no such cluster. The server's own
// clusters are always Ready.
func (i *Index) Phase(ctx context.Context, name logicalcluster.Name) (string, bool, error) {
	if err := i.Ready(); err != nil {
		return "", false, apierrors.NewServiceUnavailable(err.Error())
	}
	entry, found, err := i.cluster(ctx, name)
	return entry.phase, found, err
}

// PathOf returns the canonical path of a logical cluster from memory; false when the index does not know the cluster. A
// cluster without a path, as the server's own are, is its name.
func (i *Index) PathOf(name logicalcluster.Name) (logicalcluster.Path, bool) {
	if isOwn(name) {
		return name.Path(), true
	}
	entry, found := i.clusters.get(name)
	if found && entry.path.Empty() {
		return name.Path(), true
	}
	return entry.path, found
}

// isOwn reports whether name is one of the clusters that exist without a LogicalCluster object.
func isOwn(name logicalcluster.Name) bool {
	return name == logicalcluster.SystemAdmin || name == logicalcluster.SystemBoundCRDs || name == logicalcluster.SystemShard
}

func (i *Index) cluster(ctx context.Context, name logicalcluster.Name) (cluster, bool, error) {
	if isOwn(name) {
		return cluster{phase: string(corev1alpha1.LogicalClusterPhaseReady)}, true, nil
	}
	if entry, found := i.clusters.get(name); found {
		return entry, true, nil
	}
	if _, err := logicalcluster.ParseName(string(name)); err != nil || name.IsSystem() {
		return cluster{}, false, nil
	}
	var entry cluster
	found := false
	err := i.second(ctx, func() error {
		if entry, found = i.clusters.get(name); found {
			return nil
		}
		obj, err := i.live.Get(ctx, logicalClusters, reader.Key{Cluster: name, Name: corev1alpha1.LogicalClusterName})
		if err != nil {
			return err
		}
		if lc, ok := obj.(*corev1alpha1.LogicalCluster); ok {
			entry, found = entryOf(lc), true
		}
		return nil
	})
	return entry, found, err
}

func (i *Index) child(ctx context.Context, key child) (logicalcluster.Name, bool, error) {
	if name, found := i.children.get(key); found {
		return name, true, nil
	}
	if _, err := logicalcluster.ParseName(string(key.parent)); err != nil {
		return "", false, nil
	}
	var name logicalcluster.Name
	found := false
	err := i.second(ctx, func() error {
		if name, found = i.children.get(key); found {
			return nil
		}
		obj, err := i.live.Get(ctx, workspaces, reader.Key{Cluster: key.parent, Name: key.name})
		if err != nil {
			return err
		}
		if ws, ok := obj.(*tenancyv1alpha1.Workspace); ok && ws.Spec.Cluster != "" {
			name, found = logicalcluster.Name(ws.Spec.Cluster), true
		}
		return nil
	})
	return name, found, err
}

// second runs look while no other look is in flight; NotFound from it is not an error.
func (i *Index) second(ctx context.Context, look func() error) error {
	select {
	case i.look <- struct{}{}:
	case <-ctx.Done():
		return apierrors.NewTimeoutError("waiting for a look at the storage: "+ctx.Err().Error(), 1)
	}
	defer func() { <-i.look }()
	if err := look(); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("looking a second time: %w", err)
	}
	return nil
}
