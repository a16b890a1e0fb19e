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
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
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

// Host is the cluster that the server is installed into, and whose API server forwards requests. How its users are let in
// stands in the configuration of authentication.
type Host struct {
	// Workspace is what the host shows as its own.
	Workspace logicalcluster.Path
	// Authorizer asks the host what its users may do there; nil to decide by RBAC of the workspace alone.
	Authorizer authorizer.UnconditionalAuthorizer
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

// hostRules returns the host's part in authorization; nil when it has none.
func (s *Server) hostRules() *authorization.Host {
	if s.config.Host == nil || s.config.Host.Authorizer == nil {
		return nil
	}
	return &authorization.Host{Authorizer: s.config.Host.Authorizer, Shows: frontdoor.ShownByHost}
}

// hostDoor returns what the host finds at the door; nil without a host.
func (s *Server) hostDoor() *frontdoor.Host {
	if s.config.Host == nil {
		return nil
	}
	return &frontdoor.Host{
		Workspace:   s.config.Host.Workspace,
		Serves:      kinds.All.IsHosted,
		Discovery:   http.HandlerFunc(s.projections.ServeDocuments),
		Projections: s.projections,
	}
}

// newProjections returns what knows the projections of HostBindings.
func (s *Server) newProjections() *hostbinding.Endpoint {
	return hostbinding.New(hostbinding.Config{
		Cached:   s.Client,
		Live:     s.Client.Live(),
		Writer:   s.Client,
		As:       func(u user.Info) client.Writer { return s.Client.As(u) },
		Clusters: s.Index,
		Catalog:  s.Catalog,
		Hosts:    s.isHostWorkspace,
		Typed:    kinds.All.IsBound,
		Info:     &genericapirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")},
	})
}

// serveHost prepares what the host forwards. Discovery and OpenAPI of our own groups are those of the types, whatever a
// workspace serves, so that they need no storage.
func (s *Server) serveHost(generic *genericapiserver.Config) error {
	documents, err := discovery.New(discovery.Config{
		Container: s.Generic.Handler.GoRestfulContainer,
		OpenAPIV3: generic.OpenAPIV3Config,
		OpenAPIV2: generic.OpenAPIConfig,
		Bound:     func(gr schema.GroupResource) bool { return kinds.All.IsHosted(gr.Group) },
		Codecs:    s.scheme.Codecs,
	})
	if err != nil {
		return fmt.Errorf("preparing discovery for the host: %w", err)
	}
	var resources []*catalog.Resource
	for _, row := range kinds.All.Hosted() {
		resources = append(resources, &catalog.Resource{Group: row.GroupResource().Group, Plural: row.Resource, Typed: true})
	}
	s.projections.Serve(hostbinding.Serving{
		Schemas:    s.Schemas,
		Authorizer: s.authorizer,
		Documents:  documents,
		Own:        resources,
		Codecs:     s.scheme.Codecs,
	})
	return nil
}

// hostStatus remembers whether the host could be reached.
type hostStatus struct{ fault atomic.Pointer[string] }

// check returns why the host was not of use when it was last looked at.
func (h *hostStatus) check() error {
	if fault := h.fault.Load(); fault != nil {
		return fmt.Errorf("%s", *fault)
	}
	return nil
}

// watchHost looks at the host again and again.
func (s *Server) watchHost(ctx context.Context) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		bounded, cancel := context.WithTimeout(ctx, hostTimeout)
		defer cancel()
		err := s.config.Host.Reach(bounded)
		if ctx.Err() != nil {
			return
		}
		before := s.hostStatus.fault.Load()
		if err == nil {
			s.hostStatus.fault.Store(nil)
			return
		}
		fault := err.Error()
		s.hostStatus.fault.Store(&fault)
		if before == nil || *before == notYetReached {
			klog.FromContext(ctx).Error(err, "The host cluster cannot be reached; its users are served from caches or refused")
		}
	}, hostInterval)
}

// notYetReached is the state before the first look.
const notYetReached = "the host has not been reached yet"

// addHostHooks registers what follows the host.
func (s *Server) addHostHooks() error {
	if s.config.Host == nil {
		return nil
	}
	if err := s.Generic.AddPostStartHook("annex-projections", follow("annex-projections", s.projections.Run)); err != nil {
		return fmt.Errorf("adding hook annex-projections: %w", err)
	}
	if err := s.Generic.AddReadyzChecks(healthz.NamedCheck("projections", func(*http.Request) error { return s.projections.Ready() })); err != nil {
		return fmt.Errorf("adding the readiness check of projections: %w", err)
	}
	if s.config.Host.Reach == nil {
		return nil
	}
	first := notYetReached
	s.hostStatus.fault.Store(&first)
	if err := s.Generic.AddReadyzChecks(healthz.NamedCheck(hostCheck, func(*http.Request) error { return s.hostStatus.check() })); err != nil {
		return fmt.Errorf("adding the readiness check of the host: %w", err)
	}
	if err := s.Generic.AddPostStartHook("annex-host", func(hook genericapiserver.PostStartHookContext) error {
		go s.watchHost(hook)
		return nil
	}); err != nil {
		return fmt.Errorf("adding the look at the host: %w", err)
	}
	return nil
}

// sparingHost makes /readyz as a whole succeed while the host is gone: the server still serves everybody who comes to its
// own door, and a host that is gone sends nobody. The answer carries a Warning then, and /readyz/host fails.
func (s *Server) sparingHost(w http.ResponseWriter, r *http.Request) *http.Request {
	if s.config.Host == nil || s.config.Host.Reach == nil || strings.TrimSuffix(r.URL.Path, "/") != "/readyz" {
		return r
	}
	if err := s.hostStatus.check(); err != nil {
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
