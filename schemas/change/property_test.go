package change

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
)

// random makes schemas and values that are small enough to meet.
type random struct{ *rand.Rand }

func (r random) chance(n int) bool { return r.IntN(n) == 0 }

func some[T any](r random, all ...T) T { return all[r.IntN(len(all))] }

func (r random) schema(depth int) props {
	types := []string{"string", "integer", "boolean"}
	if depth > 0 {
		types = append(types, "object", "object", "array")
	}
	s := props{Type: some(r, types...)}
	switch s.Type {
	case "object":
		if r.chance(4) {
			value := r.schema(depth - 1)
			s.AdditionalProperties = &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: &value}
			break
		}
		s.Properties = map[string]props{}
		for _, name := range []string{"a", "b", "c"} {
			if r.chance(2) {
				s.Properties[name] = r.schema(depth - 1)
			}
		}
	case "array":
		item := r.schema(depth - 1)
		s.Items = &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &item}
	}
	for range r.IntN(3) {
		r.constrain(&s)
	}
	return s
}

// constrain sets, changes or removes one thing that limits a value.
func (r random) constrain(s *props) {
	number := func() *int64 { return some(r, nil, new(int64(0)), new(int64(1)), new(int64(2))) }
	if r.chance(4) {
		s.Nullable = !s.Nullable
		return
	}
	switch s.Type {
	case "string":
		switch r.IntN(4) {
		case 0:
			s.MinLength = number()
		case 1:
			s.MaxLength = number()
		case 2:
			s.Pattern = some(r, "", "^x*$", "y")
		case 3:
			s.Enum = nil
			for _, value := range []string{`"x"`, `"y"`, `"xx"`} {
				if r.chance(2) {
					s.Enum = append(s.Enum, apiextensionsv1.JSON{Raw: []byte(value)})
				}
			}
		}
	case "integer":
		bound := func() *float64 { return some(r, nil, new(0.), new(1.), new(2.)) }
		switch r.IntN(4) {
		case 0:
			s.Minimum = bound()
		case 1:
			s.Maximum = bound()
		case 2:
			s.ExclusiveMinimum = s.Minimum != nil && !s.ExclusiveMinimum
		case 3:
			s.MultipleOf = some(r, nil, new(2.), new(1.))
		}
	case "array":
		switch r.IntN(3) {
		case 0:
			s.MinItems = number()
		case 1:
			s.MaxItems = number()
		case 2:
			if s.Items.Schema.Type == "string" && !s.Items.Schema.Nullable {
				s.XListType = some(r, nil, new("set"), new("atomic"))
			}
		}
	case "object":
		switch r.IntN(4) {
		case 0:
			s.MinProperties = number()
		case 1:
			s.MaxProperties = number()
		case 2:
			s.Required = nil
			for name := range s.Properties {
				if r.chance(2) {
					s.Required = append(s.Required, name)
				}
			}
		case 3:
			s.XPreserveUnknownFields = some(r, nil, new(true))
		}
	}
}

// mutate returns s with a difference somewhere.
func (r random) mutate(s props) props {
	s = *s.DeepCopy()
	switch {
	case s.Items != nil && r.chance(2):
		item := r.mutate(*s.Items.Schema)
		s.Items.Schema = &item
	case s.AdditionalProperties != nil && r.chance(2):
		value := r.mutate(*s.AdditionalProperties.Schema)
		s.AdditionalProperties.Schema = &value
	case s.Properties != nil && !r.chance(3):
		name := some(r, "a", "b", "c")
		field, is := s.Properties[name]
		switch {
		case is && r.chance(6):
			delete(s.Properties, name)
			s.Required = slices.DeleteFunc(s.Required, func(required string) bool { return required == name })
		case is:
			s.Properties[name] = r.mutate(field)
		default:
			s.Properties[name] = r.schema(1)
		}
	case r.chance(8):
		if value := r.value(&s, 2); value != nil && isValid(s, value) {
			raw, err := json.Marshal(value)
			if err != nil {
				panic(err)
			}
			s.Default = &apiextensionsv1.JSON{Raw: raw}
		}
	case r.chance(10):
		return r.schema(1)
	default:
		r.constrain(&s)
	}
	return s
}

