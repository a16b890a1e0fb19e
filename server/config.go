package server

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/server/healthz"
	basetracing "k8s.io/component-base/tracing"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/kinds"
	registryschema "github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/admission/tree"
	"github.com/annex-dev/annex/server/auditing"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/fairness"
	"github.com/annex-dev/annex/server/home"
	"github.com/annex-dev/annex/server/memory"
	"github.com/annex-dev/annex/server/outbound"
	"github.com/annex-dev/annex/server/virtual"
	"github.com/annex-dev/annex/server/virtual/forward"
)

// Config is what a server is given. Everything is required unless it says otherwise.
type Config struct {
	Scheme *kinds.Scheme
	// Backend is where objects are stored; the caller destroys it once Run has returned.
	Backend *storage.Backend
	// ApplyServing sets listener, certificates, loopback credentials and audit in the stock configuration.
	ApplyServing func(*genericapiserver.Config) error
	// Authentication says who is let in; where requests come from is filled in by the server.
	Authentication authentication.Config
	// Authorization says who decides about requests.
	Authorization Authorization
	// Host is the cluster that the server is installed into; nil when it is installed into none. Authentication
	// says how its users are let in.
	Host *Host
	// Addresses are shown to clients; read anew for each object.
	Addresses Addresses
	// ShardName names the Shard object of the server.
	ShardName string
	// WorkspaceTypes adds the types organization and team.
	WorkspaceTypes bool
	// Homes gives users home workspaces; nil if they have none.
	Homes *Homes
	// Profiling serves /debug/pprof to system:masters.
	Profiling bool
	// MaxTokenLife is how long a token of a ServiceAccount is valid at most, except those in Secrets; 0 means no limit.
	MaxTokenLife time.Duration
	// APIAudiences are audiences of tokens for every workspace, in addition to its own; may be empty.
	APIAudiences []string
	// RequestTimeout bounds every request that is no watch.
	RequestTimeout time.Duration
	// ConversionTimeout bounds what the rules of an APIConversion take for one object; 0 stands for a second.
	ConversionTimeout time.Duration
	// Limits bound what is served at once, and what of it is for one workspace.
	Limits fairness.Config
	// MaxRefusals is how many refusals a second one origin may cause; 0 means no limit.
	MaxRefusals int
	// Outbound says where the requests go that tenants make the server send.
	Outbound outbound.Config
	// Mounts are what the server shows to servers that workspaces are mounted on, and to those of virtual storage; nil if workspaces may not be
	// mounted, and such storage is not served.
	Mounts *forward.Credentials
	// HealthChecks are shown by /readyz and /healthz in addition to those that every server has; may be nil.
	HealthChecks []healthz.HealthChecker
	// Tracer makes the spans of requests, see package tracing; nil for none. The server shuts it down.
	Tracer basetracing.TracerProvider
	// Memory says how much memory each cache may take; a cache for which it says 0 has a default.
	Memory memory.Budget
	// Virtual are virtual workspaces in addition to those that every server has; may be nil.
	Virtual []virtual.Workspace
	// ShutdownDelay is how long requests are served after the stop signal; ShutdownWatchGrace how long watches may end.
	ShutdownDelay, ShutdownWatchGrace time.Duration
}

// Authorization says who decides about requests, see package authorization.
type Authorization struct {
	// Order is who is asked, one after the other.
	Order []string
	// AlwaysAllowPaths are open to everybody.
	AlwaysAllowPaths []string
	// Webhook is asked at its place in Order; nil if there is none.
	Webhook authorizer.UnconditionalAuthorizer
}

// Homes says who has a home workspace, and how it is made.
type Homes struct {
	// Creators are the groups whose members may create one.
	Creators []string
	// Maker returns what makes them, with a client that writes as the server itself.
	Maker func(c client.Client, live client.Reader, clusters tree.Resolver) home.Maker
}

// Addresses are the URLs that the server shows, without a path.
type Addresses struct {
	// Base is for other servers, External for clients, Virtual for providers.
	Base, External, Virtual string
}

// maxRequestBodyBytes bounds the body of a request; it is what stock servers allow.
const maxRequestBodyBytes = 3 << 20

// stockConfig returns the configuration of the stock server.
func stockConfig(c Config, s *stores, p *policies, e *endpoints) (*genericapiserver.Config, error) {
	if p.authentication.Authenticator == nil || e.authorizer == nil || p.admission == nil {
		// The stock server would let everybody in.
		return nil, fmt.Errorf("a server needs an authenticator, an authorizer and admission")
	}
	config := genericapiserver.NewConfig(c.Scheme.Codecs)
	config.EffectiveVersion = effectiveVersion()
	if err := c.ApplyServing(config); err != nil {
		return nil, err
	}
	if config.AuditBackend != nil {
		config.AuditBackend = auditing.Backend{Backend: config.AuditBackend}
	}
	if c.Tracer != nil {
		config.TracerProvider = c.Tracer
	}
	config.OpenAPIConfig, config.OpenAPIV3Config = s.openAPI.v2, s.openAPI.v3
	config.SkipOpenAPIInstallation = true

	config.Authentication.Authenticator = p.authentication.Authenticator
	if ca := p.authentication.ClientCA; ca != nil {
		if err := config.Authentication.ApplyClientCert(ca, config.SecureServing); err != nil {
			return nil, fmt.Errorf("accepting client certificates: %w", err)
		}
	}
	if host := c.Authentication.Host; host != nil && host.RequestHeader != nil {
		config.Authentication.RequestHeaderConfig = host.RequestHeader
		if err := config.Authentication.ApplyClientCert(host.RequestHeader.CAContentProvider, config.SecureServing); err != nil {
			return nil, fmt.Errorf("accepting the certificate of the front proxy: %w", err)
		}
	}
	config.Authorization.Authorizer = e.authorizer
	config.AdmissionControl = registryschema.NoCreateWhileTerminating(p.admission)
	config.LongRunningFunc = genericfilters.BasicLongRunningRequestCheck(sets.NewString("watch", "proxy"), sets.NewString("attach", "exec", "proxy", "log", "portforward"))

	// As upstream shows the health of KMS plugins: a server that cannot reach one is not restarted.
	config.ReadyzChecks = append(config.ReadyzChecks, c.HealthChecks...)
	config.HealthzChecks = append(config.HealthzChecks, c.HealthChecks...)
	config.EnableProfiling = c.Profiling
	config.MaxRequestBodyBytes = maxRequestBodyBytes
	config.EnableIndex = false
	config.EnableDiscovery = false
	config.RequestTimeout = c.RequestTimeout
	// Our own filter limits (see newHandler): the stock one has a single pool, which one workspace could fill.
	config.MaxRequestsInFlight, config.MaxMutatingRequestsInFlight = 0, 0
	config.ShutdownDelayDuration = c.ShutdownDelay
	config.ShutdownWatchTerminationGracePeriod = c.ShutdownWatchGrace
	return config, nil
}
