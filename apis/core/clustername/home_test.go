package clustername

import (
	"slices"
	"testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// No name of a user may lead into the home of another one.
func TestHomePath_IsOfOneUser(t *testing.T) {
	seen := map[logicalcluster.Path]string{}
	for username, want := range map[string]logicalcluster.Path{
		"alice": "user:alice", "a-b": "user:a-b", "7": "user:7",
		"alice:team": "", "alice:": "", ":alice": "", "": "", "*": "", "Alice": "", "alice@example.com": "", "https://issuer#alice": "",
		"system:serviceaccount:default:default": "", "alice/team": "", "alice\n": "", "-alice": "", "\xff": "",
		"a234567890123456789012345678901234567890123456789012345678901234": "",
	} {
		if want == "" {
			want = Home(username).Path()
		}
		got := HomePath(username)
		if got != want {
			t.Errorf("HomePath(%q) = %q, want %q", username, got, want)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q have the same path %q", username, other, got)
		}
		seen[got] = username
		home, cluster, below, ok := InHome(got)
		if _, single := got.Name(); ok == single || ok && (home != got || cluster != Home(username) || len(below) > 0) {
			t.Errorf("InHome(%q) = %q, %q, %q, %v", got, home, cluster, below, ok)
		}
	}
}

func TestInHome(t *testing.T) {
	home, cluster, below, ok := InHome("user:alice:team:x")
	if home != "user:alice" || cluster != "v1u4alow0iv9" || !slices.Equal(below, []string{"team", "x"}) || !ok {
		t.Errorf("InHome = %q, %q, %q, %v", home, cluster, below, ok)
	}
	for _, path := range []logicalcluster.Path{"user", "root:user:alice", "users:alice", "system:user", "", "*"} {
		if _, _, _, ok := InHome(path); ok {
			t.Errorf("InHome(%q) is a home", path)
		}
	}
}
