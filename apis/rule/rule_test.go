package rule

import (
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

func TestFieldRules(t *testing.T) {
	path := field.NewPath("spec", "x")
	for _, tc := range []struct {
		name string
		rule func(string, *field.Path) field.ErrorList
		good []string
		bad  []string
	}{
		{"WorkspacePath", WorkspacePath, []string{"", "root", "root:org:team", "2f8kq1z0c7a9x3bd", "system:admin", "user:bob"}, []string{"*", "root:", ":a", "Root", "a..b", "root:org/team", "-"}},
		{"ClusterName", ClusterName, []string{"", "root", "2f8kq1z0c7a9x3bd", "system:admin"}, []string{"*", "root:org", "A", "a_b"}},
		{"URL", URL, []string{"", "https://example.com", "https://127.0.0.1:6443/clusters/root"}, []string{"x", "/clusters/root", "//host", "https://", "https://%zz"}},
		{"Required", Required, []string{"a"}, []string{""}},
		{"SubdomainRequired", SubdomainRequired, []string{"a", "a.b"}, []string{"", "A", "a..b"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, s := range tc.good {
				if errs := tc.rule(s, path); len(errs) > 0 {
					t.Errorf("%q: %v", s, errs)
				}
			}
			for _, s := range tc.bad {
				if errs := tc.rule(s, path); len(errs) == 0 || errs[0].Field != "spec.x" {
					t.Errorf("%q: got %v, want a fault of spec.x", s, errs)
				}
			}
		})
	}
}

func TestNotSupportedYet_SaysSo(t *testing.T) {
	if got := NotSupportedYet(field.NewPath("spec", "x"), "things are").Error(); got != "spec.x: Forbidden: things are not supported yet" {
		t.Errorf("got %q", got)
	}
}

func TestMatching_AllowsGeneratedNames(t *testing.T) {
	rule := Matching(regexp.MustCompile(`^[a-z]([a-z-]*[a-z])?$`), "team")
	if msgs := rule("team-", true); len(msgs) > 0 {
		t.Errorf("prefix: %v", msgs)
	}
	if msgs := rule("team-", false); len(msgs) == 0 {
		t.Error("a name with a dash at the end was accepted")
	}
}

func TestConditions(t *testing.T) {
	errs := Conditions(conditionsv1alpha1.Conditions{
		{Type: "A", Status: "True"},
		{Type: "A", Status: "False", Severity: "Error"},
		{Type: "", Status: ""},
		{Type: "B", Status: "Maybe"},
		{Type: "C", Status: "True", Severity: "Error"},
		{Type: "D", Status: "False", Severity: "Fatal"},
	}, field.NewPath("c"))
	var got []string
	for _, e := range errs {
		got = append(got, e.Field)
	}
	want := "c[1].type c[2].type c[2].status c[3].status c[4].severity c[5].severity"
	if strings.Join(got, " ") != want {
		t.Errorf("faults of %v, want %s", got, want)
	}
}
