package hostile

import (
	"context"
	"fmt"
	"net/http"
)

// prepareBindings publishes n APIs in one workspace. The attack binds all of them in another one, as fast as the server takes it.
func prepareBindings(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	const group, kcp = "bound.example", "apis.kcp.io"
	provider, err := s.newWorkspace(ctx, "provider", attacker)
	if err != nil {
		return nil, err
	}
	consumer, err := s.newWorkspace(ctx, "consumer", attacker)
	if err != nil {
		return nil, err
	}
	name := func(i int) string { return fmt.Sprintf("bound%ds", i) }
	err = s.storm(ctx, attacker, provider, 4, n, func(ctx context.Context, t *tenant, i int) error {
		schema := "v1." + name(i) + "." + group
		_, err := t.must(ctx, http.MethodPost, "/apis/apis.kcp.io/v1alpha1/apiresourceschemas", encode(object{
			"apiVersion": kcp + "/v1alpha1", "kind": "APIResourceSchema", "metadata": object{"name": schema},
			"spec": object{
				"group": group, "scope": "Namespaced", "names": object{"plural": name(i), "singular": name(i)[:len(name(i))-1], "kind": kindOf(name(i)), "listKind": kindOf(name(i)) + "List"},
				"versions": []any{object{"name": "v1", "served": true, "storage": true, "schema": object{"type": "object"}}},
			},
		}), http.StatusCreated)
		if err != nil {
			return err
		}
		_, err = t.must(ctx, http.MethodPost, "/apis/apis.kcp.io/v1alpha2/apiexports", encode(object{
			"apiVersion": kcp + "/v1alpha2", "kind": "APIExport", "metadata": object{"name": name(i)},
			"spec": object{"resources": []any{object{"group": group, "name": name(i), "schema": schema, "storage": object{"crd": object{}}}}},
		}), http.StatusCreated)
		return err
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		err := s.storm(ctx, attacker, consumer, 16, n, func(ctx context.Context, t *tenant, i int) error {
			_, err := t.must(ctx, http.MethodPost, "/apis/apis.kcp.io/v1alpha2/apibindings", encode(object{
				"apiVersion": kcp + "/v1alpha2", "kind": "APIBinding", "metadata": object{"name": name(i)},
				"spec": object{"reference": object{"export": object{"path": provider, "name": name(i)}}},
			}), http.StatusCreated)
			return err
		})
		if err != nil || ctx.Err() != nil {
			return err
		}
		return s.storm(ctx, attacker, consumer, 16, n, func(ctx context.Context, t *tenant, i int) error {
			return t.until(ctx, customPath(group, name(i)), name(i)+" are served", ok)
		})
	}, nil
}
