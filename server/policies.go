package server

import (
	"context"
	"fmt"
	"slices"

	genericadmission "k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/generated/openapi"
	"github.com/annex-dev/annex/registry/annex"
	reviewtokens "github.com/annex-dev/annex/registry/authentication"
	reviewaccess "github.com/annex-dev/annex/registry/authorization"
	"github.com/annex-dev/annex/registry/core"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/tenancy"
	"github.com/annex-dev/annex/server/admission"
	"github.com/annex-dev/annex/server/admission/dynamic"
	"github.com/annex-dev/annex/server/admission/namespacelifecycle"
	"github.com/annex-dev/annex/server/admission/policy"
	"github.com/annex-dev/annex/server/admission/webhook"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/authentication/issuers"
	"github.com/annex-dev/annex/server/authentication/tokens"
	"github.com/annex-dev/annex/server/authorization"
	"github.com/annex-dev/annex/server/fairness"
	"github.com/annex-dev/annex/server/frontdoor"
	"github.com/annex-dev/annex/server/home"
	"github.com/annex-dev/annex/server/inprocess"
	"github.com/annex-dev/annex/server/outbound"
	"github.com/annex-dev/annex/server/refusals"
)

// policies is the third layer: what decides about requests to clusters, and what can be had of the stores under these policies.
type policies struct {
	authentication *authentication.Authentication
	// clusters decides about requests for clusters. The authorizer of the whole server, which knows virtual workspaces, too, is
	// made from it with the endpoints.
	clusters  *authorization.Authorizer
	admission genericadmission.Interface
	webhooks  *webhook.Plugins
	dynamic   *policy.Plugins
	limiter   *fairness.Limiter
	// guard makes the requests that tenants make the server send.
	guard *outbound.Guard

	// issuers are those that types of workspaces name.
	issuers *issuers.Issuers
	// tokens are those of ServiceAccounts.
	tokens *tokens.Tokens
	// client reads and writes all clusters as the server itself.
	client *inprocess.Client
	// groups are what users reach of the process's own, in the order of discovery.
	groups []*group.Group
}

