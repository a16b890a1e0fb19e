package annextest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	startTimeout = 2 * time.Minute
	stopGrace    = 20 * time.Second
	pollEvery    = 10 * time.Millisecond
)

// Contexts of the server's kubeconfig, at the URL without a workspace.
const (
	administrator = "base"
	masters       = "shard-base"
)

// Server is a running server. Its methods are safe for many tests at once.
type Server struct {
	dir     string
	process *process
	// admin is an administrator of all workspaces; master may impersonate everybody. The host of both is the URL of the server.
	admin, master *rest.Config
}

// Start runs a server that ends with the test. It returns when the server is ready. Flags are further flags of `annex serve`. If the test
// fails, it logs the end of what the server printed.
func Start(tb testing.TB, flags ...string) *Server {
	tb.Helper()
	s, err := Launch(tb.Context(), tb.TempDir(), flags...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.Stop()
		if tb.Failed() {
			tb.Logf("the Annex server printed:\n%s", s.Log())
		}
	})
	return s
}

// Launch runs a server with its data in dir, for TestMain. It returns when the server is ready; ctx is for the start only. Call Stop when the
// tests are done.
func Launch(ctx context.Context, dir string, flags ...string) (*Server, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	// The kubeconfig of an earlier server leads to a port that nobody listens on.
	if err := os.Remove(s.Kubeconfig()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the kubeconfig of an earlier server: %w", err)
	}
	args := append([]string{"serve", "--root-directory", dir, "--bind-address", "127.0.0.1", "--secure-port", "0"}, flags...)
	if s.process, err = run(binary, args, filepath.Join(dir, "annex.log")); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.wait(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("starting Annex: %w. It printed:\n%s", err, s.Log())
	}
	return s, nil
}

// wait returns when the server is ready.
func (s *Server) wait(ctx context.Context) (err error) {
	// The file appears as a whole.
	if err := s.until(ctx, "a kubeconfig", func() bool { _, err := os.Stat(s.Kubeconfig()); return err == nil }); err != nil {
		return err
	}
	if s.admin, err = s.config(administrator); err != nil {
		return err
	}
	if s.master, err = s.config(masters); err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(s.admin)
	if err != nil {
		return fmt.Errorf("using the kubeconfig: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.admin.Host+"/readyz", nil)
	if err != nil {
		return err
	}
	return s.until(ctx, "an answer that it is ready", func() bool {
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// until returns when condition is true. It is an error if the server ends before.
func (s *Server) until(ctx context.Context, what string, condition func() bool) error {
	for {
		if condition() {
			return nil
		}
		select {
		case <-s.process.done:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}

func (s *Server) config(kubeContext string) (*rest.Config, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: s.Kubeconfig()}, &clientcmd.ConfigOverrides{CurrentContext: kubeContext}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS = -1 // the server limits its clients
	return config, nil
}

// Stop ends the server. Its data stays.
func (s *Server) Stop() { s.process.stop(stopGrace) }

// URL returns the address of the server.
func (s *Server) URL() string { return s.admin.Host }

// Kubeconfig returns the path of the administrator's kubeconfig.
func (s *Server) Kubeconfig() string { return filepath.Join(s.dir, "admin.kubeconfig") }

// Log returns the end of what the server printed.
func (s *Server) Log() string { return s.process.tail() }
