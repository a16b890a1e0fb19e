package address

import (
	"slices"
	"strings"
	"testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		from, arg string
		want      Target
		wantErr   string
	}{
		{from: "root:org", arg: ".", want: Target{Kind: Here}},
		{from: "root:org", arg: "-", want: Target{Kind: Back}},
		{from: "root:org", arg: ":", want: Target{Kind: Top, Path: "root"}},
		{from: "user:alice:a", arg: "/", want: Target{Kind: Top, Path: "user"}},
		{from: "root:org", arg: "..", want: Target{Path: "root"}},
		{from: "root:org", arg: "..:b", want: Target{Path: "root:b"}},
		{from: "root:org:a", arg: "../../b/c", want: Target{Path: "root:b:c"}},
		{from: "root:org", arg: "a:..:b", want: Target{Path: "root:org:b"}},
		{from: "root:org", arg: "./a", want: Target{Path: "root:org:a"}},
		{from: "root:org", arg: "a", want: Target{Path: "root:org:a"}},
		{from: "root:org", arg: "a:b", want: Target{Path: "root:org:a:b"}},
		{from: "root:org", arg: "a/b", want: Target{Path: "root:org:a:b"}},
		{from: "root:org", arg: ":root", want: Target{Path: "root"}},
		{from: "root:org", arg: ":root:other", want: Target{Path: "root:other"}},
		{from: "root:org", arg: "/root/other", want: Target{Path: "root:other"}},
		{from: "root:org", arg: ":2f8kq1z0c7a9x3bd", want: Target{Path: "2f8kq1z0c7a9x3bd"}},
		{from: "root:org", arg: ":system:admin", want: Target{Path: "system:admin"}},
		{from: "root:org", arg: "root", want: Target{Path: "root", Legacy: true}},
		{from: "root:org", arg: "root:org:x", want: Target{Path: "root:org:x", Legacy: true}},
		{from: "root:org", arg: "rooted", want: Target{Path: "root:org:rooted"}},
		{from: "root:org", arg: "~", want: Target{Kind: Home}},
		{from: "", arg: "~:a:b", want: Target{Kind: Home, Below: []string{"a", "b"}}},
		{from: "root", arg: "/home/alice", want: Target{Kind: Home}},
		{from: "root", arg: "/home/alice/a", want: Target{Kind: Home, Below: []string{"a"}}},
		{from: "root", arg: "/home/alicexy", want: Target{Path: "home:alicexy"}},
		{from: "", arg: ":root:org", want: Target{Path: "root:org"}},
		{from: "", arg: "root:org", want: Target{Path: "root:org", Legacy: true}},

		{from: "root", arg: "..", wantErr: "cannot go up from root"},
		{from: "root:a", arg: "..:..:b", wantErr: "cannot go up from root"},
		{from: "2f8kq1z0c7a9x3bd", arg: "..", wantErr: "invalid workspace path: .."},
		{from: "root:org", arg: ":..", wantErr: "invalid workspace path: :.."},
		{from: "root:org", arg: "", wantErr: "invalid workspace path: "},
		{from: "root:org", arg: "a::b", wantErr: "invalid workspace path: a::b; did you mean \"a:b\"?"},
		{from: "root:org", arg: "a:", wantErr: "invalid workspace path: a:; did you mean \"a\"?"},
		{from: "root:org", arg: "root:", wantErr: "invalid workspace path: root:; did you mean \":root\"?"},
		{from: "root:org", arg: "::root//x/", wantErr: "invalid workspace path: ::root//x/; did you mean \":root:x\"?"},
		{from: "root:org", arg: ":*", wantErr: "invalid workspace path: :*; a path is names of lower-case letters, digits and '-', with ':' or '/' between them"},
		{from: "root:org", arg: "Team", wantErr: "invalid workspace path: Team; did you mean \"team\"?"},
		{from: "root:org", arg: "a b", wantErr: "invalid workspace path: a b; a path is names of lower-case letters, digits and '-', with ':' or '/' between them"},
		{from: "root:org", arg: "~bob", wantErr: "invalid workspace path: ~bob; a path is names of lower-case letters, digits and '-', with ':' or '/' between them"},
		{from: "root:org", arg: "~:..", wantErr: "invalid workspace path: ~:.."},
		{from: "", arg: "a", wantErr: `current URL "https://annex/services/x" does not point to a workspace`},
		{from: "", arg: "..", wantErr: `current URL "https://annex/services/x" does not point to a workspace`},
		{from: "", arg: ":", wantErr: `current URL "https://annex/services/x" does not point to a workspace`},
	} {
		got, err := Parse(test.arg, Origin{URL: "https://annex/services/x", Path: logicalcluster.Path(test.from), HomeDirectory: "/home/alice"})
		if test.wantErr != "" {
			if err == nil || err.Error() != test.wantErr {
				t.Errorf("%q from %q: %+v, %v; want the error %q", test.arg, test.from, got, err, test.wantErr)
			}
			continue
		}
		if err != nil || got.Kind != test.want.Kind || got.Path != test.want.Path || got.Legacy != test.want.Legacy || !slices.Equal(got.Below, test.want.Below) {
			t.Errorf("%q from %q: %+v, %v; want %+v", test.arg, test.from, got, err, test.want)
		}
	}
}

// Whatever a user types, an absolute address is one that a server parses.
func FuzzParse(f *testing.F) {
	for _, arg := range []string{"a/b", "..:..", "~:x", "root:a", ":", ":system:admin", "a:..:..:..", "\x00"} {
		f.Add("root:org", arg)
	}
	f.Fuzz(func(t *testing.T, from, arg string) {
		if _, err := logicalcluster.ParsePath(from); err != nil || from == "*" {
			from = ""
		}
		target, err := Parse(arg, Origin{Path: logicalcluster.Path(from), HomeDirectory: "/home/alice"})
		if err != nil || target.Kind != Absolute {
			return
		}
		if path, err := logicalcluster.ParsePath(target.Path.String()); err != nil || path == logicalcluster.Wildcard || strings.Contains(path.String(), "/") {
			t.Errorf("%q from %q: %q, %v", arg, from, path, err)
		}
	})
}
