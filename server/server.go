package server

import (
	"context"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/content"
	"github.com/annex-dev/annex/registry/index"
	"github.com/annex-dev/annex/server/admission/policy"
	"github.com/annex-dev/annex/server/authentication/tokens"
	"github.com/annex-dev/annex/server/inprocess"
)

// Server serves workspaces.
type Server struct {
	// Generic is the stock server underneath.
	Generic *genericapiserver.GenericAPIServer
	// Client reads and writes all clusters as the server itself.
	Client *inprocess.Client
	// Content lists and deletes what clusters store.
	Content *content.Content
	// Tokens issues tokens of ServiceAccounts.
	Tokens *tokens.Tokens
	// Index finds clusters by path.
	Index *index.Index
	// Types checks the expressions of admission policies.
	Types *policy.Plugins
	// Work does work for a cluster. It gives way to requests of others while the cluster has many.
	Work func(ctx context.Context, cluster logicalcluster.Name, work func(context.Context))

	config       Config
	bootstrapped chan struct{}
}

// New builds a server in layers, each made of those before it; nothing runs and nothing is read from storage before [Server.Run].
func New(c Config) (*Server, error) {
	stores, err := newStores(c)
	if err != nil {
		return nil, err
	}
	indexes := newIndexes(c, stores)
	if err := indexes.census.Register(legacyregistry.Register, legacyregistry.CustomRegister); err != nil {
		return nil, err
	}
	policies, err := newPolicies(c, stores, indexes)
	if err != nil {
		return nil, err
	}
	endpoints, err := newEndpoints(c, stores, indexes, policies)
	if err != nil {
		return nil, err
	}
	host := newHostHealth(c.Host)
	generic, err := newChain(c, stores, indexes, policies, endpoints, host)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Generic:      generic,
		Client:       policies.client,
		Content:      endpoints.content,
		Tokens:       policies.tokens,
		Index:        indexes.index,
		Types:        policies.dynamic,
		Work:         policies.limiter.Work,
		config:       c,
		bootstrapped: make(chan struct{}),
	}
	return s, s.addHooks(indexes, policies, endpoints, host)
}

// Run serves until ctx ends, then drains and stops.
func (s *Server) Run(ctx context.Context) error {
	return s.Generic.PrepareRun().RunWithContext(ctx)
}
