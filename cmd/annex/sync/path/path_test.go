package path

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parse(t *testing.T, text string) Path {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParse_RefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, text := range []string{"", ".spec", "spec.", "spec..name", "spec[0]", "spec[*", "[*].spec", "spec['a]", "$.spec", "spec name", "spec['']", "spec[*]name"} {
		if p, err := Parse(text); err == nil {
			t.Errorf("%q is read as %v", text, p)
		}
	}
}

func newObject() map[string]any {
	return map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{"example.com/owner": "a"}},
		"spec": map[string]any{
			"name": "x", "size": int64(3),
			"sources": []any{map[string]any{"secret": map[string]any{"name": "s"}}, map[string]any{"inLine": "y"}, map[string]any{"secret": map[string]any{"name": "t"}}},
		},
	}
}

func TestPath_Strings(t *testing.T) {
	for text, want := range map[string][]string{
		"spec.name":                                    {"x"},
		"spec.size":                                    nil,
		"spec.none.name":                               nil,
		"spec.name.none":                               nil,
		"spec.sources[*].secret.name":                  {"s", "t"},
		"spec.sources.secret":                          nil,
		"spec.sources[*][*].name":                      {"s", "t"},
		"metadata.annotations['example.com/owner']":    {"a"},
		"metadata['annotations']['example.com/owner']": {"a"},
	} {
		if diff := cmp.Diff(want, parse(t, text).Strings(newObject())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestPath_Changes(t *testing.T) {
	at := func(object map[string]any, text string) []any { return parse(t, text).Get(object) }
	object := newObject()
	parse(t, "spec.sources[*].secret").Delete(object)
	if got := at(object, "spec.sources[*].secret"); len(got) > 0 || len(at(object, "spec.sources[*]")) != 3 {
		t.Errorf("after deleting secrets: %v", object)
	}
	parse(t, "spec.sources[*]").Delete(object)
	if diff := cmp.Diff([]any{[]any{}}, at(object, "spec.sources")); diff != "" {
		t.Errorf("after deleting all items: %s", diff)
	}
	value := map[string]any{"a": []any{int64(1)}}
	for _, text := range []string{"spec.deep.new", "spec.other"} {
		if err := parse(t, text).Set(object, value); err != nil {
			t.Fatal(err)
		}
	}
	at(object, "spec.other")[0].(map[string]any)["a"] = "changed"
	if diff := cmp.Diff([]any{value}, at(object, "spec.deep.new")); diff != "" {
		t.Errorf("two places share a value: %s", diff)
	}
	object = newObject()
	if err := parse(t, "spec.sources[*].kind").Set(object, "k"); err != nil || len(at(object, "spec.sources[*].kind")) != 3 {
		t.Errorf("%v, %v", object, err)
	}
	if err := parse(t, "spec.none[*].kind").Set(object, "k"); err != nil || len(at(object, "spec.none")) != 0 {
		t.Errorf("%v, %v", object, err)
	}
	for _, text := range []string{"spec.name.below", "spec.sources.kind", "spec.size[*].x"} {
		if err := parse(t, text).Set(object, "k"); err == nil {
			t.Errorf("%s is set: %v", text, object)
		}
	}
	parse(t, "spec.sources[*].secret.name").Change(object, func(s string) string { return s + "-changed" })
	parse(t, "spec.size").Change(object, func(string) string { return "never" })
	if diff := cmp.Diff([]any{"s-changed", "t-changed"}, at(object, "spec.sources[*].secret.name")); diff != "" {
		t.Error(diff)
	}
	if got := at(object, "spec.size")[0]; got != int64(3) {
		t.Errorf("a number became %v", got)
	}
}
