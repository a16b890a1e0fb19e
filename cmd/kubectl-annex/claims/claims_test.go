package claims

import (
	"slices"
	"strings"
	"testing"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

func claim(group, resource, identity string, verbs ...string) apisv1alpha2.PermissionClaim {
	return apisv1alpha2.PermissionClaim{GroupResource: apisv1alpha2.GroupResource{Group: group, Resource: resource}, IdentityHash: identity, Verbs: verbs}
}

func answered(c apisv1alpha2.PermissionClaim, state apisv1alpha2.AcceptablePermissionClaimState) apisv1alpha2.AcceptablePermissionClaim {
	a := apisv1alpha2.AcceptablePermissionClaim{State: state}
	a.PermissionClaim = c
	return a
}

func TestWarnings(t *testing.T) {
	configMaps := claim("", "configmaps", "", "get", "list")
	for name, test := range map[string]struct {
		answers []apisv1alpha2.AcceptablePermissionClaim
		want    string
	}{
		"no answer":     {nil, "claim for configmaps exported but not specified on APIBinding x. Add this claim"},
		"neither":       {[]apisv1alpha2.AcceptablePermissionClaim{answered(configMaps, "")}, "claim for configmaps specified on APIBinding x but not accepted or rejected."},
		"fewer verbs":   {[]apisv1alpha2.AcceptablePermissionClaim{answered(claim("", "configmaps", "", "get"), "Accepted")}, "allowed verbs get on claim for configmaps on APIBinding x do not match expected verbs get,list."},
		"another":       {[]apisv1alpha2.AcceptablePermissionClaim{answered(claim("", "configmaps", "0a", "*"), "Accepted")}, "exported but not specified"},
		"accepted":      {[]apisv1alpha2.AcceptablePermissionClaim{answered(claim("", "configmaps", "", "list", "get"), "Accepted")}, ""},
		"accepted, all": {[]apisv1alpha2.AcceptablePermissionClaim{answered(claim("", "configmaps", "", "*"), "Accepted")}, ""},
		"rejected":      {[]apisv1alpha2.AcceptablePermissionClaim{answered(claim("", "configmaps", "", "get"), "Rejected")}, ""},
	} {
		binding := &apisv1alpha2.APIBinding{}
		binding.Name, binding.Spec.PermissionClaims = "x", test.answers
		binding.Status.ExportPermissionClaims = []apisv1alpha2.PermissionClaim{configMaps}
		got := strings.Join(Warnings(binding), "\n")
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestFlags(t *testing.T) {
	for name, test := range map[string]struct {
		flags   Flags
		wantErr string
	}{
		"none":                 {Flags{}, ""},
		"both":                 {Flags{Accept: []string{"configmaps.core"}, Reject: []string{"secrets.core"}}, ""},
		"all and all":          {Flags{AcceptAll: true, RejectAll: true}, "mutually exclusive"},
		"accept all and one":   {Flags{AcceptAll: true, Reject: []string{"secrets.core"}}, "mutually exclusive"},
		"reject all and one":   {Flags{RejectAll: true, Accept: []string{"secrets.core"}}, "mutually exclusive"},
		"the same in both":     {Flags{Accept: []string{"secrets.core"}, Reject: []string{"secrets.core"}}, `"secrets.core" is both accepted and rejected`},
		"a resource alone":     {Flags{Accept: []string{"secrets"}}, `invalid permission claim "secrets"`},
		"a group alone":        {Flags{Accept: []string{".core"}}, "invalid permission claim"},
		"a group that is left": {Flags{Reject: []string{"secrets."}}, "invalid permission claim"},
	} {
		_, err := test.flags.Parse()
		if (err == nil) != (test.wantErr == "") || (err != nil && !strings.Contains(err.Error(), test.wantErr)) {
			t.Errorf("%s: %v, want %q", name, err, test.wantErr)
		}
	}
}

// A claim on an API of somebody else is answered with its identity, also if the user gave only its name.
func TestAnswers(t *testing.T) {
	claimed := []apisv1alpha2.PermissionClaim{claim("example.com", "widgets", "0a1b", "get"), claim("", "configmaps", "", "*")}
	one, err := Flags{Accept: []string{"widgets.example.com"}, Reject: []string{"secrets.core"}}.Parse()
	if err != nil {
		t.Fatal(err)
	}
	all, err := Flags{RejectAll: true}.Parse()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		answers Answers
		claimed []apisv1alpha2.PermissionClaim
		want    []string
	}{
		"some":               {one, claimed, []string{"secrets Rejected", "widgets.example.com:0a1b Accepted"}},
		"without the export": {one, nil, []string{"secrets Rejected", "widgets.example.com Accepted"}},
		"all":                {all, claimed, []string{"configmaps Rejected", "widgets.example.com:0a1b Rejected"}},
		"none":               {Answers{}, claimed, nil},
	} {
		var got []string
		for _, a := range test.answers.For(test.claimed) {
			name := a.Resource
			if a.Group != "" {
				name += "." + a.Group
			}
			if a.IdentityHash != "" {
				name += ":" + a.IdentityHash
			}
			got = append(got, name+" "+string(a.State))
			if !a.Selector.MatchAll || !slices.Equal(a.Verbs, []string{"*"}) {
				t.Errorf("%s: %+v", name, a)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestSet(t *testing.T) {
	binding := &apisv1alpha2.APIBinding{}
	binding.Status.ExportPermissionClaims = []apisv1alpha2.PermissionClaim{claim("", "configmaps", "", "get"), claim("example.com", "widgets", "0a", "get"), claim("example.com", "widgets", "0b", "get")}
	narrow := answered(claim("", "configmaps", "", "get"), "Rejected")
	narrow.Selector.MatchLabels = map[string]string{"a": "b"}
	binding.Spec.PermissionClaims = []apisv1alpha2.AcceptablePermissionClaim{narrow}
	if names, err := Set(binding, Which{Identity: "0b"}, apisv1alpha2.ClaimAccepted); err != nil || !slices.Equal(names, []string{"widgets.example.com:0b"}) {
		t.Errorf("by identity: %v, %v", names, err)
	}
	if names, err := Set(binding, Which{Resource: &apisv1alpha2.GroupResource{Resource: "secrets"}}, apisv1alpha2.ClaimAccepted); err == nil {
		t.Errorf("a claim that the export does not make: %v", names)
	}
	if names, err := Set(binding, Which{}, apisv1alpha2.ClaimAccepted); err != nil || len(names) != 3 || len(binding.Spec.PermissionClaims) != 3 {
		t.Errorf("all: %v, %v", names, err)
	}
	// The selector of an answer cannot be changed.
	if is := binding.Spec.PermissionClaims[0]; is.State != apisv1alpha2.ClaimAccepted || is.Selector.MatchLabels["a"] != "b" {
		t.Errorf("an answer that was there: %+v", is)
	}
}
