package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrLocked means that somebody else works on the same tenant.
var ErrLocked = errors.New("somebody else works on the database")

// Tenant is a tenant's database while nobody else works on it. It is for one goroutine.
type Tenant struct {
	server *Server
	conn   *pgxpool.Conn
	name   Name
}

// Lock returns the tenant called name, for which Unlock is called in the end; ErrLocked if another process has it. A process that dies
// loses its locks.
func (s *Server) Lock(ctx context.Context, name Name) (*Tenant, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	var locked bool
	err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", string(name)).Scan(&locked)
	if err == nil && !locked {
		err = ErrLocked
	}
	if err == nil {
		err = s.guard(ctx, conn)
	}
	t := &Tenant{server: s, conn: conn, name: name}
	if err != nil {
		if locked {
			t.Unlock(ctx)
		} else {
			conn.Release()
		}
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	return t, nil
}

// Unlock lets others work on the tenant.
func (t *Tenant) Unlock(ctx context.Context) {
	if _, err := t.conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(hashtextextended($1, 0))", string(t.name)); err != nil {
		_ = t.conn.Conn().Close(context.WithoutCancel(ctx)) // which unlocks it, and keeps it out of the pool
	}
	t.conn.Release()
}

// Ensure makes the roles and the database, or what is missing of them.
func (t *Tenant) Ensure(ctx context.Context) error {
	roles := t.name.Logins()
	for _, role := range append([]string{string(t.name)}, roles[:]...) {
		if err := t.ensureRole(ctx, role); err != nil {
			return err
		}
	}
	var open bool
	var found int
	if err := t.conn.QueryRow(ctx, "SELECT count(*), coalesce(bool_and(datallowconn), false) FROM pg_database WHERE datname = $1", string(t.name)).Scan(&found, &open); err != nil {
		return fmt.Errorf("looking for %s: %w", t.name, err)
	}
	if found == 0 {
		// Others could enter until the next statement.
		if err := run(ctx, t.conn, "CREATE DATABASE %I OWNER %I TEMPLATE template0 ALLOW_CONNECTIONS false", string(t.name), string(t.name)); err != nil {
			return err
		}
	}
	if open {
		return nil
	}
	if err := run(ctx, t.conn, "REVOKE ALL ON DATABASE %I FROM PUBLIC", string(t.name)); err != nil {
		return err
	}
	return run(ctx, t.conn, "ALTER DATABASE %I ALLOW_CONNECTIONS true", string(t.name))
}

// ensureRole makes a role, all of it or nothing: the operator must be a member of the owner to give it a database, and of a login to end its
// sessions.
func (t *Tenant) ensureRole(ctx context.Context, role string) error {
	var found bool
	if err := t.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&found); err != nil {
		return fmt.Errorf("looking for %s: %w", role, err)
	}
	if found {
		return nil
	}
	tx, err := t.conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("making %s: %w", role, err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // does nothing after Commit
	err = run(ctx, tx, "CREATE ROLE %I NOLOGIN", role)
	if err == nil {
		err = run(ctx, tx, "GRANT %I TO CURRENT_USER", role)
	}
	if err == nil && role != string(t.name) {
		err = run(ctx, tx, "GRANT %I TO %I", string(t.name), role)
	}
	if err == nil && role != string(t.name) {
		err = run(ctx, tx, "ALTER ROLE %I SET role TO %I", role, string(t.name))
	}
	if err == nil {
		err = tx.Commit(ctx)
	}
	if err != nil {
		return fmt.Errorf("making %s: %w", role, err)
	}
	return nil
}

// Drop deletes the database with all data, and the roles.
func (t *Tenant) Drop(ctx context.Context) error {
	if err := run(ctx, t.conn, "DROP DATABASE IF EXISTS %I WITH (FORCE)", string(t.name)); err != nil {
		return err
	}
	logins := t.name.Logins()
	for _, role := range append(logins[:], string(t.name)) {
		err := run(ctx, t.conn, "DROP ROLE IF EXISTS %I", role)
		if code(err) == dependentObjects {
			if err = t.server.release(ctx, t.conn, role); err == nil {
				err = run(ctx, t.conn, "DROP ROLE IF EXISTS %I", role)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
