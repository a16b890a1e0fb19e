package hostile

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// prepareBombs sends n times each of some bodies that are small and become large, or deep, when they are read.
func prepareBombs(ctx context.Context, s *Scene, n int) (func(context.Context) error, error) {
	const group, plural = "bombs.example", "bombs"
	path, owner, err := s.newOwner(ctx, "bombs")
	if err != nil {
		return nil, err
	}
	defer owner.close()
	if err := owner.define(ctx, group, plural, object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}); err != nil {
		return nil, err
	}
	if _, err := owner.must(ctx, http.MethodPost, configMapsPath, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"b"}}`, http.StatusCreated); err != nil {
		return nil, err
	}
	steps := bombs(customPath(group, plural))
	return func(ctx context.Context) error {
		return s.storm(ctx, attacker, path, 8, n*len(steps), func(ctx context.Context, t *tenant, i int) error {
			return t.take(ctx, steps[i%len(steps):][:1])
		})
	}, nil
}

const (
	// deep is more than decoders follow, and tall is what they do follow.
	deep, tall = 100_000, 3_000
	// laughs is a text that has ten to the power of nine words as soon as all references are replaced.
	laughs = `a0: &a0 lol
a1: &a1 [*a0,*a0,*a0,*a0,*a0,*a0,*a0,*a0,*a0,*a0]
a2: &a2 [*a1,*a1,*a1,*a1,*a1,*a1,*a1,*a1,*a1,*a1]
a3: &a3 [*a2,*a2,*a2,*a2,*a2,*a2,*a2,*a2,*a2,*a2]
a4: &a4 [*a3,*a3,*a3,*a3,*a3,*a3,*a3,*a3,*a3,*a3]
a5: &a5 [*a4,*a4,*a4,*a4,*a4,*a4,*a4,*a4,*a4,*a4]
a6: &a6 [*a5,*a5,*a5,*a5,*a5,*a5,*a5,*a5,*a5,*a5]
a7: &a7 [*a6,*a6,*a6,*a6,*a6,*a6,*a6,*a6,*a6,*a6]
a8: &a8 [*a7,*a7,*a7,*a7,*a7,*a7,*a7,*a7,*a7,*a7]
a9: &a9 [*a8,*a8,*a8,*a8,*a8,*a8,*a8,*a8,*a8,*a8]
`
)

// nested returns objects in objects.
func nested(depth int) string {
	return strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)
}

// bombs returns the bodies. One that is no worse than what others may send is only tried.
func bombs(things string) []step {
	configMap := func(more string) string {
		return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"bomb"}` + more + `}`
	}
	thing := func(more string) string {
		return `{"apiVersion":"bombs.example/v1","kind":"Bomb","metadata":{"name":"bomb"},"spec":` + more + `}`
	}
	schema := func(depth int) string {
		crd := encode(definition("deep.example", "deeps", object{"SCHEMA": 1}))
		return strings.Replace(crd, `{"SCHEMA":1}`, strings.Repeat(`{"type":"object","properties":{"a":`, depth)+`{"type":"string"}`+strings.Repeat("}}", depth), 1)
	}
	copies := strings.Repeat(`{"op":"copy","from":"/data","path":"/data/a"},`, 40)
	tests := strings.Repeat(`{"op":"test","path":"/data/a","value":"b"},`, 20_000)
	terms := strings.TrimSuffix(strings.Repeat("a in (b,c),", 5_000), ",")
	const tried = "?dryRun=All"
	any4, orDone := []int(nil), []int{http.StatusOK, http.StatusCreated, http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge,
		http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusUnsupportedMediaType}
	return []step{
		{"references of YAML", http.MethodPost, configMapsPath, laughs + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n", yamlType, any4},
		{"references of YAML in a custom resource", http.MethodPost, things, laughs + "apiVersion: bombs.example/v1\nkind: Bomb\nmetadata: {name: bomb}\n", yamlType, any4},
		{"references of YAML to apply", http.MethodPatch, configMapsPath + "/a?fieldManager=x", laughs + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", applyPatch, any4},
		{"references of YAML to apply to a custom resource", http.MethodPatch, things + "/a?fieldManager=x", laughs + "apiVersion: bombs.example/v1\nkind: Bomb\nmetadata: {name: a}\n", applyPatch, any4},
		{"a list that has itself", http.MethodPost, things, "apiVersion: bombs.example/v1\nkind: Bomb\nmetadata: {name: bomb}\nspec: &a [*a]\n", yamlType, any4},
		{"deep JSON", http.MethodPost, configMapsPath, configMap(`,"data":` + nested(deep)), "", any4},
		{"deep JSON in a custom resource", http.MethodPost, things, thing(nested(deep)), "", any4},
		{"deep lists in a custom resource", http.MethodPost, things, thing(strings.Repeat("[", deep) + strings.Repeat("]", deep)), "", any4},
		{"deep JSON that does not end", http.MethodPost, things, thing(strings.Repeat("[", deep)), "", any4},
		{"a deep merge patch", http.MethodPatch, configMapsPath + "/a", nested(deep), mergePatch, any4},
		{"a deep strategic merge patch", http.MethodPatch, configMapsPath + "/a", nested(deep), "application/strategic-merge-patch+json", any4},
		{"a deep JSON patch", http.MethodPatch, configMapsPath + "/a", `[{"op":"add","path":"/data","value":` + nested(deep) + `}]`, jsonPatch, any4},
		{"deep YAML to apply", http.MethodPatch, things + "/bomb?fieldManager=x", thing(nested(deep)), applyPatch, any4},
		{"deep lists in YAML", http.MethodPost, things, "apiVersion: bombs.example/v1\nkind: Bomb\nmetadata: {name: bomb}\nspec: " + strings.Repeat("[", deep), yamlType, any4},
		{"a deep schema", http.MethodPost, definitionsPath, schema(deep / 4), "", any4},
		{"options that are deep", http.MethodDelete, configMapsPath + "/a", `{"apiVersion":"v1","kind":"DeleteOptions","a":` + nested(deep) + `}`, "", any4},
		{"a patch of copies of copies", http.MethodPatch, configMapsPath + "/a", "[" + strings.TrimSuffix(copies, ",") + "]", jsonPatch, any4},
		{"a patch of very many steps", http.MethodPatch, configMapsPath + "/a", "[" + strings.TrimSuffix(tests, ",") + "]", jsonPatch, any4},
		{"what is no protobuf", http.MethodPost, configMapsPath, "k8s\x00" + strings.Repeat("\xff", 1<<20), "application/vnd.kubernetes.protobuf", any4},
		{"what is no CBOR", http.MethodPost, things, "\xd9\xd9\xf7" + strings.Repeat("\x9f", 1<<20), "application/cbor", any4},
		{"very many selectors", http.MethodGet, configMapsPath + "?labelSelector=" + url.QueryEscape(terms), "", "", append([]int{http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge}, orDone...)},
		{"tall JSON in a custom resource", http.MethodPost, things + tried, thing(nested(tall)), "", orDone},
		{"tall YAML to apply", http.MethodPatch, things + "/bomb" + tried + "&fieldManager=x", thing(nested(tall)), applyPatch, orDone},
		{"a tall schema", http.MethodPost, definitionsPath + tried, schema(tall / 4), "", orDone},
		{"very many managers", http.MethodPut, configMapsPath + "/a", configMap(`,"metadata":{"name":"a","managedFields":[` + managers(15_000) + `]}`), "", any4},
		{"very many managers of a custom resource", http.MethodPatch, things + "/a?fieldManager=x", `{"metadata":{"managedFields":[` + managers(15_000) + `]}}`, mergePatch, any4},
		{"very many fields in no order", http.MethodPost, configMapsPath, configMap(`,"data":{` + scattered(200_000) + `}`), "", any4},
		{"a number with very many digits", http.MethodPost, things + tried, thing(`{"a":` + strings.Repeat("9", 1<<20) + `}`), "", orDone},
		{"a number with a very great exponent", http.MethodPost, things + tried, thing(`{"a":1e999999999}`), "", orDone},
		{"one field very often", http.MethodPost, configMapsPath + tried, configMap(strings.Repeat(`,"data":{"a":"b"}`, 50_000)), "", orDone},
		{"very many unknown fields", http.MethodPost, configMapsPath + tried + "&fieldValidation=Strict", configMap(unknown(50_000)), "", orDone},
	}
}

// unknown returns n fields that no object has.
func unknown(n int) string {
	var fields strings.Builder
	for i := range n {
		fmt.Fprintf(&fields, `,"unknown%d":1`, i)
	}
	return fields.String()
}

// managers returns n entries of managedFields, each for a version of its own.
func managers(n int) string {
	var entries strings.Builder
	for i := range n {
		fmt.Fprintf(&entries, `,{"manager":"m","operation":"Apply","subresource":"s%d","apiVersion":"v%d","fieldsType":"FieldsV1","fieldsV1":{"f:a":{}}}`, i, i)
	}
	return entries.String()[1:]
}

// scattered returns n fields.
func scattered(n int) string {
	var fields strings.Builder
	for i := range n {
		fmt.Fprintf(&fields, `,"%x":""`, i*7919%n)
	}
	return fields.String()[1:]
}
