package near

import (
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	names := []string{"acme", "payments", "payroll", "platform", "a", "b"}
	for typed, want := range map[string][]string{
		"acne":     {"acme"},
		"amce":     {"acme"},
		"Acme":     {"acme"},
		"pay":      {"payments", "payroll"},
		"paymnets": {"payments"},
		"p":        {"payments", "payroll", "platform"},
		"c":        {},
		"ac":       {"acme", "a"},
		"xyz":      {},
		"":         {},
		"catalog":  {},
		"payments": {"payments"},
	} {
		if got := Names(typed, names); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
}

func TestHint(t *testing.T) {
	for _, test := range []struct {
		typed string
		names []string
		want  string
	}{
		{"acne", []string{"acme", "other"}, `; did you mean ":root:acme"?`},
		{"pay", []string{"payments", "payroll"}, `; did you mean ":root:payments" or ":root:payroll"?`},
		{"none", nil, ""},
		{"none", []string{"acme"}, `; there is only ":root:acme"`},
		{"none", []string{"acme", "other"}, `; there are ":root:acme" and ":root:other"`},
		{"none", []string{"a1", "b1", "c1", "d1", "e1", "f1", "g1"}, `; there are ":root:a1", ":root:b1", ":root:c1", ":root:d1", ":root:e1" and 2 more`},
	} {
		if got := Hint(test.typed, test.names, ":root:"); got != test.want {
			t.Errorf("%s of %q: %s, want %s", test.typed, test.names, got, test.want)
		}
	}
}
