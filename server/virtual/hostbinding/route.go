package hostbinding

import (
	"context"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/virtual"
)

// route is what the door found out about a request.
type route struct {
	projection *projection
	info       *genericapirequest.RequestInfo
	// path is the workspace that the request is for; empty when it is for several.
	path logicalcluster.Path
}

type routeKey struct{}

func routeFrom(ctx context.Context) (*route, bool) {
	r, _ := ctx.Value(routeKey{}).(*route)
	return r, r != nil
}

// plain returns a context for the cluster in ctx alone, as if the request had come by its own address.
func plain(ctx context.Context) context.Context {
	return virtual.WithoutEndpoint(context.WithValue(ctx, routeKey{}, (*route)(nil)))
}

// Serves reports whether some version of an API group is projected.
func (e *Endpoint) Serves(group string) bool { return e.current.Load().groups[group] }

// Route returns the context of a request for objects of a group version that is projected, and the path of the workspace
// that it is for: empty when it is for several, or for none that could exist. False when nothing of it is projected.
func (e *Endpoint) Route(r *http.Request) (ctx context.Context, path logicalcluster.Path, ok bool) {
	segments := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 4) // apis, group, version, rest
	if len(segments) < 4 || segments[0] != "apis" {
		return nil, "", false
	}
	p := e.current.Load().versions[schema.GroupVersion{Group: segments[1], Version: segments[2]}]
	if p == nil {
		return nil, "", false
	}
	// The one way to read a URL that the authorizer and the host have, too: what they decide about is what is served.
	info, err := e.Info.NewRequestInfo(r)
	if err != nil || !info.IsResourceRequest || info.APIGroup != segments[1] || info.APIVersion != segments[2] {
		return nil, "", false
	}
	if resource := p.resources[schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}]; resource != nil {
		if resource.Namespaced && info.Namespace == "" && !p.mapping.Fixed() {
			path = ""
		} else if mapped, ok := p.mapping.For(info.Namespace); ok {
			path = mapped
		}
	}
	ctx = virtual.WithEndpoint(r.Context(), virtual.Endpoint{Kind: Name, Cluster: p.key.Cluster, Name: p.key.Name, Direct: true})
	return context.WithValue(ctx, routeKey{}, &route{projection: p, info: info, path: path}), path, true
}
