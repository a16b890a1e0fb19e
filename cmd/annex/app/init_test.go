package app

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// Who types too little, or names a wrong checkout, is told what to give and what to mend.
func TestInitOperator_SaysWhatIsWrong(t *testing.T) {
	out := filepath.Join(t.TempDir(), "account")
	for name, test := range map[string]struct {
		source string
		args   []string
		want   string
	}{
		"nothing":                 {args: nil, want: "annex init operator account --domain shop.example.com"},
		"two names":               {args: []string{"a", "b", "--domain", "example.com"}, want: "give one NAME for the operator, not 2"},
		"a wrong variable":        {source: "/nowhere", args: []string{"account", "--domain", "example.com"}, want: `ANNEX_SOURCE "/nowhere": is not a checkout of Annex`},
		"a wrong flag":            {source: "/nowhere", args: []string{"account", "--domain", "example.com", "--replace", "/wrong"}, want: `--replace "/wrong": is not a checkout of Annex`},
		"neither, and no release": {args: []string{"account", "--domain", "example.com", "--client-version", "0123abc"}, want: "set --replace or the variable ANNEX_SOURCE to a checkout of Annex"},
	} {
		t.Setenv(sourceVariable, test.source)
		command := newInitCommand()
		var printed bytes.Buffer
		command.SetOut(&printed)
		command.SetErr(&printed)
		command.SetArgs(append([]string{"operator", "--output", out}, test.args...))
		if err := command.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
