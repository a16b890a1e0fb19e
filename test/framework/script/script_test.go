package script

import (
	"slices"
	"testing"
)

func TestArguments(t *testing.T) {
	for line, want := range map[string][]string{
		"get cm -o name":                  {"get", "cm", "-o", "name"},
		"get cm -o `jsonpath={.a} {.b}` ": {"get", "cm", "-o", "jsonpath={.a} {.b}"},
		"a --b=`c d`e":                    {"a", "--b=c de"},
		`patch -p {"a":"'x'"}`:            {"patch", "-p", `{"a":"'x'"}`},
	} {
		if got := arguments(line); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestStep_Wrong(t *testing.T) {
	is := "out"
	for name, tc := range map[string]struct {
		step  Step
		code  int
		wrong bool
	}{
		"success":                   {Step{}, 0, false},
		"failure":                   {Step{}, 1, true},
		"wanted failure":            {Step{Fails: true}, 1, false},
		"wanted failure, none":      {Step{Fails: true}, 0, true},
		"wanted code":               {Step{Code: 1}, 1, false},
		"another code":              {Step{Code: 1}, 2, true},
		"said":                      {Step{Says: []string{"out", "err"}}, 0, false},
		"not said":                  {Step{Says: []string{"out", "other"}}, 0, true},
		"lacking":                   {Step{Lacks: []string{"other"}}, 0, false},
		"not lacking":               {Step{Lacks: []string{"err"}}, 0, true},
		"all of it":                 {Step{Is: &is}, 0, false},
		"nothing of it":             {Step{Is: new(string)}, 0, true},
		"more than one line":        {Step{Once: true}, 0, true},
		"a failure without a field": {Step{Says: []string{"out"}}, 1, true},
	} {
		if wrong := tc.step.wrong(tc.code, "out\n", "err\n"); (wrong != "") != tc.wrong {
			t.Errorf("%s: %q", name, wrong)
		}
	}
}
