package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	genericadmission "k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/server/admission/hostnamespace"
	"github.com/annex-dev/annex/server/admission/hostquota"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/authorization"
	"github.com/annex-dev/annex/server/discovery"
	"github.com/annex-dev/annex/server/frontdoor"
	"github.com/annex-dev/annex/server/virtual/hostbinding"
)

const (
	// hostCheck is the readiness check of the host cluster.
	hostCheck = "host"
	// hostInterval is how often the host is looked at, hostTimeout how long it may take to answer.
	hostInterval = 10 * time.Second
	hostTimeout  = 5 * time.Second
)

// Host is the cluster that the server is installed into, and whose API server forwards requests. The
// configuration of authentication says how its users are let in.
type Host struct {
	// Workspace is what the host shows as its own.
	Workspace logicalcluster.Path
	// Authorizer asks the host what its users may do there; nil to decide by RBAC of the workspace alone.
	Authorizer authorizer.UnconditionalAuthorizer
	// Namespace returns a namespace of the host, NotFound if there is none; nil if the host cannot be asked. Then users create nothing that
	// belongs to a namespace of the host.
	Namespace hostnamespace.Lookup
	// Quotas are the ResourceQuotas of the host; nil if the host cannot be asked.
	Quotas corev1client.ResourceQuotasGetter
	// Reach returns why the host is not of use right now; nil when it is, or when nothing is ever asked of it.
	Reach func(ctx context.Context) error
}

// HostVersions returns the group versions that the host forwards, whatever workspace it shows; nil without a host.
func (s *Server) HostVersions() []schema.GroupVersion {
	if s.config.Host == nil {
		return nil
	}
	var all []schema.GroupVersion
	for _, served := range kinds.All.HostVersions() {
		all = append(all, served.GroupVersion)
	}
	return all
}

// HostWorkspace returns what the host shows as its own; empty without a host.
func (s *Server) HostWorkspace() logicalcluster.Path {
	if s.config.Host == nil {
		return ""
	}
	return s.config.Host.Workspace
}

// External returns the URL at which clients reach the server, without a path.
func (s *Server) External() string { return strings.TrimSuffix(s.config.Addresses.External, "/") }

// hostRules returns the host's part in authorization; nil when it has none.
func hostRules(host *Host) *authorization.Host {
	if host == nil || host.Authorizer == nil {
		return nil
	}
	return &authorization.Host{Authorizer: host.Authorizer, Shows: frontdoor.ShownByHost}
}

// hostNamespaces returns the admission plugin that ties objects in the host workspace to namespaces of the host.
func hostNamespaces(c Config, s *stores, writer func() client.Writer, next genericadmission.Interface) (genericadmission.Interface, error) {
	config := hostnamespace.Config{
		Concerns: kinds.All.HasHostNamespaces,
		Hosts:    hosts(c.Host, s.paths),
		ByHost: func(ctx context.Context, u user.Info) bool {
			return frontdoor.ShownByHost(ctx) && authentication.Forwarded(u)
		},
		Cached: s.reader,
		Writer: writer,
		Next:   next,
	}
	if c.Host != nil {
		config.Lookup = c.Host.Namespace
	}
	return hostnamespace.New(config)
}

// hostQuotas returns the admission plugin that applies quotas of the host to what belongs to its namespaces.
func hostQuotas(c Config, s *stores) (genericadmission.Interface, error) {
	config := hostquota.Config{Concerns: kinds.All.HasHostNamespaces, Hosts: hosts(c.Host, s.paths)}
	if c.Host != nil {
		config.Quotas = c.Host.Quotas
	}
	return hostquota.New(config)
}

// hostResources returns the resources that the host forwards, whatever workspace it shows.
func hostResources() []*catalog.Resource {
	var resources []*catalog.Resource
	for _, row := range kinds.All.Hosted() {
		resources = append(resources, &catalog.Resource{Group: row.GroupResource().Group, Plural: row.Resource, Typed: true})
	}
	return resources
}

