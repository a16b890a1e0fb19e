package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/bootstrap"
	"github.com/annex-dev/annex/server/virtual"
)

// bootstrapInterval is how soon a bootstrap that storage refused is tried again.
const bootstrapInterval = 100 * time.Millisecond

// controllersTimeout is how long controllers may take to end, and to hand over to another server.
const controllersTimeout = 10 * time.Second

// etcdTimeout is how long etcd may take to answer before /readyz fails.
const etcdTimeout = 2 * time.Second

// addHooks registers what runs apart from requests and what /readyz waits for. A hook that has not returned keeps /readyz
// from succeeding.
func (s *Server) addHooks(i *indexes, p *policies, e *endpoints, host *hostHealth) error {
	followers := map[string]func(context.Context) error{
		"annex-rbac":     i.evaluator.Run,
		"annex-index":    i.index.Run,
		"annex-catalog":  i.catalog.Run,
		"annex-maximal":  i.maximal.Run,
		"annex-census":   i.census.Run,
		"annex-webhooks": p.webhooks.Run,
		"annex-policies": p.dynamic.Run,
	}
	for _, w := range e.virtual {
		if follower, ok := w.(virtual.Follower); ok {
			followers["annex-"+w.Name()] = follower.Run
		}
	}
	for name, run := range followers {
		if err := s.Generic.AddPostStartHook(name, follow(name, run)); err != nil {
			return fmt.Errorf("adding hook %s: %w", name, err)
		}
	}
	if err := s.Generic.AddPostStartHook("annex-logins", logins(p.authentication)); err != nil {
		return fmt.Errorf("adding the hook of logins: %w", err)
	}
	if err := s.Generic.AddPostStartHook("annex-bootstrap", s.bootstrap); err != nil {
		return fmt.Errorf("adding the bootstrap: %w", err)
	}
	if err := s.Generic.AddReadyzChecks(
		healthz.NamedCheck("etcd", func(r *http.Request) error {
			ctx, cancel := context.WithTimeout(r.Context(), etcdTimeout)
			defer cancel()
			return s.config.Backend.Reachable(ctx)
		}),
		healthz.NamedCheck("watch-caches", func(*http.Request) error { return s.config.Backend.Ready() }),
		healthz.NamedCheck("path-index", func(*http.Request) error { return s.Index.Ready() }),
	); err != nil {
		return fmt.Errorf("adding readiness checks: %w", err)
	}
	s.Generic.RegisterDestroyFunc(e.schemas.Close)
	return s.addHostHooks(host, e.projections)
}

// follow runs what keeps an index in step with storage, for as long as requests are answered: after the stop signal, too,
// while another server may have begun to write. That is how long the context of a hook lives.
func follow(name string, run func(context.Context) error) genericapiserver.PostStartHookFunc {
	return func(hook genericapiserver.PostStartHookContext) error {
		go func() {
			if err := run(hook.Context); err != nil && hook.Err() == nil {
				klog.FromContext(hook.Context).Error(err, "Index no longer follows storage", "index", name)
			}
		}()
		return nil
	}
}

// logins follows the files and issuers that say who is let in. It waits for none of them: requests with other credentials are served.
func logins(a *authentication.Authentication) genericapiserver.PostStartHookFunc {
	return func(hook genericapiserver.PostStartHookContext) error {
		go func() {
			if err := a.Run(hook.Context); err != nil {
				klog.FromContext(hook.Context).Error(err, "No tokens of issuers are accepted")
			}
		}()
		return nil
	}
}

// bootstrap writes what must exist before anybody is served, again and again until storage takes it.
func (s *Server) bootstrap(hook genericapiserver.PostStartHookContext) error {
	err := wait.PollUntilContextCancel(hook.Context, bootstrapInterval, true, func(ctx context.Context) (bool, error) {
		if err := s.config.Backend.Ready(); err != nil {
			return false, nil //nolint:nilerr // the caches are about to start; /readyz shows the reason
		}
		err := bootstrap.Run(ctx, s.Client, bootstrap.Config{
			ShardName:      s.config.ShardName,
			BaseURL:        s.config.Addresses.Base,
			ExternalURL:    s.config.Addresses.External,
			VirtualURL:     s.config.Addresses.Virtual,
			WorkspaceTypes: s.config.WorkspaceTypes,
			Homes:          s.config.Homes != nil,
			HomeCreators:   s.homeCreators(),
		})
		if err != nil {
			klog.FromContext(ctx).Error(err, "Bootstrap failed, trying again")
			return false, nil
		}
		return true, nil
	})
	if err == nil {
		close(s.bootstrapped)
	}
	return nil
}

// homeCreators returns the groups whose members may create home workspaces.
func (s *Server) homeCreators() []string {
	if s.config.Homes == nil {
		return nil
	}
	return s.config.Homes.Creators
}

// AddController has run called apart from requests, from when the bootstrap has ended and paths are known until the stop signal. The server
// goes on until run has returned, for a time.
func (s *Server) AddController(name string, run func(ctx context.Context) error) error {
	stop, done := make(chan struct{}), make(chan struct{})
	if err := s.Generic.AddPreShutdownHook(name, func() error {
		// The context of hooks ends only after this one has returned.
		close(stop)
		select {
		case <-done:
		case <-time.After(controllersTimeout):
		}
		return nil
	}); err != nil {
		return fmt.Errorf("adding the end of controller %s: %w", name, err)
	}
	return s.Generic.AddPostStartHook(name, func(hook genericapiserver.PostStartHookContext) error {
		go func() {
			defer close(done)
			s.runController(hook.Context, name, stop, run)
		}()
		return nil
	})
}

// runController calls run when controllers may begin, and ends it when stop is closed.
func (s *Server) runController(ctx context.Context, name string, stop <-chan struct{}, run func(ctx context.Context) error) {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-running.Done():
		case <-stop:
			cancel()
		}
	}()
	// Controllers look up paths. An error for each object, which is tried again later and later, would say no more than this.
	if !s.WaitReady(running) {
		return
	}
	if err := run(running); err != nil && running.Err() == nil {
		klog.FromContext(ctx).Error(err, "Controller ended", "controller", name)
	}
}

// WaitReady returns true as soon as the server has bootstrapped and knows all clusters; false when ctx ends before.
func (s *Server) WaitReady(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-s.bootstrapped:
	}
	return wait.PollUntilContextCancel(ctx, bootstrapInterval, true, func(context.Context) (bool, error) {
		return s.Index.Ready() == nil, nil
	}) == nil
}