// isValid reports whether a value may be the default of a field.
func isValid(s props, value any) bool {
	field := serve(&props{Type: "object", Properties: map[string]props{"a": s}})
	object := map[string]any{"a": value}
	after, valid := field.read(object)
	return valid && cmp.Equal(after, object)
}

// value returns what is often valid.
func (r random) value(s *props, depth int) any {
	if s.Nullable && r.chance(4) {
		return nil
	}
	switch s.Type {
	case "string":
		return some(r, "", "x", "xx", "y", "xxx")
	case "integer":
		return some(r, int64(0), 1, 2, 3)
	case "boolean":
		return r.chance(2)
	case "array":
		items := []any{}
		for range r.IntN(4) {
			items = append(items, r.value(s.Items.Schema, depth-1))
		}
		return items
	}
	object := map[string]any{}
	for _, name := range []string{"a", "b", "c"} {
		field, is := s.Properties[name]
		switch {
		case r.chance(4):
		case is:
			object[name] = r.value(&field, depth-1)
		case s.AdditionalProperties != nil:
			object[name] = r.value(s.AdditionalProperties.Schema, depth-1)
		case keeps(s):
			object[name] = some[any](r, "x", int64(1), nil, map[string]any{"a": "x"})
		}
	}
	return object
}

// served is a schema as a server uses it.
type served struct {
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
}

func serve(s *props) *served {
	internal := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(s, internal, nil); err != nil {
		panic(err)
	}
	structural, err := structuralschema.NewStructural(internal)
	if err != nil {
		panic(err)
	}
	validator, _, err := validation.NewSchemaValidator(internal)
	if err != nil {
		panic(err)
	}
	return &served{structural, validator}
}

// read returns an object as a server answers with it, and whether it is valid.
func (s *served) read(object map[string]any) (map[string]any, bool) {
	object = runtime.DeepCopyJSON(object)
	pruning.Prune(object, s.structural, false)
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	defaulting.Default(object, s.structural)
	return object, len(validation.ValidateCustomResource(nil, object, s.validator)) == 0
}

// contains reports whether everything of part is in whole.
func contains(whole, part any) bool {
	switch part := part.(type) {
	case map[string]any:
		object, ok := whole.(map[string]any)
		for name, value := range part {
			if _, is := object[name]; !ok || !is || !contains(object[name], value) {
				return false
			}
		}
		return ok
	case []any:
		list, ok := whole.([]any)
		if !ok || len(list) != len(part) {
			return false
		}
		for i := range part {
			if !contains(list[i], part[i]) {
				return false
			}
		}
		return true
	}
	return cmp.Equal(whole, part)
}

// If no change is breaking, every object that was valid is valid and keeps what it has, as the server's own libraries see it. A list that
// becomes a set is looked at elsewhere: the validator does not see its items.
func TestBetween_KeepsWhatIsValid(t *testing.T) {
	t.Parallel()
	harmless, breaking, objects, broken := 0, 0, 0, 0
	for seed := range uint64(2500) {
		r := random{rand.New(rand.NewPCG(seed, 1))}
		from := props{Type: "object", Properties: map[string]props{"a": r.schema(2), "b": r.schema(1)}}
		to := r.mutate(from)
		for to.Type != "object" || to.Properties == nil {
			to = r.mutate(from)
		}
		if r.chance(3) {
			to.Properties["c"] = r.schema(1)
		}
		l := &log{}
		l.compare(&from, &to, "")
		is := len(Breaking(l.changes)) > 0
		old, now := serve(&from), serve(&to)
		hurt := false
		for range 30 {
			object, valid := old.read(r.value(&from, 3).(map[string]any))
			if !valid {
				continue
			}
			objects++
			after, valid := now.read(object)
			if valid && contains(after, object) {
				continue
			}
			if hurt = true; is {
				break
			}
			t.Fatalf("seed %d: no change is breaking:\n%v\nbut %v becomes %v (valid: %v)\nfrom %s\nto   %s", seed, l.changes, object, after, valid, text(from), text(to))
		}
		if is {
			breaking++
		} else {
			harmless++
		}
		if hurt {
			broken++
		}
	}
	t.Logf("%d harmless and %d breaking changes, of which %d break one of %d objects", harmless, breaking, broken, objects)
	if harmless < 300 || broken < 300 {
		t.Error("too few of a kind")
	}
}

func text(s props) string {
	out, err := json.Marshal(s)
	return fmt.Sprint(string(out), err)
}
