package frontdoor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/server/virtual"
)

// Host configures what the API server of a host cluster reaches on this server.
type Host struct {
	// Workspace is the workspace that the host shows as its own: the cluster of a URL without a prefix.
	Workspace logicalcluster.Path
	// Serves reports whether an API group is registered with the host.
	Serves func(group string) bool
	// Discovery answers /apis, /openapi and everything below /apis/<group>[/<version>] for these groups. It runs before
	// authentication, limits and storage, because the host can delete no namespace while discovery does not answer.
	Discovery http.Handler
	// InNamespaces reports whether objects of a resource belong to namespaces of the host.
	InNamespaces func(schema.GroupResource) bool
	// Projections finds the other API groups, which HostBindings have registered with the host.
	Projections Projections
}

// Projections finds the resources that HostBindings project.
type Projections interface {
	// Serves reports whether some version of an API group is projected.
	Serves(group string) bool
	// Route returns the context of a request for objects that are projected, and the path of its workspace:
	// empty if there are several. False for every other request.
	Route(r *http.Request) (ctx context.Context, path logicalcluster.Path, ok bool)
}

// workspaces are the objects whose proxy leads into a workspace.
var workspaces = tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces")

// proxy is a URL such as /apis/tenancy.kcp.io/v1alpha1/workspaces/root:org/proxy/api/v1/namespaces.
type proxy struct {
	// virtual is the name of the virtual workspace that it leads to, and by says how; both are empty when it leads into a workspace.
	virtual string
	by      virtual.Proxy
	// name is the unescaped name of the object.
	name string
	// prefix is the escaped path up to and including /proxy, or the segment behind it that names the virtual workspace.
	prefix string
}

// parseProxy splits an escaped path; false if it is not a proxy URL.
func (d *door) parseProxy(escapedPath string) (proxy, bool) {
	segments := strings.SplitN(escapedPath, "/", 8) // "", apis, group, version, resource, name, proxy, rest
	if len(segments) < 7 || segments[0] != "" || segments[1] != "apis" || segments[6] != "proxy" {
		return proxy{}, false
	}
	p := proxy{prefix: strings.Join(segments[:7], "/")}
	if gvr := (schema.GroupVersionResource{Group: segments[2], Version: segments[3], Resource: segments[4]}); gvr != workspaces {
		behind, _, _ := strings.Cut(strings.Join(segments[7:], ""), "/")
		var ok bool
		if p.virtual, p.by, ok = d.Virtual.Proxied(gvr, behind); !ok {
			return proxy{}, false
		}
		if p.by.Segment != "" {
			p.prefix += "/" + p.by.Segment
		}
	}
	name, err := url.PathUnescape(segments[5])
	p.name = name
	return p, err == nil
}

type shownKey struct{}

// ShownByHost reports whether ctx is for a resource that the host shows as its own.
func ShownByHost(ctx context.Context) bool {
	shown, _ := ctx.Value(shownKey{}).(bool)
	return shown
}

// fromHost serves URLs under which the host registers API groups of ours; false for any other.
func (d *door) fromHost(w http.ResponseWriter, r *http.Request) bool {
	path := strings.TrimSuffix(r.URL.EscapedPath(), "/")
	if path == "/apis" || path == "/openapi/v2" || path == "/openapi/v3" || strings.HasPrefix(path, "/openapi/v3/") {
		d.Host.Discovery.ServeHTTP(w, r)
		return true
	}
	segments := strings.Split(path, "/") // "", apis, group, version, resource
	if len(segments) < 3 || segments[0] != "" || segments[1] != "apis" {
		return false
	}
	if !d.Host.Serves(segments[2]) {
		return d.projected(w, r, segments)
	}
	if len(segments) <= 4 {
		d.Host.Discovery.ServeHTTP(w, r)
		return true
	}
	if p, ok := d.parseProxy(r.URL.EscapedPath()); ok {
		if p.virtual != "" {
			d.virtualProxy(w, r, p)
		} else {
			d.workspaceProxy(w, r, p)
		}
		return true
	}
	if d.Host.emptiesNamespace(r, segments) {
		orNothing(w, r, d.shown)
	} else {
		d.shown(w, r)
	}
	return true
}

// shown serves a request for what the host shows as its own.
func (d *door) shown(w http.ResponseWriter, r *http.Request) {
	ctx := context.WithValue(r.Context(), shownKey{}, true)
	ctx, err := d.resolve(context.WithValue(ctx, addressKey{}, d.Host.Workspace.String()), d.Host.Workspace)
	if err != nil {
		d.fail(w, r, errLookup())
		return
	}
	d.next.ServeHTTP(w, r.WithContext(ctx))
}

