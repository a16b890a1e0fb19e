package jwt

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/apis/apiserver"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// oneIssuer is a configuration with one issuer, and more below it.
const oneIssuer = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer: {url: "https://issuer.example.com", audiences: [annex]%s}
  claimMappings:
    username: {claim: sub, prefix: ""}
`

func TestNew_Files(t *testing.T) {
	file := func(more, below string) string { return strings.Replace(oneIssuer, "%s", more, 1) + below }
	for name, tc := range map[string]struct {
		content string
		want    string // part of the error; empty for none
	}{
		"an issuer":            {file("", ""), ""},
		"no issuer":            {"apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n", ""},
		"an older version":     {strings.Replace(file("", ""), "k8s.io/v1", "k8s.io/v1beta1", 1), ""},
		"nothing":              {"", "it is empty"},
		"something else":       {"apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers: []\n", "not an AuthenticationConfiguration"},
		"no YAML":              {"{", "yaml"},
		"an unknown field":     {file("", "    user: {claim: sub}\n"), `unknown field "jwt[0].claimMappings.user"`},
		"a field twice":        {file("", "kind: AuthenticationConfiguration\n"), `already set`},
		"no TLS":               {strings.Replace(file("", ""), "https:", "http:", 1), "jwt[0].issuer.url: Invalid value: \"http://issuer.example.com\": URL scheme must be https"},
		"a CA that is none":    {file(`, certificateAuthority: x`, ""), "jwt[0].issuer.certificateAuthority: Invalid value"},
		"the same twice":       {file("", "- issuer: {url: \"https://issuer.example.com\", audiences: [x]}\n  claimMappings: {username: {claim: sub, prefix: \"\"}}\n"), "jwt[1].issuer.url: Duplicate value"},
		"a rule that is none":  {file("", "  claimValidationRules: [{expression: \"claims.x ==\", message: m}]\n"), "jwt[0].claimValidationRules[0].expression: Invalid value"},
		"a reserved extra":     {file("", "    extra: [{key: authentication.kcp.io/scopes, valueExpression: \"'cluster:x'\"}]\n"), "jwt[0].claimMappings.extra[0].key: Invalid value: \"authentication.kcp.io/scopes\": is reserved for the server itself"},
		"a workspace":          {strings.Replace(file("", ""), "issuer.example.com", "annex.example.com/clusters/2f8kq1z0c7a9x3bd", 1), "jwt[0].issuer.url: Invalid value: \"https://annex.example.com/clusters/2f8kq1z0c7a9x3bd\": is the issuer of a workspace"},
		"another cluster":      {strings.Replace(file("", ""), "issuer.example.com", "cloud.example.com/clusters/one", 1), ""},
		"an egress selector":   {file(", egressSelectorType: cluster", ""), "jwt[0].issuer.egressSelectorType: Invalid value: \"cluster\": this server has no egress selector"},
		"nobody is anonymous":  {file("", "anonymous: {enabled: false}\n"), ""},
		"anonymous, condition": {file("", "anonymous: {enabled: false, conditions: [{path: /version}]}\n"), "anonymous.conditions: Invalid value"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Config{
				File: write(t, filepath.Join(t.TempDir(), "config.yaml"), tc.content), ServerURL: "https://annex.example.com",
				ReservedExtra: func(key string) bool { return strings.HasPrefix(key, "authentication.kcp.io/") },
			})
			if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("New() = %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := New(Config{File: filepath.Join(t.TempDir(), "missing")}); err == nil || !strings.Contains(err.Error(), "--authentication-config") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestFlags(t *testing.T) {
	none := Flags{UsernameClaim: DefaultUsernameClaim, SigningAlgorithms: []string{DefaultSigningAlgorithm}}
	good := none
	good.IssuerURL, good.ClientID = "https://issuer.example.com", "annex"
	for name, tc := range map[string]struct {
		change func(*Flags)
		want   string // part of the errors; empty for none
	}{
		"an issuer":                 {func(*Flags) {}, ""},
		"nothing":                   {func(f *Flags) { *f = none }, ""},
		"an audience of nobody":     {func(f *Flags) { f.IssuerURL = "" }, "--oidc-client-id: has no effect without --oidc-issuer-url"},
		"claims of nobody":          {func(f *Flags) { *f = none; f.RequiredClaims = map[string]string{"a": "b"} }, "--oidc-required-claim: has no effect"},
		"names of nobody":           {func(f *Flags) { *f = none; f.UsernameClaim = "email" }, "--oidc-username-claim: has no effect"},
		"algorithms of nobody":      {func(f *Flags) { *f = none; f.SigningAlgorithms = []string{"ES256"} }, "--oidc-signing-algs: has no effect"},
		"no audience":               {func(f *Flags) { f.ClientID = "" }, "--oidc-issuer-url: requires --oidc-client-id"},
		"no claim":                  {func(f *Flags) { f.UsernameClaim = "" }, "--oidc-username-claim"},
		"a prefix of no groups":     {func(f *Flags) { f.GroupsPrefix = "x:" }, "--oidc-groups-prefix: has no effect without --oidc-groups-claim"},
		"no algorithm":              {func(f *Flags) { f.SigningAlgorithms = nil }, "--oidc-signing-algs"},
		"an algorithm without keys": {func(f *Flags) { f.SigningAlgorithms = []string{"none"} }, `--oidc-signing-algs "none"`},
		"a shared key":              {func(f *Flags) { f.SigningAlgorithms = []string{"RS256", "HS256"} }, `--oidc-signing-algs "HS256"`},
	} {
		t.Run(name, func(t *testing.T) {
			f := good
			tc.change(&f)
			var all []string
			for _, err := range f.Check() {
				all = append(all, err.Error())
			}
			if (len(all) == 0) != (tc.want == "") || !strings.Contains(strings.Join(all, "\n"), tc.want) {
				t.Errorf("Check() = %q, want %q", all, tc.want)
			}
		})
	}
	if _, err := New(Config{Flags: Flags{IssuerURL: "http://issuer.example.com", ClientID: "annex", UsernameClaim: "sub"}}); err == nil || !strings.Contains(err.Error(), "URL scheme must be https") {
		t.Errorf("without TLS: %v", err)
	}
	if _, err := New(Config{Flags: Flags{IssuerURL: "https://x", ClientID: "annex", UsernameClaim: "sub", CAFile: "missing"}}); err == nil || !strings.Contains(err.Error(), "--oidc-ca-file") {
		t.Errorf("without the CA: %v", err)
	}
}

// What the flags mean is what they mean for kube-apiserver.
func TestFlags_Configuration(t *testing.T) {
	f := Flags{
		IssuerURL: "https://issuer.example.com", ClientID: "annex", UsernameClaim: "sub", GroupsClaim: "groups", GroupsPrefix: "oidc:",
		RequiredClaims: map[string]string{"org": "x", "env": "y"},
	}
	prefix := func(f Flags) string { return *f.configuration(nil).JWT[0].ClaimMappings.Username.Prefix }
	if got := prefix(f); got != "https://issuer.example.com#" {
		t.Errorf("the prefix of a claim is %q", got)
	}
	f.UsernamePrefix = "oidc:"
	if got := prefix(f); got != "oidc:" {
		t.Errorf("the given prefix is %q", got)
	}
	f.UsernamePrefix = "-"
	if got := prefix(f); got != "" {
		t.Errorf("no prefix is %q", got)
	}
	f.UsernamePrefix, f.UsernameClaim = "", "email"
	if got := prefix(f); got != "" {
		t.Errorf("the prefix of an address is %q", got)
	}
	got := f.configuration([]byte("ca")).JWT[0]
	if got.Issuer.CertificateAuthority != "ca" || !slices.Equal(got.Issuer.Audiences, []string{"annex"}) || *got.ClaimMappings.Groups.Prefix != "oidc:" || got.ClaimMappings.Groups.Claim != "groups" {
		t.Errorf("the issuer is %+v", got)
	}
	if want := []apiserver.ClaimValidationRule{{Claim: "env", RequiredValue: "y"}, {Claim: "org", RequiredValue: "x"}}; !slices.Equal(got.ClaimValidationRules, want) {
		t.Errorf("the required claims are %+v", got.ClaimValidationRules)
	}
}
