package virtual

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
)

// Request is what the URL of a virtual workspace says.
type Request struct {
	Endpoint Endpoint
	// Target is the cluster that the request is for: a single name, or [logicalcluster.Wildcard] for all of them.
	Target logicalcluster.Path
	// Rest is the escaped path of the request in that cluster. It begins with a slash, and is empty when the URL ends
	// with the target.
	Rest string
}

// Workspace is one virtual workspace. Its methods are called by many goroutines.
type Workspace interface {
	// Name is the segment of its URLs behind /services/, and the Kind of its endpoints.
	Name() string
	// Parse reads the escaped path behind /services/<name>/, which has no slash in front. Errors are API statuses: NotFound for
	// a path that it does not serve, BadRequest for a malformed name. It need not set the Kind of the endpoint.
	Parse(below string) (Request, error)
	// Authorize decides about a request for one of its endpoints, by everybody, system:masters included. Only Allow lets a
	// request pass. The context holds endpoint and target.
	authorizer.UnconditionalAuthorizer
	// Target returns what an authorized request for objects is served from. Errors are API statuses.
	Target(req *http.Request, info *genericapirequest.RequestInfo) (serve.Target, error)
	// Discovery returns what serves /api, /apis and /openapi to an authorized request. Errors are API statuses.
	Discovery(ctx context.Context) (http.Handler, error)
}

// Entering is a Workspace some of whose requests are served as the cluster that they are for serves its own: any resource, discovery and
// OpenAPI.
type Entering interface {
	// Enter returns an authorized request as one for its cluster, and what must be called when it was served. The request is nil if the
	// Workspace serves it by itself. Errors are API statuses.
	Enter(req *http.Request, info *genericapirequest.RequestInfo) (inside *http.Request, done func(), err error)
}

// Forwarding is a Workspace that answers all requests to its endpoints by itself, those for objects as well as all others. It has no URLs below
// /services/: the front door puts its endpoints into the context.
type Forwarding interface {
	// Forward answers an authorized request.
	Forward(w http.ResponseWriter, req *http.Request, info *genericapirequest.RequestInfo)
}

// Streams reports whether what a Forwarding workspace answers may take as long as the client wants: a watch, or one of the streams of Kubernetes, such as
// that of kubectl exec. The stock chain sets no time limit for these.
func Streams(info *genericapirequest.RequestInfo) bool {
	if !info.IsResourceRequest {
		return false
	}
	return info.Verb == "watch" || slices.Contains([]string{"attach", "exec", "log", "portforward", "proxy"}, info.Subresource)
}

// Follower is a Workspace that follows changes of what it shows.
type Follower interface {
	// Run follows them until ctx ends. It returns nil then, or the reason why it cannot.
	Run(ctx context.Context) error
}

// Proxied is a Workspace that a host cluster reaches through the subresource proxy of the objects that its endpoints belong to:
// /apis/<group>/<version>/<resource>/<path>:<name>/proxy/<rest> is /services/<name of the workspace>/<cluster>/<name>/<rest>.
type Proxied interface {
	Proxy() Proxy
}

// Proxy says which objects lead to a virtual workspace.
type Proxy struct {
	// Kind names them in messages, such as "APIExport".
	Kind string
	// Resources are all versions in which the host knows them.
	Resources []schema.GroupVersionResource
	// Segment is the one behind /proxy if objects lead to several virtual workspaces, each with a segment of its own; otherwise it is empty.
	Segment string
	// Joined says that the URL of the virtual workspace has <cluster>:<name> in one segment, and not two segments.
	Joined bool
}

// Below returns the escaped path of the endpoint of an object below the name of the virtual workspace.
func (p Proxy) Below(cluster logicalcluster.Name, name string) string {
	separator := "/"
	if p.Joined {
		separator = logicalcluster.Separator
	}
	return cluster.String() + separator + url.PathEscape(name)
}

// Closed is a Workspace without a name that has no URL, allows nothing and serves nothing.
type Closed struct{}

// Parse implements Workspace.
func (Closed) Parse(string) (Request, error) { return Request{}, apistatus.NotServed() }

// Authorize implements Workspace.
func (Closed) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "the virtual workspace does not decide about anything", nil
}

// Target implements Workspace.
func (Closed) Target(*http.Request, *genericapirequest.RequestInfo) (serve.Target, error) {
	return serve.Target{}, apistatus.NotServed()
}

// Discovery implements Workspace.
func (Closed) Discovery(context.Context) (http.Handler, error) { return nil, apistatus.NotServed() }