// projected serves URLs of groups that HostBindings project; false for any other. It does not refuse a
// workspace that does not exist, because namespaces are created before workspaces, and the authorizer checks with the host first.
func (d *door) projected(w http.ResponseWriter, r *http.Request, segments []string) bool {
	if !d.Host.Projections.Serves(segments[2]) {
		return false
	}
	if len(segments) <= 4 {
		d.Host.Discovery.ServeHTTP(w, r)
		return true
	}
	ctx, path, ok := d.Host.Projections.Route(r)
	if !ok {
		return false
	}
	if path.Empty() {
		d.next.ServeHTTP(w, r.WithContext(logicalcluster.WithWildcard(ctx)))
		return true
	}
	ctx, err := d.resolve(context.WithValue(ctx, addressKey{}, path.String()), path)
	if err != nil {
		d.fail(w, r, errLookup())
		return true
	}
	if logicalcluster.IsUnknown(ctx) {
		ctx = logicalcluster.WithWildcard(ctx)
	}
	d.next.ServeHTTP(w, r.WithContext(ctx))
	return true
}

// workspaceProxy serves .../workspaces/<name>/proxy/<rest>: an absolute path, or a child of the host's workspace.
func (d *door) workspaceProxy(w http.ResponseWriter, r *http.Request, p proxy) {
	path, err := d.absolute(p.name)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	inner, err := d.behind(r, p.prefix)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.enter(w, inner, path.String(), path)
}

// virtualProxy serves .../<path>:<name>/proxy/<rest> of an object that a virtual workspace has an endpoint for, such as
// .../apiexports/root:org:widgets/proxy/clusters/<cluster>/<rest>; a name without a path refers to the host workspace.
func (d *door) virtualProxy(w http.ResponseWriter, r *http.Request, p proxy) {
	path, name := d.Host.Workspace, p.name
	if i := strings.LastIndex(name, logicalcluster.Separator); i >= 0 {
		var err error
		if path, err = logicalcluster.ParsePath(name[:i]); err != nil || path == logicalcluster.Wildcard {
			d.fail(w, r, apierrors.NewBadRequest(fmt.Sprintf("invalid name of an %s: %q does not begin with the path of a workspace", p.by.Kind, p.name)))
			return
		}
		name = name[i+1:]
	}
	inner, err := d.behind(r, p.prefix)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	ctx, err := d.resolve(context.WithValue(inner.Context(), addressKey{}, path.String()), path)
	if err != nil {
		d.fail(w, r, errLookup())
		return
	}
	cluster, found := logicalcluster.FromContext(ctx)
	if !found {
		d.next.ServeHTTP(w, inner.WithContext(ctx))
		return
	}
	target := *inner.URL
	target.RawPath = virtual.Prefix + p.virtual + "/" + p.by.Below(cluster, name) + inner.URL.EscapedPath()
	if target.Path, err = url.PathUnescape(target.RawPath); err != nil {
		d.fail(w, r, apierrors.NewBadRequest(fmt.Sprintf("invalid path: %v", err)))
		return
	}
	inner = inner.WithContext(r.Context())
	inner.URL = &target
	d.service(w, inner)
}

// absolute returns the path of the workspace for a name in a URL of the host.
func (d *door) absolute(name string) (logicalcluster.Path, error) {
	if name != logicalcluster.Root.String() && !strings.Contains(name, logicalcluster.Separator) {
		name = d.Host.Workspace.Join(name).String()
	}
	path, err := logicalcluster.ParsePath(name)
	if err != nil {
		return "", apierrors.NewBadRequest(err.Error())
	}
	return path, nil
}

// behind returns r without prefix. An address is rewritten only once, so a proxy URL cannot lead through another proxy.
func (d *door) behind(r *http.Request, prefix string) (*http.Request, error) {
	inner, err := trim(r, prefix)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid path: %v", err))
	}
	rest := inner.URL.Path
	if below, ok := strings.CutPrefix(rest, clustersPrefix); ok {
		_, rest, _ = strings.Cut(below, "/")
		rest = "/" + rest
	}
	if _, nested := d.parseProxy(rest); nested {
		return nil, apierrors.NewBadRequest("a proxy URL cannot be used behind another proxy URL: address the workspace by its absolute path")
	}
	return inner, nil
}
