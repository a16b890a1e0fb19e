package postgres

import (
	"context"
	"fmt"
)

// OpenLogin lets a login in with this password and no other, with at most limit connections at once.
func (t *Tenant) OpenLogin(ctx context.Context, login, password string, limit int32) error {
	secret, err := newVerifier(password)
	if err != nil {
		return err
	}
	return run(ctx, t.conn, "ALTER ROLE %I LOGIN PASSWORD %L CONNECTION LIMIT %s", login, secret, fmt.Sprint(limit))
}

// LimitLogin changes how many connections a login may have at once.
func (t *Tenant) LimitLogin(ctx context.Context, login string, limit int32) error {
	var is bool
	if err := t.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND rolconnlimit = $2)", login, limit).Scan(&is); err != nil {
		return fmt.Errorf("looking for the limit of %s: %w", login, err)
	}
	if is {
		return nil
	}
	return run(ctx, t.conn, "ALTER ROLE %I CONNECTION LIMIT %s", login, fmt.Sprint(limit))
}

// IsOpen reports whether a login can log in.
func (t *Tenant) IsOpen(ctx context.Context, login string) (bool, error) {
	var open bool
	if err := t.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND rolcanlogin)", login).Scan(&open); err != nil {
		return false, fmt.Errorf("looking whether %s is open: %w", login, err)
	}
	return open, nil
}

// CloseLogin ends all sessions of a login, which cannot log in any more.
func (t *Tenant) CloseLogin(ctx context.Context, login string) error {
	if err := run(ctx, t.conn, "ALTER ROLE %I NOLOGIN PASSWORD NULL", login); err != nil {
		return err
	}
	if _, err := t.conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", login); err != nil {
		return fmt.Errorf("ending the sessions of %s: %w", login, err)
	}
	return nil
}

// Retain keeps the data, and lets nobody in.
func (t *Tenant) Retain(ctx context.Context) error {
	for _, login := range t.name.Logins() {
		open, err := t.IsOpen(ctx, login)
		if err == nil && open {
			err = t.CloseLogin(ctx, login)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
