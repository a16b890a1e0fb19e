package fairness

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/authentication"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/virtual"
)

// share is whose part of the server a request uses: that of a workspace, which is a part of that of its tenant.
type share struct{ tenant, workspace string }

// own returns the share of something that is a tenant by itself.
func own(name string) share { return share{tenant: name, workspace: name} }

// Shares that are not those of clusters. Names of clusters contain no space.
const (
	// operatorFlow is system:masters in every cluster. It is not held up by a busy workspace, and does not use up the share of a
	// workspace.
	operatorShare = "the operator"
	// allShare is for requests to all clusters, processShare for those to none.
	allShare     = "all clusters"
	processShare = "no cluster"
)

// shareFor returns whose share a request of u uses. Who asks who they are may be somebody who may not enter the cluster, and uses nothing of its share, unless
// another server answers.
func shareFor(ctx context.Context, u user.Info, info *genericapirequest.RequestInfo, pathOf PathOf) share {
	s := shareOf(ctx, u, pathOf)
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if s != own(operatorShare) && !isForwarded(ctx) && info.IsResourceRequest && authentication.AsksWhoIAm(info.Verb, resource, info.Subresource) {
		return ownShareOf(u, pathOf)
	}
	return s
}

// shareOf returns whose share a request of u uses: that of the cluster whose RBAC has let it in, so of the provider at a
// virtual endpoint, unless that is direct. pathOf returns the canonical path of a cluster.
func shareOf(ctx context.Context, u user.Info, pathOf PathOf) share {
	cluster, single := logicalcluster.FromContext(ctx)
	if endpoint, ok := virtual.FromContext(ctx); ok && (!single || !endpoint.Direct) {
		cluster = endpoint.Cluster
	}
	switch {
	case policy.Master(u, cluster):
		return own(operatorShare)
	case !cluster.Empty():
		return shareOfCluster(cluster, pathOf)
	case logicalcluster.IsWildcard(ctx):
		return own(allShare)
	default:
		return own(processShare)
	}
}

// ownShareOf returns whose share a request of u uses that has nothing to do with a cluster: that of the workspace that a ServiceAccount is from,
// because tenants make as many of them as they like.
func ownShareOf(u user.Info, pathOf PathOf) share {
	if home := u.GetExtra()[policy.ClusterNameKey]; len(home) > 0 {
		return shareOfCluster(logicalcluster.Name(home[0]), pathOf)
	}
	return own(processShare)
}

func shareOfCluster(cluster logicalcluster.Name, pathOf PathOf) share {
	path, known := pathOf(cluster)
	if !known {
		return own(cluster.String())
	}
	return share{tenant: path.Tenant().String(), workspace: cluster.String()}
}

// forwardsStream reports whether a request is for a stream that another server sends, such as that of kubectl exec in a mounted workspace. It counts as a
// watch.
func forwardsStream(ctx context.Context, info *genericapirequest.RequestInfo) bool {
	return isForwarded(ctx) && virtual.Streams(info)
}

// isForwarded reports whether another server answers a request, which takes as long as a tenant likes.
func isForwarded(ctx context.Context) bool {
	endpoint, ok := virtual.FromContext(ctx)
	return ok && endpoint.Workspace
}

// isProfile reports whether a request is for a profile of the process, which takes as long as its reader likes and is mostly waited for.
func isProfile(info *genericapirequest.RequestInfo) bool {
	return !info.IsResourceRequest && strings.HasPrefix(info.Path, "/debug/pprof/")
}

// isServer reports whether u is the server itself, on its loopback connection.
func isServer(u user.Info) bool {
	return u.GetName() == user.APIServerUser && slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup)
}

// isRead reports whether a request changes nothing.
func isRead(info *genericapirequest.RequestInfo) bool {
	switch info.Verb {
	case "get", "list", "watch", "head", "options":
		return true
	}
	return false
}

const (
	// broadSeats are the seats of a request that works on many objects.
	broadSeats = 4
	// pageSize is the maximum limit of a list that counts as small: the page size of kubectl and client-go.
	pageSize = 500
)

// seatsOf returns how many seats a request takes.
func seatsOf(r *http.Request, info *genericapirequest.RequestInfo) int {
	if !info.IsResourceRequest {
		if strings.HasPrefix(r.URL.Path, "/openapi/") || strings.HasPrefix(r.URL.Path, "/usage") {
			return broadSeats
		}
		return 1
	}
	query := r.URL.Query()
	switch info.Verb {
	case "list":
		if limit, err := strconv.Atoi(query.Get("limit")); err == nil && limit > 0 && limit <= pageSize {
			return 1
		}
		return broadSeats
	case "watch":
		// The watch begins with all objects, unless it resumes from a version.
		if from := query.Get("resourceVersion"); from == "" || from == "0" || query.Get("sendInitialEvents") == "true" {
			return broadSeats
		}
	case "deletecollection":
		return broadSeats
	}
	return 1
}
