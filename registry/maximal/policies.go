package maximal

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/view"
)

const (
	// capacity bounds what is kept: the names of the exports of about 10,000 providers.
	capacity = 4 << 20
	// compileTimeout bounds how long requests may wait for the exports of a provider.
	compileTimeout = 10 * time.Second
	// Watches that do not deliver must not keep a new policy from being heeded: see package view.
	confirmAfter  = 5 * time.Second
	distrustAfter = 30 * time.Second
)

var (
	exports         = apisv1alpha2.Resource("apiexports")
	logicalClusters = corev1alpha1.Resource("logicalclusters")
)

// State says what is known of an APIExport.
type State int

const (
	// Unknown is for an export whose workspace is gone, or is being deleted. Nobody can say what its policy allowed.
	Unknown State = iota
	// Missing is for an export that its provider has deleted.
	Missing
	// Free is for an export without a policy.
	Free
	// Limited is for an export with a policy: the RBAC of its workspace decides, too.
	Limited
)

// Followed returns the resources that a Fresh waits for.
func Followed() []schema.GroupResource { return []schema.GroupResource{exports, logicalClusters} }

// Policies knows which exports have a policy. It is safe for concurrent use.
type Policies struct{ view *view.View[*provided] }

// provided are the exports of one provider.
type provided struct {
	// limited says of each export whether it has a policy.
	limited map[string]bool
	// stands says that the workspace exists and is not being deleted.
	stands bool
}

// New returns the policies of the exports in from. Nil for fresh says that from is never behind.
func New(from client.Reader, fresh view.Fresh) *Policies {
	return &Policies{view: view.New(view.Config[*provided]{
		Reader: from, Fresh: fresh, Resources: Followed(),
		Compile: compile, Timeout: compileTimeout, Size: (*provided).size, Capacity: capacity,
		ConfirmAfter: confirmAfter, DistrustAfter: distrustAfter,
	})}
}

// Run follows changes until ctx ends.
func (p *Policies) Run(ctx context.Context) error { return p.view.Run(ctx) }

// Bytes returns about how many bytes are kept, and how many may be.
func (p *Policies) Bytes() (bytes, limit int64) { return p.view.Bytes() }

// Of returns what is known of an export; with an error it is Unknown.
func (p *Policies) Of(ctx context.Context, export client.Key) (State, error) {
	known, err := p.view.Get(ctx, export.Cluster)
	if err == nil && known.of(export.Name) < Free {
		known, err = p.view.Now(ctx, export.Cluster)
	}
	if err != nil {
		return Unknown, fmt.Errorf("looking for a maximal permission policy of APIExport %s: %w", export, err)
	}
	return known.of(export.Name), nil
}

func (p *provided) of(export string) State {
	limited, found := p.limited[export]
	switch {
	case limited:
		return Limited
	case found:
		return Free
	case p.stands:
		return Missing
	}
	return Unknown
}

func compile(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (*provided, error) {
	all, err := client.List[apisv1alpha2.APIExport](ctx, from, exports, client.Scope{Cluster: cluster})
	if err != nil {
		return nil, err
	}
	lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, from, logicalClusters, client.Key{Cluster: cluster, Name: corev1alpha1.LogicalClusterName})
	if err != nil {
		return nil, err
	}
	p := &provided{limited: make(map[string]bool, len(all)), stands: lc != nil && lc.DeletionTimestamp == nil}
	for _, export := range all {
		p.limited[export.Name] = export.Spec.MaximalPermissionPolicy != nil
	}
	return p, nil
}

// What parts of a value take in bytes. A name shares no memory with the object that it was read from once that is replaced.
const (
	providedBytes = 128
	exportBytes   = 64
)

func (p *provided) size() int64 {
	bytes := providedBytes
	for name := range p.limited {
		bytes += exportBytes + len(name)
	}
	return int64(bytes)
}
