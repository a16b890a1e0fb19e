package index

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/core/clustername"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// Resolve returns the name of the logical cluster at path, for example that of root:org:team, of 2f8kq1z0c7a9x3bd:team,
// of user:alice:team or of 2f8kq1z0c7a9x3bd itself; false if there is none, and for the wildcard. The server's own clusters resolve to
// themselves. It returns ServiceUnavailable until the index was filled once, and the error of a second lookup that failed.
func (i *Index) Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	if path.Empty() || path == logicalcluster.Wildcard {
		return "", false, nil
	}
	if err := i.Ready(); err != nil {
		return "", false, apierrors.NewServiceUnavailable(err.Error())
	}
	name, below, found, err := i.first(ctx, path)
	if err != nil || !found {
		return "", false, err
	}
	for _, segment := range below {
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

// first returns the cluster that path begins with, and the segments below it; false if there is no such cluster.
func (i *Index) first(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, []string, bool, error) {
	if home, name, below, ok := clustername.InHome(path); ok {
		// Names of home clusters are hashes: what has the name must also have the path.
		entry, found, err := i.cluster(ctx, name)
		return name, below, found && entry.path == home, err
	}
	segments := path.Segments()
	name := logicalcluster.Name(segments[0])
	if len(segments) > 1 {
		// A cluster that contains a Workspace exists.
		return name, segments[1:], true, nil
	}
	_, found, err := i.cluster(ctx, name)
	return name, nil, found, err
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

// PhaseNow is like Phase without the index: it sees every change that was acknowledged before the call.
func (i *Index) PhaseNow(ctx context.Context, name logicalcluster.Name) (string, bool, error) {
	if isOwn(name) || name.IsSystem() {
		return i.Phase(ctx, name)
	}
	entry, found, err := i.clusterNow(ctx, name)
	return entry.phase, found, err
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
	return i.clusterNow(ctx, name)
}

// clusterNow returns the cluster called name as of now.
func (i *Index) clusterNow(ctx context.Context, name logicalcluster.Name) (cluster, bool, error) {
	lc, err := now[corev1alpha1.LogicalCluster](ctx, i, logicalClusters, client.Key{Cluster: name, Name: corev1alpha1.LogicalClusterName})
	if err != nil || lc == nil {
		return cluster{}, false, err
	}
	return entryOf(lc), true, nil
}

func (i *Index) child(ctx context.Context, key child) (logicalcluster.Name, bool, error) {
	if name, found := i.children.get(key); found {
		return name, true, nil
	}
	if _, mounted := i.mounts.get(key); mounted {
		return "", false, nil
	}
	if _, err := logicalcluster.ParseName(string(key.parent)); err != nil {
		return "", false, nil
	}
	ws, err := now[tenancyv1alpha1.Workspace](ctx, i, workspaces, client.Key{Cluster: key.parent, Name: key.name})
	if err != nil || ws == nil || ws.Spec.Cluster == "" {
		return "", false, err
	}
	return logicalcluster.Name(ws.Spec.Cluster), true, nil
}

// now returns an object with every write that was acknowledged before the call; nil if there is none.
func now[T any](ctx context.Context, i *Index, resource schema.GroupResource, key client.Key) (*T, error) {
	if _, err := i.Fresh.Wait(ctx); err != nil {
		return nil, fmt.Errorf("looking up a second time: %w", err)
	}
	obj, err := client.Find[T](ctx, i.Cached, resource, key)
	if err != nil {
		return nil, fmt.Errorf("looking up a second time: %w", err)
	}
	return obj, nil
}
