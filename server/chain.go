package server

import (
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapiserver "k8s.io/apiserver/pkg/server"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/metadata"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/authorization"
	"github.com/annex-dev/annex/server/discovery"
	"github.com/annex-dev/annex/server/fairness"
	"github.com/annex-dev/annex/server/frontdoor"
	"github.com/annex-dev/annex/server/refusals"
	"github.com/annex-dev/annex/server/router"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// holdRefusal is how long a client waits for a 429 that it gets because of many refused requests. It is short for a user whose first request
// comes from the same address, and makes a flood of 100 clients one of 400 requests a second.
const holdRefusal = 250 * time.Millisecond

// newHandler returns the handler of all requests: the stock chain of c, which is called, never copied, and what stands around it and
// in it. From the outside in, with the step numbers of docs/request.md:
//
//	1 front door    resolves the cluster; before everything, since the rest needs it. Health ends here. Outside of it:
//	    leave       asks clients to connect anew, once the server was told to stop; health checks, too
//	2 stock chain   panic recovery, request info, timeouts, authentication, audit, impersonation, authorization.
//	                Authenticator and authorizer read the cluster from the context. Five filters stand outside of it:
//	    body        400 instead of 500 for a body that cannot be read
//	    undecided   503 instead of the stock chain's 500 when nobody can say whether the request is allowed
//	    refusals    429 for a client with too many refused requests, before authentication, which costs more
//	    outside     a sentence that clients show instead of a refusal that they do not, where they ask what is served
//	    requestor   remembers who asks before the stock chain replaces them by who is impersonated
//	3 fairness      waits for the turn of the cluster and of the user; behind authorization, so that nobody uses up the
//	                share of a cluster that they may not enter, and before all that costs much. Behind it:
//	    deadline    ends the work shortly before its time limit, so that an answer can still be given
//	    scope       confines who is impersonated to the cluster of the request, and marks the server's own reviews
//	4 router        what the cluster serves, or the virtual workspace; late, since it must see nothing that was not authorized
func newHandler(router http.Handler, shown func(apistatus.Refusal) http.Handler, door frontdoor.Config, limiter *fairness.Limiter, maxRefusals int, c *genericapiserver.Config) http.Handler {
	handler := authentication.WithImpersonationScope(router, door.Codecs)
	handler = withEarlierDeadline(authorization.WithDeepReviews(handler))
	handler = fairness.With(handler, limiter, door.Codecs)
	handler = apistatus.WithBody(apistatus.WithUndecided(genericapiserver.DefaultBuildHandlerChain(handler, c), door.Codecs))
	handler = refusals.With(handler, refusals.Config{PerSecond: maxRefusals, Hold: holdRefusal, Requestor: authentication.Requestor, Codecs: door.Codecs})
	handler = authentication.WithRequestor(apistatus.WithOutside(handler, shown))
	return withLeave(frontdoor.With(handler, door), c.ShutdownInitiatedNotify())
}

// newChain builds the fifth layer: the stock server with the groups of the process, and before it the way of a request.
func newChain(c Config, s *stores, i *indexes, p *policies, e *endpoints, host *hostHealth) (*genericapiserver.GenericAPIServer, error) {
	config, err := stockConfig(c, s, p, e)
	if err != nil {
		return nil, err
	}
	// The stock server wants its chain before its container holds anything. Ours is made of what is in the container, and takes
	// this one's place below, before the server runs.
	config.BuildHandlerChainFunc = func(http.Handler, *genericapiserver.Config) http.Handler { return http.NotFoundHandler() }
	generic, err := config.Complete(nil).New("annex", genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, fmt.Errorf("building the API server: %w", err)
	}
	// While it drains, it listens, and indexes follow storage. Set in the configuration, this would also put a filter into the chain that
	// sends clients away for 5 seconds. Without that filter they come back after one, to another server.
	generic.ShutdownSendRetryAfter = true
	if err := install(generic, c.Scheme, p.groups); err != nil {
		return nil, err
	}
	api := generic.Handler.Director
	documented := discovery.Config{
		Container: generic.Handler.GoRestfulContainer,
		OpenAPIV3: s.openAPI.v3,
		OpenAPIV2: s.openAPI.v2,
		IsBound:   kinds.All.IsBound,
		Codecs:    c.Scheme.Codecs,
		Cache:     e.documents,
	}
	documents, err := discovery.New(documented)
	if err != nil {
		return nil, fmt.Errorf("preparing discovery: %w", err)
	}
	if err := describeVirtual(e, documented); err != nil {
		return nil, err
	}
	outside, err := shownOutside(documented)
	if err != nil {
		return nil, err
	}
	hostDoor, err := newHostDoor(c, documented, e.projections)
	if err != nil {
		return nil, err
	}
	last := serve.New(serve.Config{
		Watches:  i.watches,
		Catalog:  e.shown,
		Inactive: s.paths.Inactive,
		Schemas:  e.schemas,
		API:      api,
		Filters:  filters(c.Backend),
		Plain:    kinds.All.IsPlain,
		Codecs:   c.Scheme.Codecs,
	})
	atEndpoints := &virtual.Handler{List: e.virtual, Version: api, Serve: last}
	inAll, err := metadata.New(metadata.Config{Options: c.Backend.CustomResources(), Served: e.shown.Anywhere, Codecs: c.Scheme.Codecs})
	if err != nil {
		return nil, err
	}
	routed := router.New(router.Config{
		API:       api,
		Catalog:   e.shown,
		Discovery: documents,
		Issuer:    p.tokens,
		Again:     p.clusters.Again,

		Identified: e.exports.Identified,
		Metadata:   inAll,
		Elsewhere:  e.bound,
		Usage:      c.Backend.Usage,
		Switched:   s.paths.Switched,
		Virtual:    atEndpoints,
		Base:       e.base.Has,
		Serve:      last,
	})
	atEndpoints.Inside = http.HandlerFunc(routed.Inside)
	door := frontdoor.Config{
		Resolver: i.index,
		Mounts:   e.mounts,
		Virtual:  e.virtual,
		Tokens:   p.tokens,
		// Before the chain: a probe must not wait behind the requests of a tenant.
		Health: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// As the chain says of every answer.
			w.Header().Set("Cache-Control", "no-cache, private")
			generic.Handler.NonGoRestfulMux.ServeHTTP(w, host.sparing(w, r))
		}),
		Host:   hostDoor,
		Codecs: c.Scheme.Codecs,
	}
	generic.Handler.FullHandlerChain = newHandler(routed, outside, door, p.limiter, c.MaxRefusals, config)
	return generic, nil
}

