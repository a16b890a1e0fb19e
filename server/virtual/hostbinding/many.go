package hostbinding

import (
	"context"
	"net/http"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/storage/filter"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/server/serve"
)

const (
	// decisionHolds is how long a decision about a workspace counts within one request. Watches last.
	decisionHolds = 5 * time.Second
	// clusterLag is how long a new workspace may be known to storage and not to the index.
	clusterLag      = 5 * time.Second
	clusterInterval = 10 * time.Millisecond
)

// several is the target of a list or watch of resource in every workspace that the projection maps to and the user may read, with
// one resourceVersion. hidden shows none of them.
func (e *Endpoint) several(req *http.Request, r *route, resource *catalog.Resource, hidden bool) (serve.Target, error) {
	show, err := e.newShow(req.Context(), r.projection, hidden)
	if err != nil {
		return serve.Target{}, err
	}
	return serve.Target{All: true, Resource: resource, Filter: show, While: e.projected(r.projection)}, nil
}

// projected is the condition of watches on what p projects.
func (e *Endpoint) projected(p *projection) serve.Condition {
	return serve.Condition{Cluster: p.key.Cluster, Holds: func(context.Context) bool { return slices.Contains(e.current.Load().all, p) }}
}

// show decides for one request which objects are shown, by where they are. It implements filter.Follower.
type show struct {
	endpoint   *Endpoint
	projection *projection
	ctx        context.Context //nolint:containedctx // a show is a part of its request
	attributes authorizer.Attributes
	hidden     bool
	// base is the canonical path of what comes before the namespace in the mapping, whatever the HostBinding calls it.
	base logicalcluster.Path

	decisions map[logicalcluster.Name]decision
	// shown are the places of which the client has seen something.
	shown map[place]bool
}

type decision struct {
	allowed bool
	at      time.Time
}

type place struct {
	cluster   logicalcluster.Name
	namespace string
}

var _ filter.Follower = &show{}

func (e *Endpoint) newShow(ctx context.Context, p *projection, hidden bool) (*show, error) {
	s := &show{endpoint: e, projection: p, hidden: hidden, decisions: map[logicalcluster.Name]decision{}, shown: map[place]bool{}}
	// Audit annotations cannot be changed, and there may be many decisions.
	s.ctx = audit.WithAuditContext(ctx)
	var err error
	if s.attributes, err = filters.GetAuthorizerAttributes(ctx); err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	s.base = p.mapping.Base()
	name, found, err := e.Clusters.Resolve(ctx, s.base)
	if err != nil {
		return nil, apierrors.NewServiceUnavailable("the workspaces cannot be looked up right now, try again")
	}
	if found {
		if path, known := e.Clusters.PathOf(name); known {
			s.base = path
		}
	}
	return s, nil
}

// maps reports whether namespace maps to cluster, whose canonical path is path.
func (s *show) maps(path logicalcluster.Path, namespace string) bool {
	mapped, ok := s.projection.mapping.For(namespace)
	if !ok {
		return false
	}
	before := s.projection.mapping.Base()
	return s.base+mapped[len(before):] == path
}

// Shows implements filter.Filter.
func (s *show) Shows(h head.Head) bool {
	if s.hidden {
		return false
	}
	path, known := s.pathOf(h.Cluster)
	if !known || !s.maps(path, h.Namespace) || !s.allowed(h.Cluster) {
		return false
	}
	s.shown[place{h.Cluster, h.Namespace}] = true
	return true
}

// Follows implements filter.Follower.
func (s *show) Follows(h head.Head, deleted bool) (bool, error) {
	if s.hidden {
		return false, nil
	}
	before, decided := s.decisions[h.Cluster]
	path, known := s.pathOf(h.Cluster)
	switch {
	case !known && deleted && s.shown[place{h.Cluster, h.Namespace}]:
		return true, nil // the workspace went, and this with it
	case !known:
		return false, apierrors.NewResourceExpired("a workspace is no longer known: list again")
	case !s.maps(path, h.Namespace):
		return false, nil
	}
	allowed := s.allowed(h.Cluster)
	if decided && allowed != before.allowed {
		return false, apierrors.NewResourceExpired("the workspaces that the user may read have changed: list again")
	}
	if allowed {
		s.shown[place{h.Cluster, h.Namespace}] = true
	}
	return allowed, nil
}

// pathOf returns the canonical path of cluster. One that storage knows and the index does not is new, or just gone.
func (s *show) pathOf(cluster logicalcluster.Name) (logicalcluster.Path, bool) {
	path, known := s.endpoint.Clusters.PathOf(cluster)
	if known {
		return path, true
	}
	if _, exists, err := s.endpoint.Clusters.Phase(s.ctx, cluster); err != nil || !exists {
		return "", false
	}
	_ = wait.PollUntilContextTimeout(s.ctx, clusterInterval, clusterLag, true, func(context.Context) (bool, error) {
		path, known = s.endpoint.Clusters.PathOf(cluster)
		return known, nil
	})
	return path, known
}

// allowed reports whether the user may do in cluster what the request asks for.
func (s *show) allowed(cluster logicalcluster.Name) bool {
	if known, ok := s.decisions[cluster]; ok && time.Since(known.at) < decisionHolds {
		return known.allowed
	}
	allowed := s.endpoint.allows(logicalcluster.WithCluster(s.ctx, cluster), s.projection, s.attributes)
	s.decisions[cluster] = decision{allowed: allowed, at: time.Now()}
	return allowed
}
