package conversion

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

var unstructuredJSON = unstructured.UnstructuredJSONScheme

func content(obj runtime.Object) map[string]any { return obj.(*unstructured.Unstructured).Object }

// The rest of what the schema needs.
const others = `
- {from: v2, to: v1, rules: []}
- {from: v3, to: v2, rules: []}
- {from: v2, to: v3, rules: []}
`

func TestCompile_Refuses(t *testing.T) {
	for name, c := range map[string]struct{ rules, want string }{
		"fine":                    {"[{field: .spec.first, destination: .spec.name.first}]", ""},
		"no field":                {"[{field: .spec.name, destination: .spec.name.first}]", `spec.conversions[0].rules[0].field: Invalid value: ".spec.name": version v1 has no field .spec.name`},
		"no destination":          {"[{field: .spec.first, destination: .spec.first}]", "spec.conversions[0].rules[0].destination: Invalid value: \".spec.first\": version v2 has no field .spec.first"},
		"metadata":                {"[{field: .metadata.name, destination: .spec.age}]", "rules[0].field: Invalid value: \".metadata.name\": apiVersion, kind and metadata are not for rules"},
		"kind":                    {"[{field: .spec.first, destination: .kind}]", "rules[0].destination: Invalid value: \".kind\""},
		"into a list":             {"[{field: .spec.tags.a, destination: .spec.age}]", ".spec.tags is a list"},
		"an item":                 {"[{field: '.spec.tags[0]', destination: .spec.age}]", "a path names fields only"},
		"into a map":              {"[{field: .spec.first, destination: \".spec.labels['a.b/c']\"}]", ""},
		"into the unknown":        {"[{field: .spec.free.a.b, destination: .spec.free.x}]", ""},
		"another type":            {"[{field: .spec.age, destination: .spec.age}]", "rules[0].destination: Invalid value: \".spec.age\": is of type string, and .spec.age is of type integer: a transformation is needed"},
		"no CEL":                  {"[{field: .spec.age, destination: .spec.age, transformation: 'self +'}]", "rules[0].transformation: Invalid value: \"self +\": compilation failed"},
		"unknown variable":        {"[{field: .spec.age, destination: .spec.age, transformation: 'other'}]", "undeclared reference to 'other'"},
		"a field that is missing": {"[{field: .spec, destination: .spec.age, transformation: 'self.none'}]", "undefined field 'none'"},
		"returns another type":    {"[{field: .spec.age, destination: .spec.age, transformation: 'self + 1'}]", "the expression returns int, and the destination is of type string"},
		"returns an object":       {"[{field: .spec, destination: .spec.age, transformation: 'self'}]", "the expression returns object, and the destination is of type string"},
		"optional":                {"[{field: .spec.age, destination: .spec.age, transformation: 'optional.of(1)'}]", "the destination is of type string"},
		"int or string":           {"[{field: .spec.age, destination: .spec.port, transformation: 'self'}]", ""},
		"neither":                 {"[{field: .spec.age, destination: .spec.port, transformation: '[self]'}]", "the destination is of type integer or string"},
	} {
		_, errs := Compile(specOf(t, fmt.Sprintf("conversions:\n- {from: v1, to: v2, rules: %s}%s", c.rules, others)), peopleDefinition(t))
		if got := errs.ToAggregate(); (got == nil) != (c.want == "") || got != nil && !strings.Contains(got.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
	}
	for name, c := range map[string]struct{ conversions, want string }{
		"none back":         {"[{from: v1, to: v2, rules: []}, {from: v3, to: v2, rules: []}, {from: v2, to: v3, rules: []}]", "spec.conversions: Required value: a conversion from v2 to v1: objects are stored in v2"},
		"no such version":   {"[{from: v1, to: v9, rules: []}]", `spec.conversions[0].to: Invalid value: "v9": the APIResourceSchema has no such version`},
		"to itself":         {"[{from: v1, to: v1, rules: []}]", "spec.conversions[0].to: Invalid value: \"v1\": must be another version"},
		"twice":             {"[{from: v1, to: v2, rules: []}, {from: v1, to: v2, rules: []}]", "spec.conversions[1]: Duplicate value"},
		"preserves nothing": {"[{from: v1, to: v2, rules: [], preserve: [.spec.name]}]", "spec.conversions[0].preserve[0]: Invalid value"},
		"preserves twice":   {"[{from: v1, to: v2, rules: [], preserve: [.spec, .spec.first]}]", "spec.conversions[0].preserve[1]: Invalid value: \".spec.first\": is preserved twice"},
	} {
		_, errs := Compile(specOf(t, "conversions: "+c.conversions), peopleDefinition(t))
		if got := errs.ToAggregate(); got == nil || !strings.Contains(got.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
	}
	one := peopleDefinition(t)
	one.Spec.Versions = one.Spec.Versions[1:2]
	if _, errs := Compile(specOf(t, "conversions: [{from: v1, to: v2, rules: []}]"), one); !strings.Contains(errs.ToAggregate().Error(), "has only version v2") {
		t.Errorf("got %v", errs)
	}
}

func TestDropped(t *testing.T) {
	for name, c := range map[string]struct{ conversions, want string }{
		"nothing": {peopleRules[len("\nconversions:"):], ""},
		"all":     {"[{from: v1, to: v2, rules: []}]", "spec.conversions[0]: conversion from v1 to v2 drops .spec, .status; to keep a field, name it in a rule or in preserve"},
		"copied to where it is not known": {"[{from: v2, to: v1, rules: [{field: .spec, destination: .spec}, {field: .status, destination: .status}]}]",
			"conversion from v2 to v1 drops .spec.labels, .spec.name, .spec.port; to"},
		"many": {"[{from: v1, to: v2, rules: [{field: .spec.first, destination: .spec.name.first}]}]", "drops .spec.age, .spec.born, .spec['dotted.name/x'], .spec.free, .spec.last and 2 more;"},
	} {
		got := strings.Join(Dropped(specOf(t, "conversions: "+c.conversions), peopleDefinition(t)), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, text := range []string{".spec.name", "spec", ".spec['a.b/c'].d", ".a[0]", "..", "['", "", ".a'b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, err := ParsePath(text)
		if err != nil {
			return
		}
		again, err := ParsePath(path.String())
		if err != nil || again.String() != path.String() || len(path) == 0 {
			t.Errorf("%q is %q, and that is %q, %v", text, path, again, err)
		}
	})
}