func newPolicies(c Config, s *stores, i *indexes) (*policies, error) {
	p := &policies{tokens: newTokens(c, s), guard: outbound.New(c.Outbound)}
	var err error
	who := c.Authentication
	who.PathOf, who.Address, who.ServiceAccounts = s.paths.PathOf, frontdoor.AddressFrom, p.tokens
	p.issuers = issuers.New(issuers.Config{Cached: s.reader, Resolver: i.index, Guard: p.guard})
	who.Workspaces = p.issuers
	if p.authentication, err = authentication.New(who); err != nil {
		return nil, fmt.Errorf("building the authenticator: %w", err)
	}
	if p.clusters, err = authorization.New(authorization.Config{
		Evaluator:        i.evaluator,
		Clusters:         i.index,
		Catalog:          i.catalog,
		Policies:         i.maximal,
		Address:          frontdoor.AddressFrom,
		Host:             hostRules(c.Host),
		AlwaysAllowPaths: c.Authorization.AlwaysAllowPaths,
		Order:            c.Authorization.Order,
		Webhook:          c.Authorization.Webhook,
	}); err != nil {
		return nil, fmt.Errorf("building the authorizer: %w", err)
	}
	workspace := &dynamic.Workspace{Cached: s.reader, Live: s.reader.Live(), Authorizer: i.evaluator, Catalog: i.catalog}
	if p.webhooks, err = webhook.New(webhook.Config{
		Reader:       s.reader,
		Fresh:        s.gate(webhook.Followed()...),
		Workspace:    workspace,
		Guard:        p.guard,
		HostServices: c.Outbound.HostServices,
		Capacity:     c.Memory.Webhooks,
	}); err != nil {
		return nil, err
	}
	if p.dynamic, err = policy.New(policy.Config{
		Reader:        s.reader,
		Fresh:         s.gate(policy.Followed()...),
		Workspace:     workspace,
		TypeConverter: s.converter,
		Schemas: func() resolver.SchemaResolver {
			return resolver.NewDefinitionsSchemaResolver(openapi.GetOpenAPIDefinitions, c.Scheme.Scheme)
		},
		Capacity: c.Memory.Admission,
	}); err != nil {
		return nil, err
	}
	tied, err := hostNamespaces(c, s, func() client.Writer { return p.client }, namespacelifecycle.New(s.reader, s.reader.Live()))
	if err != nil {
		return nil, err
	}
	limited, err := hostQuotas(c, s)
	if err != nil {
		return nil, err
	}
	if p.admission, err = admission.New(admission.Config{
		Cached:             s.reader,
		Live:               s.reader.Live(),
		Resolver:           i.index,
		Authorizer:         i.evaluator,
		Policy:             i.evaluator,
		WorkspaceURL:       s.urls.Of,
		External:           s.urls.External,
		NamespaceLifecycle: tied,
		Mutating:           []genericadmission.Interface{p.dynamic.Mutating(), p.webhooks.Mutating()},
		Validating:         []genericadmission.Interface{p.dynamic.Rights(), p.dynamic.Validating(), p.webhooks.Validating()},
		Mounts:             c.Mounts != nil,
		Quotas:             s.backend,
		HostQuotas:         limited,
	}); err != nil {
		return nil, fmt.Errorf("building admission: %w", err)
	}
	metrics := fairness.NewMetrics()
	if err := metrics.Register(legacyregistry.Register); err != nil {
		return nil, err
	}
	if err := refusals.Register(legacyregistry.Register); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	p.limiter = fairness.New(c.Limits, s.paths.PathOf, metrics)
	if p.client, err = inprocess.New(s.reader, inprocess.Config{Scheme: c.Scheme.Scheme, TypeConverter: s.converter, Admission: p.admission}); err != nil {
		return nil, err
	}
	p.tokens.Share(p.client.Live(), p.client)
	if c.Homes != nil {
		tenancy.ServeHomes(s.tenancy, home.New(home.Config{
			Cached:     s.reader,
			Live:       s.reader.Live(),
			Authorizer: i.evaluator,
			Maker:      c.Homes.Maker(p.client, p.client.Live(), i.index),
			External:   s.urls.External,
		}))
	}
	core.ServeTokens(s.core, p.tokens, c.MaxTokenLife)
	access, err := reviewaccess.New(reviewaccess.Config{
		Decider: p.clusters, Evaluator: i.evaluator, Cached: s.reader, PathOf: s.paths.PathOf,
		Rules: reviewaccess.Rules{
			RBAC:    slices.Contains(c.Authorization.Order, authorization.RBAC),
			Webhook: c.Authorization.Webhook != nil,
			Host:    c.Host != nil,
		},
	})
	if err != nil {
		return nil, err
	}
	annex.ServeReviews(s.annex, access.Explanations(), access.WhoCan())
	guarded, err := build(
		func() (*group.Group, error) { return s.rbac.Guarded(i.evaluator) },
		func() (*group.Group, error) { return access.Group(), nil },
		func() (*group.Group, error) {
			return reviewtokens.NewGroup(p.authentication.Authenticator, func(ctx context.Context) string {
				return p.tokens.Audience(authentication.ClusterOf(ctx))
			})
		},
	)
	if err != nil {
		return nil, err
	}
	p.groups = slices.Concat(s.first, guarded, s.rest)
	if err := kinds.All.Check(p.groups); err != nil {
		return nil, fmt.Errorf("building REST storage: %w", err)
	}
	return p, nil
}

// newTokens returns the tokens of ServiceAccounts. They can be signed once there is a client to store keys with.
func newTokens(c Config, s *stores) *tokens.Tokens {
	config := tokens.Config{Cached: s.reader, External: func() string { return c.Addresses.External }, APIAudiences: c.APIAudiences}
	for _, resources := range tokens.Followed() {
		config.Fresh = append(config.Fresh, s.gate(resources...))
	}
	return tokens.New(config)
}
