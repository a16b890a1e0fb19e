package hostile

import (
	"context"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"
)

// prepareRoleBindings makes n RoleBindings in a workspace. The attack asks for it as a stranger while its owner writes elsewhere.
func prepareRoleBindings(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	path, err := s.newWorkspace(ctx, "rolebindings", attacker)
	if err != nil {
		return nil, err
	}
	elsewhere, err := s.newWorkspace(ctx, "elsewhere", attacker)
	if err != nil {
		return nil, err
	}
	err = s.storm(ctx, attacker, path, 16, n, func(ctx context.Context, t *tenant, i int) error {
		_, err := t.must(ctx, http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", fmt.Sprintf(
			`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"b%d"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io",`+
				`"kind":"ClusterRole","name":"view"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"user%d"}]}`, i, i), http.StatusCreated)
		return err
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		refused, ctx := errgroup.WithContext(ctx)
		writing, stop := context.WithCancel(ctx)
		refused.Go(func() error {
			return s.storm(writing, attacker, elsewhere, 1, 100_000, func(ctx context.Context, t *tenant, i int) error {
				_, err := t.expect(ctx, http.MethodPost, configMapsPath, fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"map-%d"}}`, i),
					http.StatusCreated, http.StatusTooManyRequests)
				return err
			})
		})
		refused.Go(func() error {
			defer stop()
			return s.storm(ctx, stranger, path, 16, 4*n, func(ctx context.Context, t *tenant, _ int) error {
				_, err := t.expect(ctx, http.MethodGet, configMapsPath, "", http.StatusForbidden, http.StatusTooManyRequests)
				return err
			})
		})
		return refused.Wait()
	}, nil
}

// prepareRefusals is n requests each with a token that nobody knows, and of a user without rights, for the victim's workspace. The victim
// sends requests from the same address, and notices nothing.
func prepareRefusals(_ context.Context, s *Scene, n int) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		floods, flooding := errgroup.WithContext(ctx)
		for _, user := range []string{"nobody", stranger} {
			floods.Go(func() error {
				return s.storm(flooding, user, s.victimPath, together/2, n, func(ctx context.Context, t *tenant, _ int) error {
					_, err := t.expect(ctx, http.MethodGet, configMapsPath, "", http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests)
					return err
				})
			})
		}
		floods.Go(func() error {
			return s.storm(flooding, victim, s.victimPath, 1, 20, func(ctx context.Context, t *tenant, _ int) error {
				_, err := t.expect(ctx, http.MethodGet, configMapsPath, "", http.StatusOK)
				return err
			})
		})
		return floods.Wait()
	}, nil
}

// prepareAnonymous is n requests without credentials, for whatever a server may have.
func prepareAnonymous(_ context.Context, s *Scene, n int) (func(context.Context) error, error) {
	paths := []string{
		"/clusters/" + s.victimPath + configMapsPath, "/clusters/" + s.victimPath + "/api/v1/secrets", "/clusters/root/apis", "/clusters/system:admin/api/v1/secrets",
		"/clusters/*/api/v1/secrets", "/services/apiexport/root/tenancy.kcp.io/clusters/*/apis", "/openapi/v2", "/openapi/v3", "/api", "/apis", "/metrics", "/debug/pprof/heap",
		"/debug/flags/v", "/logs", "/statusz", "/flagz", "/configz", "/clusters/" + s.victimPath + "/openapi/v3", "/nothing", "/clusters/nothing/nothing", "/",
	}
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	return func(ctx context.Context) error {
		return s.storm(ctx, "", "", together, n, func(ctx context.Context, t *tenant, i int) error {
			t.base = s.server.Host
			_, err := t.expect(ctx, methods[i%len(methods)], paths[i%len(paths)], "", http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
				http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed)
			return err
		})
	}, nil
}
