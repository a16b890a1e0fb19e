package frontdoor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/tracing"
	"github.com/annex-dev/annex/server/virtual"
)

const (
	clustersPrefix = "/clusters/"
	// lookupTimeout bounds the search for a workspace that is not in memory: the door stands before the time limit of
	// requests, and without etcd the search would not end.
	lookupTimeout = 5 * time.Second
)

// Resolver finds the logical cluster behind a path.
type Resolver interface {
	// Resolve returns the name of the cluster at path; false when there is none.
	Resolve(ctx context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error)
}

// Tokens knows the tokens of ServiceAccounts.
type Tokens interface {
	// Home returns the cluster of a token that this server has issued and that has not expired; false for all others.
	Home(ctx context.Context, token string) (logicalcluster.Name, bool)
}

// Mounts finds Workspaces without a logical cluster: those that are mounted, and those that have lost theirs.
type Mounts interface {
	// At returns the endpoint of the mounted Workspace at path, which does not Resolve; false if there is none.
	At(ctx context.Context, path logicalcluster.Path) (virtual.Endpoint, bool, error)
	// Lost returns the endpoint of the Workspace at path, which Resolves, if its logical cluster is gone; false if it is not.
	Lost(ctx context.Context, path logicalcluster.Path) (virtual.Endpoint, bool, error)
}

// Config is what the door needs.
type Config struct {
	Resolver Resolver
	// Mounts finds Workspaces without a logical cluster; nil if requests to them go nowhere.
	Mounts Mounts
	// Virtual are the virtual workspaces, which read their URLs themselves.
	Virtual virtual.List
	// Health serves /healthz, /livez and /readyz and the paths below them, without authentication.
	Health http.Handler
	// Tokens finds the cluster of a client that names none.
	Tokens Tokens
	// Host is what the API server of a host cluster finds here; nil when the server is installed into none.
	Host *Host
	// Codecs encode the errors that the door answers itself.
	Codecs runtime.NegotiatedSerializer
}

// With returns the door before next.
func With(next http.Handler, c Config) http.Handler {
	return &door{Config: c, next: next}
}

type door struct {
	Config
	next http.Handler
}

type addressKey struct{}

// AddressFrom returns what the client wrote as the cluster of the request, a path or a name; empty when it named none.
func AddressFrom(ctx context.Context) string {
	address, _ := ctx.Value(addressKey{}).(string)
	return address
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case isHealth(r.URL.Path):
		d.Health.ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, clustersPrefix):
		d.cluster(w, r)
	case strings.HasPrefix(r.URL.Path, virtual.Prefix):
		d.service(w, r)
	case d.byToken(w, r):
	case d.Host != nil && d.fromHost(w, r):
	default:
		d.next.ServeHTTP(w, r)
	}
}

// cluster serves /clusters/<address>/<rest>.
func (d *door) cluster(w http.ResponseWriter, r *http.Request) {
	escaped, _, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), clustersPrefix), "/")
	address, err := url.PathUnescape(escaped)
	if err != nil {
		d.fail(w, r, apierrors.NewBadRequest(fmt.Sprintf("invalid cluster: %q is not a valid URL path segment", escaped)))
		return
	}
	path, err := logicalcluster.ParsePath(address)
	if err != nil {
		d.fail(w, r, apierrors.NewBadRequest(err.Error()))
		return
	}
	inner, err := trim(r, clustersPrefix+escaped)
	if err != nil {
		d.fail(w, r, apierrors.NewBadRequest(fmt.Sprintf("invalid path: %v", err)))
		return
	}
	d.enter(w, inner, address, path)
}

// byToken serves a URL without a prefix of a client in a workspace, which takes the workspace for a whole cluster, such as a controller that
// runs with a ServiceAccount. It returns false if there is no token that says which workspace that is. A token of which this is not certain
// leads nowhere, and authentication refuses it. What is about the process is not part of a workspace.
func (d *door) byToken(w http.ResponseWriter, r *http.Request) bool {
	token, found := authentication.BearerToken(r)
	if !found || isProcess(r.URL.Path) {
		return false
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookupTimeout)
	defer cancel()
	cluster, found := d.Tokens.Home(ctx, token)
	if found {
		d.enter(w, r, cluster.String(), cluster.Path())
	}
	return found
}

