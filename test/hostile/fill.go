package hostile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
)

// limitCause is in the answer to a write above the limits of a workspace.
const limitCause = "WorkspaceLimitExceeded"

// prepareFill makes a workspace. The attack writes n objects of 100 KB in it, of several kinds. If the operator has set limits, they hold,
// and what is deleted makes room again.
func prepareFill(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	const group, plural = "fill.example", "fills"
	path, owner, err := s.newOwner(ctx, "fill")
	if err != nil {
		return nil, err
	}
	defer owner.close()
	if err := owner.define(ctx, group, plural, object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}); err != nil {
		return nil, err
	}
	text := strings.Repeat("x", 100_000)
	kinds := []struct{ path, body string }{
		{configMapsPath, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"fill-%d"},"data":{"a":"` + text + `"}}`},
		{"/api/v1/namespaces/default/secrets", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"fill-%d"},"stringData":{"a":"` + text + `"}}`},
		{customPath(group, plural), `{"apiVersion":"fill.example/v1","kind":"Fill","metadata":{"name":"fill-%d"},"a":"` + text + `"}`},
	}
	return func(ctx context.Context) error {
		var refused, last atomic.Int64
		if err := s.storm(ctx, attacker, path, 8, n, func(ctx context.Context, t *tenant, i int) error {
			kind := kinds[i%len(kinds)]
			a, err := t.expect(ctx, http.MethodPost, kind.path, fmt.Sprintf(kind.body, i), http.StatusCreated, http.StatusForbidden, http.StatusTooManyRequests)
			switch {
			case err != nil:
				return err
			case a.code == http.StatusForbidden && !strings.Contains(string(a.body), limitCause):
				return fmt.Errorf("a write is refused for another reason than a limit: %.500s", a.body)
			case a.code == http.StatusForbidden:
				refused.Add(1)
			case a.code == http.StatusCreated && i%len(kinds) == 0:
				last.Store(int64(i))
			}
			return nil
		}); err != nil || refused.Load() == 0 || ctx.Err() != nil {
			return err
		}
		owner, err := s.as(attacker, path)
		if err != nil {
			return err
		}
		defer owner.close()
		one := fmt.Sprintf("%s/fill-%d", configMapsPath, last.Load())
		_, deleted := owner.must(ctx, http.MethodDelete, one, "", http.StatusOK)
		_, made := owner.must(ctx, http.MethodPost, configMapsPath, fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"again"},"data":{"a":"%s"}}`, text[:1000]), http.StatusCreated)
		return unlessOver(ctx, errors.Join(deleted, made))
	}, nil
}
