package fit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
)

// An object fits if and only if the strategy of the stock handler finds it valid as a new object, and at the same fields.
func TestCheck_AgreesWithTheStockHandler(t *testing.T) {
	t.Parallel()
	valid, invalid := 0, 0
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 7))
		text := randomSchema(r, 1)
		definition := define(t, text)
		c, err := New(definition)
		if err != nil {
			t.Fatalf("%v of %s", err, text)
		}
		internal := &apiextensions.JSONSchemaProps{}
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(definition.Spec.Versions[0].Schema.OpenAPIV3Schema, internal, nil); err != nil {
			t.Fatal(err)
		}
		structural, err := structuralschema.NewStructural(internal)
		if err != nil {
			t.Fatal(err)
		}
		validator, _, err := validation.NewSchemaValidator(internal)
		if err != nil {
			t.Fatal(err)
		}
		stock := customresource.NewStrategy(nil, true, schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}, validator, nil, structural, nil, nil, nil)
		for range 60 {
			obj := widget(t, "v1", randomObject(r, 1))
			faults, _, err := c.Check(t.Context(), obj)
			if err != nil {
				t.Fatal(err)
			}
			got, want := sets.New[string](), sets.New[string]()
			for _, f := range faults {
				got.Insert(f.Field)
			}
			pruning.Prune(obj.Object, structural, true)
			defaulting.PruneNonNullableNullsWithoutDefaults(obj.Object, structural)
			defaulting.Default(obj.Object, structural)
			for _, e := range stock.Validate(t.Context(), obj) {
				if !strings.HasPrefix(e.Detail, "some validation rules were not checked") { // is about no field
					want.Insert(strings.TrimPrefix(e.Field, "<nil>"))
				}
			}
			if diff := cmp.Diff(sets.List(want), sets.List(got)); diff != "" {
				t.Fatalf("seed %d: %v by %s (-stock +fit):\n%s", seed, obj.Object, text, diff)
			}
			if len(faults) == 0 {
				valid++
			} else {
				invalid++
			}
		}
	}
	if valid < 150 || invalid < 150 {
		t.Errorf("%d valid and %d invalid: too few of a kind", valid, invalid)
	}
}

func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func randomSchema(r *rand.Rand, depth int) string {
	var fields []string
	for _, name := range []string{"a", "b", "c"} {
		kind := r.IntN(5)
		if depth == 0 {
			kind = r.IntN(2)
		}
		var schema string
		switch kind {
		case 0:
			schema = "{type: string" + one(r, "", ", maxLength: 1", ", pattern: '^x*$'", ", enum: [x, xx]", ", default: xx") + "}"
		case 1:
			schema = "{type: integer" + one(r, "", ", minimum: 2", ", nullable: true", ", x-kubernetes-validations: [{rule: 'self != 1'}]") + "}"
		case 2:
			schema = "{type: array, items: {type: string}" + one(r, "", ", x-kubernetes-list-type: set", ", maxItems: 1") + "}"
		default:
			schema = randomSchema(r, depth-1)
		}
		fields = append(fields, name+": "+schema)
	}
	return "{type: object, properties: {" + strings.Join(fields, ", ") + "}" + one(r, "", ", required: [a]", ", x-kubernetes-validations: [{rule: 'has(self.a) || has(self.b)'}]") + "}"
}

func randomObject(r *rand.Rand, depth int) string {
	var fields []string
	for _, name := range []string{"a", "b", "c", "d"} {
		switch n := r.IntN(8); {
		case n < 4:
		case n == 4 && depth > 0:
			fields = append(fields, name+": "+randomObject(r, depth-1))
		default:
			fields = append(fields, fmt.Sprintf("%s: %s", name, one(r, "x", "x", "x", "xx", "y", "1", "2", "null", "[x]", "[x, x]", "[1]")))
		}
	}
	slices.Sort(fields)
	return "{" + strings.Join(fields, ", ") + "}"
}
