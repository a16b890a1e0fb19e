package annex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/annex-dev/annex/test/framework/host/process"
)

const (
	startTimeout = 2 * time.Minute
	stopGrace    = 30 * time.Second
)

// Contexts of the admin kubeconfig.
const (
	// ContextBase is an administrator (system:kcp:admin) at the URL without a path.
	ContextBase = "base"
	// ContextShardBase is system:masters at the URL without a path.
	ContextShardBase = "shard-base"
)

// Server is a running server.
type Server struct {
	tb  testing.TB
	dir string
	// program is what runs, from bin/; address is where it listens, empty for where its kubeconfig says.
	program, address string
	args             []string
	url              string
	proc             *process.Process
}

// Start runs a server in a directory of its own and stops it when the test ends. It returns when /readyz answers 200. args
// are further flags of `annex serve`.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s := &Server{tb: tb, dir: filepath.Join(tb.TempDir(), "annex"), program: "annex", args: args}
	s.Start()
	tb.Cleanup(func() { s.proc.Stop(stopGrace) })
	return s
}

// Launch runs a server with its data in dir for all tests of a program: each uses it through For, and TestMain ends it with
// Kill. It returns when /readyz answers 200.
func Launch(ctx context.Context, dir string, args ...string) (*Server, error) {
	return launch(ctx, &Server{dir: dir, program: "annex", args: args})
}

// LaunchReplica is Launch for one of several servers behind one external URL, which its kubeconfig names. It runs a program
// from bin/, such as annex-race, that listens on address, a host and port that stay the same when it is started again.
func LaunchReplica(ctx context.Context, program, address, dir string, args ...string) (*Server, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("starting a replica: %w", err)
	}
	return launch(ctx, &Server{dir: dir, program: program, address: address, args: append([]string{"--secure-port", port}, args...)})
}

func launch(ctx context.Context, s *Server) (*Server, error) {
	if err := s.start(ctx); err != nil {
		if s.proc != nil {
			s.Kill()
		}
		return nil, err
	}
	return s, nil
}

// For returns the running server with tb as the test that its faults fail.
func (s *Server) For(tb testing.TB) *Server {
	other := *s
	other.tb = tb
	return &other
}

// Start runs the server again after Kill or Stop, on the same data; its URL changes.
func (s *Server) Start() {
	s.tb.Helper()
	if err := s.start(s.tb.Context()); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *Server) start(ctx context.Context) error {
	binary, err := Program(s.program)
	if err != nil {
		return err
	}
	log := s.dir + ".log"
	// The kubeconfig of an earlier run names another port.
	kubeconfig := s.Kubeconfig()
	before, _ := os.Stat(kubeconfig)
	args := append([]string{"serve", "--root-directory", s.dir, "--bind-address", "127.0.0.1", "--secure-port", "0"}, s.args...)
	if s.proc, err = process.Start(binary, args, log); err != nil {
		return fmt.Errorf("starting annex: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if after, err := os.Stat(kubeconfig); err == nil && (before == nil || after.ModTime().After(before.ModTime())) {
			break
		}
		select {
		case <-s.proc.Done():
			return fmt.Errorf("annex ended at its start:\n%s", s.proc.Tail())
		case <-ctx.Done():
			return fmt.Errorf("annex wrote no kubeconfig in %s:\n%s", startTimeout, s.proc.Tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
	config, err := s.config(ContextBase)
	if err != nil {
		return err
	}
	s.url = config.Host
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("using the admin kubeconfig: %w", err)
	}
	if err := s.proc.WaitReady(ctx, client, s.url+"/readyz", 20*time.Millisecond); err != nil {
		return fmt.Errorf("annex is not ready: %w\n%s", err, s.proc.Tail())
	}
	return nil
}

// Stop ends the server in an orderly way.
func (s *Server) Stop() {
	s.tb.Helper()
	if s.proc.Stop(stopGrace) {
		s.tb.Errorf("annex did not stop within %s:\n%s", stopGrace, s.proc.Tail())
	}
}

// Kill ends the server at once, as a crash would.
func (s *Server) Kill() { s.proc.Kill() }

// Terminate asks the server to end and returns at once; Done tells when it is gone.
func (s *Server) Terminate() { _ = syscall.Kill(s.Pid(), syscall.SIGTERM) }

// Done returns a channel that is closed when the process is gone.
func (s *Server) Done() <-chan struct{} { return s.proc.Done() }

// Pid returns the id of the process.
func (s *Server) Pid() int { return s.proc.Pid() }

// URL returns the address of the server without a path.
func (s *Server) URL() string { return s.url }

// Dir returns the root directory of the server.
func (s *Server) Dir() string { return s.dir }

// Kubeconfig returns the path of the admin kubeconfig.
func (s *Server) Kubeconfig() string { return filepath.Join(s.dir, "admin.kubeconfig") }

// Log returns the end of what the server printed.
func (s *Server) Log() string { return s.proc.Tail() }

// Printed reports whether the server printed the text.
func (s *Server) Printed(text string) bool { return s.proc.Printed(text) }

// Config returns the credentials of a context of the admin kubeconfig, without client-side rate limits.
func (s *Server) Config(kubeContext string) *rest.Config {
	s.tb.Helper()
	config, err := s.config(kubeContext)
	if err != nil {
		s.tb.Fatal(err)
	}
	return config
}

func (s *Server) config(kubeContext string) (*rest.Config, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: s.Kubeconfig()},
		&clientcmd.ConfigOverrides{CurrentContext: kubeContext}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the admin kubeconfig: %w", err)
	}
	config.QPS = -1
	if named, err := url.Parse(config.Host); err == nil && s.address != "" {
		named.Host = s.address
		config.Host = named.String()
	}
	return config, nil
}

