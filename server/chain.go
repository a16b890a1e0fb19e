package server

import (
	"net/http"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/authorization"
	"github.com/annex-dev/annex/server/fairness"
	"github.com/annex-dev/annex/server/frontdoor"
	"github.com/annex-dev/annex/server/router"
)

// buildChain returns the handler chain of the server. The stock chain is called, never copied; from the outside in:
//
//	1 front door    resolves the cluster; before everything, since the rest needs it. Health ends here
//	2 undecided     503 instead of the stock chain's 500 when nobody can say whether the request is allowed
//	  requestor     remembers who asks before the stock chain replaces them by who is impersonated
//	3 stock chain   panic recovery, request info, timeouts, authentication, audit, impersonation, authorization.
//	                Authenticator and authorizer read the cluster from the context
//	4 fairness      waits for the turn of the cluster and of the user; behind authorization, so that nobody uses up the
//	                share of a cluster that they may not enter, and before all that costs much
//	5 scope         confines who is impersonated to the cluster of the request, and marks the server's own reviews
//	                And ends the work shortly before its time limit, so that an answer can still be given
//	6 router        what the cluster serves; late, since it must see nothing that was not authorized
//	7 api           the go-restful container of the process's own groups
func (s *Server) buildChain(api http.Handler, c *genericapiserver.Config) http.Handler {
	handler := authentication.WithImpersonationScope(router.New(api, &s.routes), s.scheme.Codecs)
	handler = withEarlierDeadline(authorization.WithDeepReviews(handler))
	handler = fairness.With(handler, s.limiter, s.scheme.Codecs)
	handler = authentication.WithRequestor(genericapiserver.DefaultBuildHandlerChain(handler, c))
	handler = apistatus.WithUndecided(handler, s.scheme.Codecs)
	return frontdoor.With(handler, frontdoor.Config{
		Resolver: s.Index,
		Health:   http.HandlerFunc(s.serveHealth),
		Host:     s.hostDoor(),
		Codecs:   s.scheme.Codecs,
	})
}

// buildLimiter prepares what decides whose turn it is.
func (s *Server) buildLimiter() error {
	metrics := fairness.NewMetrics()
	if err := metrics.Register(legacyregistry.Register); err != nil {
		return err
	}
	s.limiter = fairness.New(s.config.Limits, metrics)
	return nil
}

// serveHealth answers before the chain: a probe must not wait behind the requests of a tenant.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	s.Generic.Handler.NonGoRestfulMux.ServeHTTP(w, s.sparingHost(w, r))
}
