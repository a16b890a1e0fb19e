package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/annex-dev/annex/test/framework/host/process"
)

const (
	// readyInterval bounds how exact the cold-start figure is.
	readyInterval = 5 * time.Millisecond
	// readyTimeout is for 100,000 workspaces on a busy machine.
	readyTimeout = 15 * time.Minute
	// stopGrace is how long the server may take to end before it is killed.
	stopGrace = time.Minute
)

// server is the server that the program starts, stops and starts again with the
// same directory and port.
type server struct {
	binary string
	args   []string
	dir    string
	log    string
	port   int

	process *process.Process // nil when it does not run
	// startup is how long the last start took, from the fork to /readyz.
	startup time.Duration
}

// newServer prepares a server that keeps its data in dir. Relative paths of
// binaries are those of the working directory.
func newServer(ctx context.Context, o options, dir string) (*server, error) {
	binary, err := filepath.Abs(o.serverBinary)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", o.serverBinary, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory for the server: %w", err)
	}
	port := o.securePort
	if port == 0 {
		if port, err = process.FreePort(ctx); err != nil {
			return nil, err
		}
	}
	return &server{binary: binary, args: o.serverArgs, dir: dir, log: dir + ".log", port: port}, nil
}

// letIn makes the server know the users of a token file from its next start on.
func (s *server) letIn(tokenFile string) error {
	file := s.dir + ".tokens"
	if err := os.WriteFile(file, []byte(tokenFile), 0o600); err != nil {
		return fmt.Errorf("writing the tokens of users: %w", err)
	}
	s.args = append(s.args, "--token-auth-file", file)
	return nil
}

func (s *server) kubeconfig() string { return filepath.Join(s.dir, "admin.kubeconfig") }

// pid returns 0 when the server does not run.
func (s *server) pid() int {
	if s.process == nil {
		return 0
	}
	return s.process.Pid()
}

// start returns when /readyz answers 200.
func (s *server) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	// Readiness is asked without credentials and without checking the
	// certificate: neither exists before the first start.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()

	args := append([]string{"serve", "--root-directory", s.dir, "--secure-port", strconv.Itoa(s.port)}, s.args...)
	begin := time.Now()
	p, err := process.Start(s.binary, args, s.log)
	if err != nil {
		return err
	}
	s.process = p
	url := fmt.Sprintf("https://127.0.0.1:%d/readyz", s.port)
	if err := p.WaitReady(ctx, &http.Client{Transport: transport}, url, readyInterval); err != nil {
		s.stop()
		return fmt.Errorf("waiting for %s: %w; its last lines:\n%s", s.binary, err, p.Tail())
	}
	s.startup = time.Since(begin)
	return nil
}

// kill ends the server as a crash would.
func (s *server) kill() {
	if s.process != nil {
		s.process.Kill()
		s.process = nil
	}
}

// stop does nothing when the server does not run. It reports whether the server
// had to be killed.
func (s *server) stop() (killed bool) {
	if s.process != nil {
		killed = s.process.Stop(stopGrace)
		s.process = nil
	}
	return killed
}
