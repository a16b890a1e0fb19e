package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// patience is how long PostgreSQL may take for one statement, and for a connection.
const patience = 30 * time.Second

// settings of each session. Those of a tenant's database do not count then: a tenant could make the session read-only, or run functions of
// its own by a search path.
var settings = map[string]string{
	"application_name":              "database-operator",
	"default_transaction_read_only": "off",
	"role":                          "none",
	"search_path":                   "pg_catalog",
	"statement_timeout":             fmt.Sprint(patience.Milliseconds()),
	"lock_timeout":                  fmt.Sprint(patience.Milliseconds()),
}

// Server is a PostgreSQL server. It is safe for concurrent use.
type Server struct {
	pool *pgxpool.Pool
	// guarded is set once it is known that tenants cannot enter databases that are not theirs.
	guarded atomic.Bool
}

// Open prepares connections to the server at uri, which names a role and the database that it works in, such as
// postgres://operator:password@db.example.com/postgres. It does not connect yet.
func Open(ctx context.Context, uri string) (*Server, error) {
	config, err := pgxpool.ParseConfig(uri)
	if err != nil {
		return nil, errors.New("the URI of the PostgreSQL server is not valid") // the error has the URI, and so the password
	}
	if config.ConnConfig.ConnectTimeout == 0 || config.ConnConfig.ConnectTimeout > patience {
		config.ConnConfig.ConnectTimeout = patience
	}
	for name, value := range settings {
		config.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("preparing connections to PostgreSQL: %w", err)
	}
	return &Server{pool: pool}, nil
}

// Close ends all connections.
func (s *Server) Close() { s.pool.Close() }

// Address returns where the server is.
func (s *Server) Address() (host string, port uint16) {
	config := s.pool.Config().ConnConfig
	return config.Host, config.Port
}

// LogsIn reports whether a program can log in to a database with a password. An error means that it is not known.
func (s *Server) LogsIn(ctx context.Context, name Name, login, password string) (bool, error) {
	config := s.pool.Config().ConnConfig.Copy()
	config.Database, config.User, config.Password = string(name), login, password
	config.RuntimeParams = map[string]string{"application_name": settings["application_name"]}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err == nil {
		return true, conn.Close(ctx)
	}
	switch code(err) {
	case invalidPassword, invalidAuthorization:
		return false, nil
	case tooManyConnections:
		return true, nil // it comes after the password
	}
	return false, fmt.Errorf("logging in to %s: %w", name, err)
}

// SQLSTATEs, see appendix A of PostgreSQL's documentation.
const (
	invalidAuthorization = "28000"
	invalidPassword      = "28P01"
	dependentObjects     = "2BP01"
	tooManyConnections   = "53300"
)

// code returns the SQLSTATE of an error, or nothing.
func code(err error) string {
	var failed *pgconn.PgError
	if errors.As(err, &failed) {
		return failed.Code
	}
	return ""
}

// session is a connection with which statements run.
type session interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// run runs a statement that takes no parameters, as those about roles and databases do not. PostgreSQL itself puts the values in, quoted: %I is
// for identifiers and %L for texts.
func run(ctx context.Context, s session, template string, values ...string) error {
	var statement string
	if err := s.QueryRow(ctx, "SELECT pg_catalog.format($1::text, VARIADIC $2::text[])", template, values).Scan(&statement); err != nil {
		return fmt.Errorf("preparing %q: %w", template, err)
	}
	if _, err := s.Exec(ctx, statement); err != nil {
		return fmt.Errorf("running %q: %w", template, err)
	}
	return nil
}
