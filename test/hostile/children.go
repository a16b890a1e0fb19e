package hostile

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// prepareChildren makes n workspaces below one of the attacker. The attack works in all of them at a time.
func prepareChildren(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	path, err := s.newWorkspace(ctx, "parent", attacker)
	if err != nil {
		return nil, err
	}
	child := func(i int) string { return fmt.Sprintf("child-%d", i) }
	err = s.storm(ctx, attacker, path, 4, n, func(ctx context.Context, t *tenant, i int) error {
		if err := t.newWorkspace(ctx, path, child(i)); err != nil {
			return err
		}
		owner, err := s.as(attacker, path+":"+child(i))
		if err != nil {
			return err
		}
		defer owner.close()
		return owner.until(ctx, configMapsPath, attacker+" may work in "+child(i), ok)
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, err := crowd.Parallel(ctx, n, n, func(ctx context.Context, _, i int) error {
			return s.storm(ctx, attacker, path+":"+child(i), 1, 5*n, func(ctx context.Context, t *tenant, j int) error {
				body := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"map-%d"}}`, j)
				_, made := t.expect(ctx, http.MethodPost, configMapsPath, body, http.StatusCreated, http.StatusTooManyRequests)
				_, listed := t.expect(ctx, http.MethodGet, configMapsPath, "", http.StatusOK, http.StatusTooManyRequests)
				return errors.Join(made, listed)
			})
		})
		return unlessOver(ctx, err)
	}, nil
}
