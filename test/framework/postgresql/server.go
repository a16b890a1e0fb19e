package postgresql

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/framework/host/process"
)

const (
	startTimeout = 2 * time.Minute
	stopGrace    = 30 * time.Second
	// nobody is who runs PostgreSQL in place of root.
	nobody = 65534
	// superuser may do everything.
	superuser = "postgres"
)

// Server is a PostgreSQL server.
type Server struct {
	programs *programs
	dir      string
	port     int
	password string
	proc     *process.Process
}

// Start runs a server until the test ends. It skips the test if this machine cannot have one.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := Run(tb.Context())
	if errors.Is(err, ErrNone) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Run runs a server until Close; ErrNone if this machine cannot have one.
func Run(ctx context.Context) (_ *Server, err error) {
	s := &Server{password: rand.Text()}
	if s.programs, err = find(); err != nil {
		return nil, err
	}
	// Not below a folder of the test: another user has to get there.
	if s.dir, err = os.MkdirTemp("", "annex-postgresql"); err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	if err = s.prepare(ctx); err == nil {
		err = s.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) prepare(ctx context.Context) error {
	password := filepath.Join(s.dir, "password")
	err := errors.Join(os.Chmod(s.dir, 0o711), os.Mkdir(s.data(), 0o700), os.WriteFile(password, []byte(s.password), 0o400))
	if root() {
		err = errors.Join(err, os.Chown(s.data(), nobody, nobody), os.Chown(password, nobody, nobody))
	}
	if err != nil {
		return fmt.Errorf("preparing folders: %w", err)
	}
	if s.port, err = process.FreePort(ctx); err != nil {
		return err
	}
	initdb := exec.CommandContext(ctx, s.programs.path("initdb"), "--pgdata", s.data(), "--username", superuser, "--pwfile", password, "--auth", "scram-sha-256",
		"--no-sync", "--no-locale", "--encoding", "UTF8")
	initdb.Env, initdb.Dir = s.programs.env, s.dir
	if root() {
		initdb.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("making a PostgreSQL: %w\n%s", err, out)
	}
	return nil
}

func root() bool { return os.Geteuid() == 0 }

// start runs the server and waits until it answers. What a killed one has left may need a moment to end.
func (s *Server) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := s.launch(ctx)
		if err == nil || ctx.Err() != nil || !s.proc.Printed("is still in use") {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (s *Server) launch(ctx context.Context) (err error) {
	args := []string{"-D", s.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-k", "", "-F", "-c", "shared_buffers=16MB", "-c", "max_connections=100"}
	run := func() (*process.Process, error) {
		if root() {
			return process.StartAs(nobody, s.programs.path("postgres"), args, s.log())
		}
		return process.Start(s.programs.path("postgres"), args, s.log())
	}
	if s.proc, err = run(); err != nil {
		return err
	}
	for {
		_, err := s.As("postgres", superuser, s.password, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.proc.Done():
			return fmt.Errorf("PostgreSQL ended at its start:\n%s", s.proc.Tail())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, s.proc.Tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

// Close ends the server and deletes its data.
func (s *Server) Close() error {
	if s.proc != nil {
		_ = s.proc.Stop(stopGrace)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("deleting the data of PostgreSQL: %w", err)
	}
	return nil
}

// Kill ends the server at once, as a crash would.
func (s *Server) Kill() { s.proc.Kill() }

// Restart runs the server again after Kill, on the same data and port.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	if err := s.start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// Address returns host and port.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URI returns where a user works in the database postgres.
func (s *Server) URI(user, password string) string {
	return (&url.URL{Scheme: "postgresql", User: url.UserPassword(user, password), Host: s.Address(), Path: "/postgres"}).String()
}

// Ask runs SQL as the superuser in the database postgres, and returns the rows, with | between columns.
func (s *Server) Ask(tb testing.TB, sql string) []string {
	tb.Helper()
	out, err := s.As("postgres", superuser, s.password, sql)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Fields(out)
}

// Script runs a file of SQL as the superuser, with variables of psql such as name=value.
func (s *Server) Script(ctx context.Context, file string, variables ...string) error {
	args := []string{"--file", file}
	for _, v := range variables {
		args = append(args, "--set", v)
	}
	_, err := s.psql(ctx, "postgres", superuser, s.password, args...)
	return err
}

// As runs SQL as a user and returns what psql prints: a line for each row.
func (s *Server) As(database, user, password, sql string) (string, error) {
	return s.psql(context.Background(), database, user, password, "--command", sql)
}

func (s *Server) psql(ctx context.Context, database, user, password string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, s.programs.path("psql"), append([]string{
		"--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set", "ON_ERROR_STOP=1", "--no-password",
		"--host", "127.0.0.1", "--port", strconv.Itoa(s.port), "--username", user, "--dbname", database,
	}, args...)...)
	command.Env = append(append([]string{}, s.programs.env...), "PGPASSWORD="+password, "PGCONNECT_TIMEOUT=30")
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("psql as %s in %s: %w: %s", user, database, err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
