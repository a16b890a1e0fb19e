package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// guard is an error unless the databases that every server has are closed to tenants. README.md says how to close them.
func (s *Server) guard(ctx context.Context, conn session) error {
	if s.guarded.Load() {
		return nil
	}
	var open []string
	if err := conn.QueryRow(ctx, `SELECT coalesce(array_agg(datname::text ORDER BY datname), '{}') FROM pg_database
		WHERE datallowconn AND datname IN (current_database(), 'postgres', 'template1') AND has_database_privilege('public', oid, 'CONNECT')`).Scan(&open); err != nil {
		return fmt.Errorf("looking who may connect: %w", err)
	}
	if len(open) > 0 {
		return fmt.Errorf("everybody may connect to %s: no database is made before REVOKE CONNECT ON DATABASE ... FROM PUBLIC", strings.Join(open, ", "))
	}
	s.guarded.Store(true)
	return nil
}

// release takes away what other tenants gave to a role in their databases, so that it can be dropped: any tenant can grant something to a role
// whose name it reads in pg_roles. What those tenants did to keep the operator out is undone, too.
func (s *Server) release(ctx context.Context, conn session, role string) error {
	var databases []string
	if err := conn.QueryRow(ctx, `SELECT coalesce(array_agg(DISTINCT d.datname::text), '{}')
		FROM pg_shdepend s JOIN pg_roles r ON s.refobjid = r.oid JOIN pg_database d ON s.dbid = d.oid
		WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = $1`, role).Scan(&databases); err != nil {
		return fmt.Errorf("looking what depends on %s: %w", role, err)
	}
	for _, database := range databases {
		if err := s.releaseIn(ctx, conn, database, role); err != nil {
			return fmt.Errorf("releasing %s in %s: %w", role, database, err)
		}
	}
	return run(ctx, conn, "DROP OWNED BY %I", role) // also what was given of whole databases
}

func (s *Server) releaseIn(ctx context.Context, conn session, database, role string) error {
	for _, statement := range []string{"ALTER DATABASE %I ALLOW_CONNECTIONS true CONNECTION LIMIT -1", "GRANT CONNECT ON DATABASE %I TO CURRENT_USER"} {
		if err := run(ctx, conn, statement, database); err != nil {
			return err
		}
	}
	config := s.pool.Config().ConnConfig.Copy()
	config.Database = database
	there, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = there.Close(ctx) }()
	return run(ctx, there, "DROP OWNED BY %I", role)
}
