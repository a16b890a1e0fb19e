package cost

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// What is counted is what the stock library adds.
func TestDefaults_CountAsTheLibraryDoes(t *testing.T) {
	for seed := range uint64(3_000) {
		random := rand.New(rand.NewPCG(seed, 0))
		schema := randomSchema(random, 4)
		value := randomValue(random, 4)
		d := newDefaults(schema)
		left, bare := countless, countless
		if where, ok := d.take(value, &left, false); !ok {
			t.Fatalf("seed %d: too much at %s", seed, where)
		}
		d.take(value, &bare, true)
		containers := Objects(value)
		before := encoded(t, value)
		internal := &apiextensions.JSONSchemaProps{}
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(schema, internal, nil); err != nil {
			t.Fatal(err)
		}
		structural, err := structuralschema.NewStructural(internal)
		if err != nil {
			t.Fatal(err)
		}
		defaulting.PruneNonNullableNullsWithoutDefaults(value, structural)
		pruned := encoded(t, value)
		defaulting.Default(value, structural)
		added := len(encoded(t, value)) - len(pruned)
		text := encoded(t, schema)
		// Nulls that are replaced count whole, and the first property of an object has no comma.
		nulls := strings.Contains(strings.ReplaceAll(pruned+text, "nullable", ""), "null")
		if counted := countless - left; counted < added || !nulls && counted > added+Objects(value) {
			t.Fatalf("seed %d: %d bytes counted and %d added, from %s to %s, by %s", seed, counted, added, before, encoded(t, value), text)
		}
		if bare > left {
			t.Fatalf("seed %d: less is added to less", seed)
		}
		if d != nil {
			if bound := sum(d.once, d.each*(containers+1)); bound < countless-bare {
				t.Fatalf("seed %d: %d bytes are added, at most %d expected", seed, countless-bare, bound)
			}
		}
	}
}

func encoded(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func randomSchema(random *rand.Rand, depth int) *apiextensionsv1.JSONSchemaProps {
	s := &apiextensionsv1.JSONSchemaProps{Nullable: random.IntN(3) == 0}
	kind := random.IntN(4)
	if depth == 0 {
		kind = 0
	}
	switch kind {
	case 0:
		s.Type = "string"
	case 1:
		s.Type = "array"
		s.Items = &apiextensionsv1.JSONSchemaPropsOrArray{Schema: randomSchema(random, depth-1)}
	case 2:
		s.Type = "object"
		s.AdditionalProperties = &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: randomSchema(random, depth-1)}
	default:
		s.Type = "object"
		s.Properties = map[string]apiextensionsv1.JSONSchemaProps{}
		for i := range 3 {
			s.Properties[fmt.Sprintf("p%d", i)] = *randomSchema(random, depth-1)
		}
	}
	if random.IntN(2) == 0 {
		data, _ := json.Marshal(randomValue(random, depth))
		s.Default = &apiextensionsv1.JSON{Raw: data}
	}
	return s
}

func randomValue(random *rand.Rand, depth int) any {
	kind := random.IntN(4)
	if depth == 0 {
		kind = random.IntN(2)
	}
	switch kind {
	case 0:
		return nil
	case 1:
		return "x"
	case 2:
		list := []any{}
		for range random.IntN(4) {
			list = append(list, randomValue(random, depth-1))
		}
		return list
	}
	object := map[string]any{}
	for range random.IntN(4) {
		object[fmt.Sprintf("p%d", random.IntN(4))] = randomValue(random, depth-1)
	}
	return object
}

// Defaults in defaults multiply: each of these lists has ten times as many items as the one around it.
func TestDefaults_InDefaults(t *testing.T) {
	schema := &apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"last": {Type: "string", Default: &apiextensionsv1.JSON{Raw: []byte(`"x"`)}}}}
	for depth := 1; depth < 60; depth++ {
		schema = &apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"list": {
			Type: "array", Default: &apiextensionsv1.JSON{Raw: []byte(`[{},{},{},{},{},{},{},{},{},{}]`)}, Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: schema},
		}}}
		g := Growth{"v1": newDefaults(schema)}
		obj := map[string]any{"apiVersion": "example.com/v1"}
		if where, ok := g.Check(obj); ok != (depth < 6) && depth != 6 {
			t.Errorf("depth %d: %t at %s", depth, ok, where)
		}
		if depth > 6 && g.Few(0) {
			t.Errorf("depth %d is taken without a look", depth)
		}
	}
}

func TestMostObjects(t *testing.T) {
	for seed := range uint64(1_000) {
		value := randomValue(rand.New(rand.NewPCG(seed, 1)), 5)
		data, _ := json.Marshal(value)
		var parsed any
		if err := utiljson.Unmarshal(data, &parsed); err != nil {
			t.Fatal(err)
		}
		if got := MostObjects(data); got < Objects(runtime.DeepCopyJSONValue(parsed)) {
			t.Fatalf("%s: %d", data, got)
		}
	}
}