// Workspace returns the administrator's credentials for a workspace by path or name.
func (s *Server) Workspace(path string) *rest.Config {
	config := s.Config(ContextBase)
	config.Host = s.url + "/clusters/" + path
	return config
}

// As returns credentials of a static token for a workspace.
func (s *Server) As(token, path string) *rest.Config {
	config := rest.AnonymousClientConfig(s.Workspace(path))
	config.BearerToken = token
	config.QPS = -1
	return config
}

// Clients returns a typed and a dynamic client for config.
func Clients(tb testing.TB, config *rest.Config) (kubernetes.Interface, dynamic.Interface) {
	tb.Helper()
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	untyped, err := dynamic.NewForConfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	return typed, untyped
}

// Kubectl runs bin/kubectl as the administrator in a workspace and returns what it printed on stdout. It fails the test when
// kubectl fails.
func (s *Server) Kubectl(workspace, stdin string, args ...string) string {
	s.tb.Helper()
	out, stderr, err := s.TryKubectl(workspace, stdin, args...)
	if err != nil {
		s.tb.Fatalf("kubectl %s in %s: %v\n%s%s", strings.Join(args, " "), workspace, err, out, stderr)
	}
	return out
}

// TryKubectl is Kubectl for commands that may fail.
func (s *Server) TryKubectl(workspace, stdin string, args ...string) (stdout, stderr string, err error) {
	s.tb.Helper()
	binary, err := Program("kubectl")
	if err != nil {
		s.tb.Fatal(err)
	}
	return s.run(binary, stdin, append([]string{
		"--kubeconfig", s.Kubeconfig(), "--context", ContextBase, "--server", s.url + "/clusters/" + workspace,
		"--cache-dir", filepath.Join(s.dir, "..", "kubectl-cache"),
	}, args...))
}

// Helm runs bin/helm as the administrator in a workspace and returns what it printed on stdout. It fails the test when helm fails.
func (s *Server) Helm(workspace string, args ...string) string {
	s.tb.Helper()
	out, stderr, err := s.TryHelm(workspace, args...)
	if err != nil {
		s.tb.Fatalf("helm %s in %s: %v\n%s%s", strings.Join(args, " "), workspace, err, out, stderr)
	}
	return out
}

// TryHelm is Helm for commands that may fail.
func (s *Server) TryHelm(workspace string, args ...string) (stdout, stderr string, err error) {
	s.tb.Helper()
	binary, err := Program("helm")
	if err != nil {
		s.tb.Fatal(err)
	}
	return s.run(binary, "", append([]string{
		"--kubeconfig", s.Kubeconfig(), "--kube-context", ContextBase, "--kube-apiserver", s.url + "/clusters/" + workspace,
	}, args...))
}

func (s *Server) run(binary, stdin string, args []string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.tb.Context()), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, binary, args...)
	command.Env = append(os.Environ(), "HOME="+filepath.Dir(s.dir))
	command.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err = command.Run()
	return out.String(), errs.String(), err
}

// Program returns the absolute path of a program in bin/ of the repository. The error for a missing one says which make
// target builds it.
func Program(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		path := filepath.Join(dir, "bin", name)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("%s is missing: run `make bin/%s`", path, name)
		}
		return path, nil
	}
	return "", errors.New("the working directory is not in the repository")
}

// Status returns the code with which the server answers a request of config.
func Status(tb testing.TB, config *rest.Config, method, path string) int {
	tb.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		tb.Fatal(err)
	}
	request, err := http.NewRequestWithContext(tb.Context(), method, strings.TrimSuffix(config.Host, "/")+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode
}
