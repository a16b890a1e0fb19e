package mapping

import (
	"testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

func TestParse_Refuses(t *testing.T) {
	for _, path := range []string{
		"", "*", "{namespace}", "{namespace}:x", "root:{namespace}:{namespace}", "root:team-{namespace}", "root:{name}", "root:{namespace",
		"root:Teams", "root::x", "root:", "system:admin", "system:{namespace}", "r", "root:a/b",
	} {
		if m, err := Parse(path); err == nil {
			t.Errorf("Parse(%q) = %v", path, m)
		}
	}
}

func TestMapping(t *testing.T) {
	for name, tc := range map[string]struct {
		path, namespace string
		want, base      logicalcluster.Path
		fixed, last     bool
	}{
		"fixed":                          {"root:platform", "team-a", "root:platform", "root:platform", true, false},
		"fixed, without a namespace":     {"root:platform", "", "root:platform", "root:platform", true, false},
		"root":                           {"root", "team-a", "root", "root", true, false},
		"a name":                         {"2f8kq1z0c7a9x3bd", "team-a", "2f8kq1z0c7a9x3bd", "2f8kq1z0c7a9x3bd", true, false},
		"template":                       {"root:teams:{namespace}", "team-a", "root:teams:team-a", "root:teams", false, true},
		"template, without a namespace":  {"root:teams:{namespace}", "", "", "root:teams", false, true},
		"template in the middle":         {"root:{namespace}:prod", "team-a", "root:team-a:prod", "root", false, false},
		"a namespace of several parts":   {"root:teams:{namespace}", "a:b", "", "root:teams", false, true},
		"a namespace that is none":       {"root:teams:{namespace}", "..", "", "root:teams", false, true},
		"a namespace that is a wildcard": {"root:teams:{namespace}", "*", "", "root:teams", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Parse(tc.path)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := m.For(tc.namespace); got != tc.want || ok != (tc.want != "") {
				t.Errorf("For(%q) = %q, %v; want %q", tc.namespace, got, ok, tc.want)
			}
			if m.Base() != tc.base || m.Fixed() != tc.fixed || m.Last() != tc.last || m.String() != tc.path {
				t.Errorf("%v: base %q, fixed %v, last %v", m, m.Base(), m.Fixed(), m.Last())
			}
		})
	}
}