// newHostDoor returns what a host finds at the door; nil without a host. Discovery and OpenAPI of our own groups are those of the
// types, whatever a workspace serves, so that they need no storage.
func newHostDoor(c Config, documents discovery.Config, projections *hostbinding.Endpoint) (*frontdoor.Host, error) {
	if c.Host == nil {
		return nil, nil
	}
	documents.IsBound = func(gr schema.GroupResource) bool { return kinds.All.IsHosted(gr.Group) }
	all, err := discovery.New(documents)
	if err != nil {
		return nil, fmt.Errorf("preparing discovery for the host: %w", err)
	}
	return &frontdoor.Host{
		Workspace:    c.Host.Workspace,
		Serves:       kinds.All.IsHosted,
		InNamespaces: kinds.All.HasHostNamespaces,
		Discovery: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			all.HandlerWithoutBase(projections.Shown(), "").ServeHTTP(w, r)
		}),
		Projections: projections,
	}, nil
}

// hostHealth remembers whether a host could be reached.
type hostHealth struct {
	// reach looks at the host; nil when there is none, or nothing is ever asked of it.
	reach func(ctx context.Context) error
	fault atomic.Pointer[string]
}

// newHostHealth returns the health of a host that has not been reached yet.
func newHostHealth(host *Host) *hostHealth {
	h := &hostHealth{}
	if host != nil && host.Reach != nil {
		h.reach = host.Reach
		first := notYetReached
		h.fault.Store(&first)
	}
	return h
}

// check returns why the host was not of use when it was last looked at.
func (h *hostHealth) check() error {
	if fault := h.fault.Load(); fault != nil {
		return fmt.Errorf("%s", *fault)
	}
	return nil
}

// follow looks at the host again and again.
func (h *hostHealth) follow(ctx context.Context) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		bounded, cancel := context.WithTimeout(ctx, hostTimeout)
		defer cancel()
		err := h.reach(bounded)
		if ctx.Err() != nil {
			return
		}
		before := h.fault.Load()
		if err == nil {
			h.fault.Store(nil)
			return
		}
		fault := err.Error()
		h.fault.Store(&fault)
		if before == nil || *before == notYetReached {
			klog.FromContext(ctx).Error(err, "The host cluster cannot be reached; its users are served from caches or refused")
		}
	}, hostInterval)
}

// notYetReached is the state before the first look.
const notYetReached = "the host has not been reached yet"

// addHostHooks registers what follows the host.
func (s *Server) addHostHooks(host *hostHealth, projections *hostbinding.Endpoint) error {
	if projections == nil {
		return nil
	}
	if err := s.Generic.AddReadyzChecks(healthz.NamedCheck("projections", func(*http.Request) error { return projections.Ready() })); err != nil {
		return fmt.Errorf("adding the readiness check of projections: %w", err)
	}
	if host.reach == nil {
		return nil
	}
	if err := s.Generic.AddReadyzChecks(healthz.NamedCheck(hostCheck, func(*http.Request) error { return host.check() })); err != nil {
		return fmt.Errorf("adding the readiness check of the host: %w", err)
	}
	if err := s.Generic.AddPostStartHook("annex-host", func(hook genericapiserver.PostStartHookContext) error {
		go host.follow(hook)
		return nil
	}); err != nil {
		return fmt.Errorf("adding the look at the host: %w", err)
	}
	return nil
}

// sparing makes /readyz as a whole succeed while the host is gone: the server still serves everybody who comes to its
// own door, and a host that is gone sends nobody. The answer carries a Warning then, and /readyz/host fails.
func (h *hostHealth) sparing(w http.ResponseWriter, r *http.Request) *http.Request {
	if h.reach == nil || strings.TrimSuffix(r.URL.Path, "/") != "/readyz" {
		return r
	}
	if err := h.check(); err != nil {
		w.Header().Set("Warning", "299 annex "+strconv.QuoteToASCII("the host cluster: "+err.Error()))
	}
	query := r.URL.Query()
	query.Add("exclude", hostCheck)
	target := *r.URL
	target.RawQuery = query.Encode()
	r = r.WithContext(r.Context())
	r.URL = &target
	return r
}