// enter serves r, whose URL is one inside of the cluster at path; address is what the client wrote.
func (d *door) enter(w http.ResponseWriter, r *http.Request, address string, path logicalcluster.Path) {
	if isHealth(r.URL.Path) {
		d.Health.ServeHTTP(w, r)
		return
	}
	ctx, err := d.resolve(context.WithValue(r.Context(), addressKey{}, address), path)
	if err == nil && d.Mounts != nil {
		ctx, err = d.withoutCluster(ctx, path)
	}
	if err != nil {
		d.fail(w, r, errLookup())
		return
	}
	d.next.ServeHTTP(w, r.WithContext(ctx))
}

// withoutCluster puts the Workspace at path into ctx if it has no logical cluster: its endpoint, and the cluster that the Workspace is in. Otherwise it
// returns ctx, in which path is resolved.
func (d *door) withoutCluster(ctx context.Context, path logicalcluster.Path) (context.Context, error) {
	lookup, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	find := d.Mounts.Lost
	if logicalcluster.IsUnknown(ctx) {
		find = d.Mounts.At
	}
	endpoint, ok, err := find(lookup, path)
	if err != nil {
		return nil, fmt.Errorf("resolving %q: %w", path, err)
	}
	if !ok {
		return ctx, nil
	}
	return virtual.WithEndpoint(logicalcluster.WithCluster(ctx, endpoint.Cluster), endpoint), nil
}

// service serves the virtual workspaces below /services/.
func (d *door) service(w http.ResponseWriter, r *http.Request) {
	parsed, err := d.Virtual.Parse(r.URL.EscapedPath())
	if err != nil {
		d.fail(w, r, err)
		return
	}
	inner, err := trim(r, strings.TrimSuffix(r.URL.EscapedPath(), parsed.Rest))
	if err != nil {
		d.fail(w, r, apierrors.NewBadRequest(fmt.Sprintf("invalid path: %v", err)))
		return
	}
	ctx := virtual.WithEndpoint(context.WithValue(r.Context(), addressKey{}, parsed.Target.String()), parsed.Endpoint)
	ctx, err = d.resolve(ctx, parsed.Target)
	if err != nil {
		d.fail(w, r, errLookup())
		return
	}
	if parsed.Endpoint.Cluster.Empty() {
		parsed.Endpoint.Cluster, _ = logicalcluster.FromContext(ctx)
		ctx = virtual.WithEndpoint(ctx, parsed.Endpoint)
	}
	d.next.ServeHTTP(w, inner.WithContext(ctx))
}

// resolve puts the target that path stands for into ctx.
func (d *door) resolve(ctx context.Context, path logicalcluster.Path) (context.Context, error) {
	if path == logicalcluster.Wildcard {
		return logicalcluster.WithWildcard(ctx), nil
	}
	if name, ok := path.Name(); ok && name.IsSystem() {
		return logicalcluster.WithCluster(ctx, name), nil
	}
	began := time.Now()
	lookup, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	name, found, err := d.Resolver.Resolve(lookup, path)
	if err != nil {
		return nil, fmt.Errorf("resolving %q: %w", path, err)
	}
	ctx = tracing.Resolved(ctx, path.String(), began)
	if !found {
		return logicalcluster.WithUnknown(ctx), nil
	}
	return logicalcluster.WithCluster(ctx, name), nil
}

// errLookup is the answer while nobody knows whether the workspace exists, for example while the server starts. Clients repeat a
// request by themselves only if the answer says when.
func errLookup() error {
	err := apierrors.NewServiceUnavailable("the workspace cannot be looked up right now, try again")
	err.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
	return err
}

// fail answers err, an API status.
func (d *door) fail(w http.ResponseWriter, r *http.Request, err error) {
	responsewriters.ErrorNegotiated(err, d.Codecs, schema.GroupVersion{Version: "v1"}, w, r)
}

// trim returns a shallow copy of r whose path lacks the escaped prefix; the path left is never empty.
func trim(r *http.Request, escapedPrefix string) (*http.Request, error) {
	rest := strings.TrimPrefix(r.URL.EscapedPath(), escapedPrefix)
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	path, err := url.PathUnescape(rest)
	if err != nil {
		return nil, err
	}
	inner := r.WithContext(r.Context())
	target := *r.URL
	target.Path, target.RawPath = path, rest
	inner.URL = &target
	return inner, nil
}

// isProcess reports whether a path without a prefix is about the process.
func isProcess(path string) bool {
	return path == "/metrics" || strings.HasPrefix(path, "/metrics/") || strings.HasPrefix(path, "/debug/")
}

func isHealth(path string) bool {
	for _, check := range [...]string{"/healthz", "/livez", "/readyz"} {
		if path == check || strings.HasPrefix(path, check+"/") {
			return true
		}
	}
	return false
}
