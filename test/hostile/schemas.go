package hostile

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// impatient is after how long the clients leave whose requests take the server long.
	impatient = 100 * time.Millisecond
	// together is how many clients attack at a time.
	together = 40
)

type object = map[string]any

var text = object{"type": "string"}

// definition returns a CustomResourceDefinition of things in group, whose spec has the schema.
func definition(group, plural string, spec object) object {
	return object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": object{"name": plural + "." + group},
		"spec": object{
			"group": group, "scope": "Namespaced",
			"names": object{"plural": plural, "singular": strings.TrimSuffix(plural, "s"), "kind": kindOf(plural), "listKind": kindOf(plural) + "List"},
			"versions": []any{object{"name": "v1", "served": true, "storage": true, "schema": object{
				"openAPIV3Schema": object{"type": "object", "properties": object{"spec": spec}},
			}}},
		},
	}
}

// kindOf returns the kind of a plural that definition makes.
func kindOf(plural string) string {
	return strings.ToUpper(plural[:1]) + strings.TrimSuffix(plural[1:], "s")
}

func encode(o any) string {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err) // maps and texts of ours can be written
	}
	return string(data)
}

// Paths of a workspace.
const (
	definitionsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	configMapsPath  = "/api/v1/namespaces/default/configmaps"
)

func customPath(group, plural string) string {
	return "/apis/" + group + "/v1/namespaces/default/" + plural
}

// custom returns an object of a kind that definition has defined.
func custom(group, plural, name string, spec object) string {
	return encode(object{"apiVersion": group + "/v1", "kind": kindOf(plural), "metadata": object{"name": name}, "spec": spec})
}

// define makes a definition, and waits until it is served.
func (t *tenant) define(ctx context.Context, group, plural string, spec object) error {
	if _, err := t.must(ctx, http.MethodPost, definitionsPath, encode(definition(group, plural, spec)), http.StatusCreated); err != nil {
		return err
	}
	return t.until(ctx, customPath(group, plural), plural+" are served", ok)
}

// prepareCostly defines costs.hostile.example in a workspace of the attacker, and returns an attack: n clients that send the object,
// and leave before the server has done with it. Those who wait for the answer must get wanted, if it is not 429.
func prepareCostly(ctx context.Context, s *Scene, n int, name string, schema object, specs map[int][]object) (func(context.Context) error, error) {
	const group, plural = "hostile.example", "costs"
	path, owner, err := s.newOwner(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := owner.define(ctx, group, plural, schema); err != nil {
		return nil, err
	}
	var bodies []string
	for code, of := range specs {
		for _, spec := range of {
			body := custom(group, plural, "costly", spec)
			if code == http.StatusCreated {
				bodies = append(bodies, body)
			}
			if _, err := owner.must(ctx, http.MethodPost, customPath(group, plural)+"?dryRun=All", body, code); err != nil {
				return nil, err
			}
		}
	}
	return func(ctx context.Context) error {
		defer owner.close()
		err := s.storm(ctx, attacker, path, together, n, func(ctx context.Context, t *tenant, i int) error {
			ctx, cancel := context.WithTimeout(ctx, impatient)
			defer cancel()
			a, err := t.send(ctx, http.MethodPost, customPath(group, plural)+"?dryRun=All", bodies[i%len(bodies)])
			if err == nil && a.code != http.StatusCreated && a.code != http.StatusTooManyRequests {
				return fmt.Errorf("a costly object: %d %.500s", a.code, a.body)
			}
			return unlessOver(ctx, err)
		})
		if err != nil || ctx.Err() != nil {
			return err
		}
		// The seats of those who have left come back.
		_, err = owner.must(ctx, http.MethodGet, configMapsPath, "", http.StatusOK)
		return unlessOver(ctx, err)
	}, nil
}

// preparePatterns has the server match texts with patterns of which each byte takes some thousand steps.
func preparePatterns(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	properties, within, beyond := object{}, object{}, object{}
	for i := range 4 {
		name := fmt.Sprintf("text%d", i)
		properties[name] = object{"type": "string", "pattern": "(?:a.{0,950}b)|c"}
		within[name] = strings.Repeat("a", 4000) + "c"
	}
	beyond["text0"] = strings.Repeat("a", 400_000) + "c"
	return prepareCostly(ctx, s, n, "patterns", object{"type": "object", "properties": properties}, map[int][]object{
		http.StatusCreated: {within}, http.StatusUnprocessableEntity: {beyond},
	})
}

// prepareRules has the server evaluate a rule for each pair of many numbers.
func prepareRules(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	numbers := make([]any, 300)
	for i := range numbers {
		numbers[i] = i
	}
	schema := object{"type": "object", "properties": object{
		"numbers": object{
			"type": "array", "maxItems": len(numbers), "items": object{"type": "integer"},
			"x-kubernetes-validations": []any{object{"rule": "self.all(x, self.all(y, x >= 0 || y >= 0))"}},
		},
	}}
	return prepareCostly(ctx, s, n, "rules", schema, map[int][]object{http.StatusCreated: {{"numbers": numbers}}})
}

// prepareDefaults sends small objects that become large by defaults: each of many empty items gets many properties.
func prepareDefaults(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	const group, plural = "hostile.example", "defaults"
	path, owner, err := s.newOwner(ctx, "defaults")
	if err != nil {
		return nil, err
	}
	defer owner.close()
	properties := object{}
	for i := range 300 {
		properties[fmt.Sprintf("p%d", i)] = object{"type": "string", "default": "0123456789abcdef"}
	}
	schema := object{"type": "object", "properties": object{
		"items": object{"type": "array", "items": object{"type": "object", "properties": properties}},
	}}
	if err := owner.define(ctx, group, plural, schema); err != nil {
		return nil, err
	}
	items := make([]any, min(12_000, 1_000*n))
	for i := range items {
		items[i] = object{}
	}
	body := custom(group, plural, "large", object{"items": items})
	return func(ctx context.Context) error {
		return s.storm(ctx, attacker, path, 8, n, func(ctx context.Context, t *tenant, _ int) error {
			_, err := t.expect(ctx, http.MethodPost, customPath(group, plural), body,
				http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusGatewayTimeout)
			return err
		})
	}, nil
}
