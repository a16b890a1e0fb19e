package server

import (
	"fmt"

	"github.com/annex-dev/annex/registry/tenancy"
	"github.com/annex-dev/annex/server/admission"
	"github.com/annex-dev/annex/server/admission/namespacelifecycle"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/authorization"
	"github.com/annex-dev/annex/server/frontdoor"
	"github.com/annex-dev/annex/server/virtual/hostbinding"
)

// urls says how workspaces are addressed.
func (s *Server) urls() tenancy.URLs {
	return tenancy.URLs{External: func() string { return s.config.Addresses.External }, PathOf: s.Index.PathOf}
}

// buildPolicies makes what decides about requests: who sends it, whether they may, and admission for writes.
func (s *Server) buildPolicies() (err error) {
	who := s.config.Authentication
	who.PathOf, who.Address = s.Index.PathOf, frontdoor.AddressFrom
	if s.authentication, err = authentication.New(who); err != nil {
		return fmt.Errorf("building the authenticator: %w", err)
	}
	s.authorizer, err = authorization.New(authorization.Config{
		Evaluator:        s.Evaluator,
		Clusters:         s.Index,
		Virtual:          s.exports,
		Host:             s.hostRules(),
		Projected:        hostbinding.Projected,
		AlwaysAllowPaths: authorization.DefaultAlwaysAllowPaths(),
	})
	if err != nil {
		return fmt.Errorf("building the authorizer: %w", err)
	}
	s.admission, err = admission.New(admission.Config{
		Cached:             s.Client,
		Live:               s.Client.Live(),
		Resolver:           s.Index,
		Authorizer:         s.Evaluator,
		WorkspaceURL:       s.urls().Of,
		NamespaceLifecycle: namespacelifecycle.New(s.Client, s.Client.Live()),
	})
	if err != nil {
		return fmt.Errorf("building admission: %w", err)
	}
	return nil
}
