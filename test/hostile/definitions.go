package hostile

import (
	"context"
	"fmt"
	"net/http"
)

// prepareLargeDefinitions has the server make a handler for each of n schemas with thousands of properties.
func prepareLargeDefinitions(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	path, err := s.newWorkspace(ctx, "large", attacker)
	if err != nil {
		return nil, err
	}
	properties := object{}
	for i := range min(25_000, 2_500*n) {
		properties[fmt.Sprintf("property%d", i)] = text
	}
	return func(ctx context.Context) error {
		return s.storm(ctx, attacker, path, 2, n, func(ctx context.Context, t *tenant, i int) error {
			group := fmt.Sprintf("large%d.example", i) // another schema for each, too
			properties := object{"inner": object{"type": "object", "description": group, "properties": properties}}
			return t.define(ctx, group, "larges", object{"type": "object", "properties": properties})
		})
	}, nil
}

// prepareDocuments defines n kinds in one group. The attack changes one of them, and reads the OpenAPI document of the group, again
// and again.
func prepareDocuments(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	const group = "documents.example"
	path, err := s.newWorkspace(ctx, "documents", attacker)
	if err != nil {
		return nil, err
	}
	name := func(i int) string { return fmt.Sprintf("documents%ds", i) }
	err = s.storm(ctx, attacker, path, 4, n, func(ctx context.Context, t *tenant, i int) error {
		return t.define(ctx, group, name(i), object{"type": "object", "properties": object{"a": text, "b": text}})
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		return s.storm(ctx, attacker, path, 4, n, func(ctx context.Context, t *tenant, i int) error {
			patch := fmt.Sprintf(`[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/description","value":"turn %d"}]`, i)
			a, err := t.send(ctx, http.MethodPatch, definitionsPath+"/"+name(i)+"."+group, patch, jsonPatch)
			if err == nil && a.code != http.StatusOK && a.code != http.StatusTooManyRequests {
				err = fmt.Errorf("changing a definition: %d %.500s", a.code, a.body)
			}
			if err == nil {
				_, err = t.expect(ctx, http.MethodGet, "/openapi/v3/apis/"+group+"/v1", "", http.StatusOK, http.StatusTooManyRequests)
			}
			return err
		})
	}, nil
}

// prepareKinds is an attack on the metrics: n kinds that are made, used and deleted.
func prepareKinds(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	path, err := s.newWorkspace(ctx, "kinds", attacker)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		return s.storm(ctx, attacker, path, 8, n, func(ctx context.Context, t *tenant, i int) error {
			group, plural := fmt.Sprintf("kind%d.example", i), fmt.Sprintf("kind%ds", i)
			if err := t.define(ctx, group, plural, object{"type": "object"}); err != nil {
				return err
			}
			if _, err := t.must(ctx, http.MethodPost, customPath(group, plural), custom(group, plural, "one", object{}), http.StatusCreated); err != nil {
				return err
			}
			name := plural + "." + group
			if _, err := t.must(ctx, http.MethodDelete, definitionsPath+"/"+name, "", http.StatusOK); err != nil {
				return err
			}
			return t.until(ctx, definitionsPath+"/"+name, name+" is gone", func(a answer) bool { return a.code == http.StatusNotFound })
		})
	}, nil
}

// prepareDefinitions makes n definitions as fast as the server takes them.
func prepareDefinitions(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	path, err := s.newWorkspace(ctx, "definitions", attacker)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		const group = "many.example"
		name := func(i int) string { return fmt.Sprintf("many%ds", i) }
		err := s.storm(ctx, attacker, path, 16, n, func(ctx context.Context, t *tenant, i int) error {
			body := encode(definition(group, name(i), object{"type": "object"}))
			_, err := t.must(ctx, http.MethodPost, definitionsPath, body, http.StatusCreated)
			return err
		})
		if err != nil || ctx.Err() != nil {
			return err
		}
		return s.storm(ctx, attacker, path, 16, n, func(ctx context.Context, t *tenant, i int) error {
			return t.until(ctx, customPath(group, name(i)), name(i)+" are served", ok)
		})
	}, nil
}
