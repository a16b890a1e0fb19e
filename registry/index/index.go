package index

import (
	"context"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/follow"
)

var (
	workspaces      = tenancyv1alpha1.Resource("workspaces")
	logicalClusters = corev1alpha1.Resource("logicalclusters")
)

// child is the name of a Workspace in one cluster.
type child struct {
	parent logicalcluster.Name
	name   string
}

// cluster is the part of a LogicalCluster that the index stores.
type cluster struct {
	path  logicalcluster.Path // canonical path; empty if the object has none
	phase string
}

// Followed returns the resources that a Fresh waits for.
func Followed() []schema.GroupResource { return []schema.GroupResource{workspaces, logicalClusters} }

// Fresh waits until the watch caches of the Followed resources contain every write that was acknowledged before the call. A fresh.Gate
// implements it.
type Fresh interface {
	Wait(ctx context.Context) (revision uint64, err error)
}

// Index resolves paths. It is safe for concurrent use.
type Index struct {
	Config
	// latest is the resourceVersion of the last switch in the events, which come one after the other.
	latest uint64
}

// Config is what an Index is made of. Everything is required unless it says otherwise.
type Config struct {
	// Paths is filled from the watches of Cached once Run runs.
	*Paths
	Cached client.Reader
	// Fresh is waited for before a miss counts; then the index looks at Cached itself.
	Fresh Fresh
	// Switched is told of a cluster that is, or was until now, in phase Inactive after every change; empty when perhaps any is.
	Switched func(ctx context.Context, cluster logicalcluster.Name)
	// Changed is told of a cluster whose LogicalCluster somebody wrote or deleted. It may miss some when Switched is told that perhaps any has
	// changed; nil for nobody.
	Changed func(cluster logicalcluster.Name)
	// Gone is told of a cluster that was deleted. It may miss some.
	Gone func(cluster logicalcluster.Name)
}

// New returns an index of what c.Paths holds.
func New(c Config) *Index { return &Index{Config: c} }

// Run keeps the index up to date until ctx ends. It then returns nil. It returns an error if a watch cannot be
// started at all.
func (i *Index) Run(ctx context.Context) error {
	return follow.All(ctx, i.Cached, Followed(), func(resource schema.GroupResource, event client.Event) {
		if resource == workspaces {
			i.handleWorkspace(event)
			return
		}
		i.handleLogicalCluster(ctx, event)
	})
}

func (i *Index) handleWorkspace(event client.Event) {
	switch event.Type {
	case client.Reset:
		i.children.reset()
		i.mounts.reset()
		i.lost.reset()
		return
	case client.Synced:
		i.mounts.synced()
		i.lost.synced()
		i.children.synced()
		return
	}
	ws, ok := event.Object.(*tenancyv1alpha1.Workspace)
	if !ok {
		return
	}
	key := child{parent: logicalcluster.From(ws), name: ws.Name}
	if event.Type != client.Deleted && isMounted(ws) {
		i.mounts.set(key, struct{}{})
	} else {
		i.mounts.drop(key)
	}
	if event.Type != client.Deleted && isLost(ws) {
		i.lost.set(key, struct{}{})
	} else {
		i.lost.drop(key)
	}
	if event.Type == client.Deleted || ws.Spec.Cluster == "" {
		i.children.drop(key)
		return
	}
	i.children.set(key, logicalcluster.Name(ws.Spec.Cluster))
}

func (i *Index) handleLogicalCluster(ctx context.Context, event client.Event) {
	switch event.Type {
	case client.Reset:
		i.clusters.reset()
		return
	case client.Synced:
		i.clusters.synced()
		i.switched.Store(i.latest)
		i.Switched(ctx, "") // changes may have been missed
		return
	}
	lc, ok := event.Object.(*corev1alpha1.LogicalCluster)
	if !ok || lc.Name != corev1alpha1.LogicalClusterName {
		return
	}
	name := logicalcluster.From(lc)
	if event.Type != client.Added && i.Changed != nil {
		defer i.Changed(name)
	}
	if event.Type == client.Deleted {
		i.clusters.drop(name)
		i.Gone(name)
		return
	}
	before, _ := i.clusters.get(name)
	now := entryOf(lc)
	i.clusters.set(name, now)
	if version, err := strconv.ParseUint(lc.ResourceVersion, 10, 64); err == nil && before.inactive() != now.inactive() {
		i.latest = max(version, i.latest)
	}
	// Only once readers find the new state: what begins after a switch must not begin with the old one.
	if !i.clusters.rebuilding() {
		i.switched.Store(i.latest)
	}
	if before.inactive() || now.inactive() {
		i.Switched(ctx, name)
	}
}

func entryOf(lc *corev1alpha1.LogicalCluster) cluster {
	return cluster{
		path:  logicalcluster.Path(lc.Annotations[logicalcluster.PathAnnotationKey]),
		phase: intern(lc.Status.Phase),
	}
}

// intern returns the phase as a string that all entries share.
func intern(phase corev1alpha1.LogicalClusterPhaseType) string {
	for _, known := range []corev1alpha1.LogicalClusterPhaseType{
		corev1alpha1.LogicalClusterPhaseReady,
		corev1alpha1.LogicalClusterPhaseInitializing,
		corev1alpha1.LogicalClusterPhaseScheduling,
		corev1alpha1.LogicalClusterPhaseUnavailable,
		corev1alpha1.LogicalClusterPhaseInactive,
		corev1alpha1.LogicalClusterPhaseTerminating,
		corev1alpha1.LogicalClusterPhaseDeleting,
	} {
		if phase == known {
			return string(known)
		}
	}
	return string(phase)
}