// describeVirtual gives virtual workspaces the documents of all that they can make reachable.
func describeVirtual(e *endpoints, documented discovery.Config) error {
	documented.IsBound = func(schema.GroupResource) bool { return true } // nothing is everywhere
	documents, err := discovery.New(documented)
	if err != nil {
		return fmt.Errorf("preparing discovery for virtual workspaces: %w", err)
	}
	e.exports.Describe(documents)
	e.initializing.Describe(documents)
	e.terminating.Describe(documents)
	e.schemasOf.Describe(documents)
	e.replication.Describe(documents)
	return nil
}

// filters returns what says of a resource that its storage asks filters. Events of both groups have one storage.
func filters(b *storage.Backend) func(schema.GroupResource) bool {
	return func(gr schema.GroupResource) bool {
		if gr == eventsv1.Resource("events") {
			gr = corev1.Resource("events")
		}
		return b.Filters(gr)
	}
}

// shownOutside returns what discovery shows to a user whom a workspace does not let in: of one that is inactive, the resource that makes
// it active again, and nothing otherwise.
func shownOutside(documented discovery.Config) (func(apistatus.Refusal) http.Handler, error) {
	switchable := corev1alpha1.Resource("logicalclusters")
	documented.IsBound = func(schema.GroupResource) bool { return true } // nothing is everywhere
	documented.Cache = nil                                               // the others show more
	documents, err := discovery.New(documented)
	if err != nil {
		return nil, fmt.Errorf("preparing discovery for those who are not let in: %w", err)
	}
	nothing := documents.HandlerWithoutBase(catalog.NewSnapshot(), "")
	switches := documents.HandlerWithoutBase(catalog.NewSnapshot(
		&catalog.Resource{Group: switchable.Group, Plural: switchable.Resource, Hash: "typed", Typed: true}), "")
	return func(r apistatus.Refusal) http.Handler {
		if r.Inactive {
			return switches
		}
		return nothing
	}, nil
}

// install serves the groups on the stock server.
func install(generic *genericapiserver.GenericAPIServer, types *kinds.Scheme, groups []*group.Group) error {
	for _, g := range groups {
		info := genericapiserver.NewDefaultAPIGroupInfo(g.Name, types.Scheme, types.ParameterCodec, types.Codecs)
		info.VersionedResourcesStorageMap = g.Versions
		install := func() error { return generic.InstallAPIGroup(&info) }
		if g.Name == "" {
			install = func() error { return generic.InstallLegacyAPIGroup(genericapiserver.DefaultLegacyAPIPrefix, &info) }
		}
		if err := install(); err != nil {
			return fmt.Errorf("installing API group %q: %w", g.Name, err)
		}
	}
	return nil
}
