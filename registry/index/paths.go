package index

import (
	"errors"
	"sync/atomic"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Paths is what an Index keeps in memory. It knows no cluster until an Index fills it, so it can be made before the storage that
// shows paths to users, which an Index reads. It is safe for concurrent use.
type Paths struct {
	children table[child, logicalcluster.Name]
	clusters table[logicalcluster.Name, cluster]
	// mounts are the Workspaces without a cluster because they are mounted. It is rebuilt together with children.
	mounts table[child, struct{}]
	// lost are the Workspaces whose cluster is gone. It is rebuilt together with children.
	lost     table[child, struct{}]
	switched atomic.Uint64
}

// NewPaths returns a memory that knows nothing.
func NewPaths() *Paths { return &Paths{} }

// Ready returns nil once the memory has been filled for the first time.
func (p *Paths) Ready() error {
	if !p.children.ready() || !p.clusters.ready() {
		return errors.New("the index of workspace paths is still being filled")
	}
	return nil
}

// PathOf returns the canonical path of a logical cluster from memory; false when the cluster is not known. If a
// cluster has no path, as the server's own clusters, it is the name.
func (p *Paths) PathOf(name logicalcluster.Name) (logicalcluster.Path, bool) {
	if isOwn(name) {
		return name.Path(), true
	}
	entry, found := p.clusters.get(name)
	if found && entry.path.Empty() {
		return name.Path(), true
	}
	return entry.path, found
}

// Inactive reports whether the cluster called name is known to be switched off.
func (p *Paths) Inactive(name logicalcluster.Name) bool {
	entry, _ := p.clusters.get(name)
	return entry.inactive()
}

// Switched returns the resourceVersion at which a cluster was last seen to be switched off or on; 0 when none was.
func (p *Paths) Switched() uint64 { return p.switched.Load() }

func (c cluster) inactive() bool { return c.phase == string(corev1alpha1.LogicalClusterPhaseInactive) }
