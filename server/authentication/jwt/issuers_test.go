package jwt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/component-base/metrics/legacyregistry"
	clocktesting "k8s.io/utils/clock/testing"

	testissuer "github.com/annex-dev/annex/test/framework/issuer"
)

// entry returns an issuer of a configuration, with more below it.
func entry(i *testissuer.Issuer, more string) string {
	return fmt.Sprintf("- issuer: {url: %q, audiences: [annex, other], audienceMatchPolicy: MatchAny, certificateAuthority: %q}\n%s", i.URL(), i.CA(), more)
}

const header = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n"

const plain = "  claimMappings: {username: {claim: sub, prefix: \"\"}, groups: {claim: groups, prefix: \"\"}}\n"

// run returns issuers that run.
func run(t *testing.T, c Config) *Issuers {
	t.Helper()
	issuers, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	start(t, issuers)
	return issuers
}

func start(t *testing.T, issuers *Issuers) {
	t.Helper()
	done := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- issuers.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// who returns the user of a token, or why it is refused; both empty if nobody knows it.
func who(t *testing.T, issuers *Issuers, token string) (user.Info, string) {
	t.Helper()
	resp, ok, err := issuers.AuthenticateToken(t.Context(), token)
	switch {
	case err != nil:
		return nil, err.Error()
	case !ok:
		return nil, ""
	}
	return resp.User, ""
}

// becomes waits until the token is that of user, or, if user is empty, of nobody.
func becomes(t *testing.T, issuers *Issuers, token, want string) {
	t.Helper()
	var got user.Info
	var why string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got, why = who(t, issuers, token); (got == nil && want == "") || (got != nil && got.GetName() == want) {
			return
		}
	}
	t.Fatalf("the token is that of %v (%s), want %q", got, why, want)
}

func TestIssuers_Tokens(t *testing.T) {
	one, two := testissuer.Start(t), testissuer.Start(t)
	issuers := run(t, Config{File: write(t, filepath.Join(t.TempDir(), "config.yaml"), header+entry(one, plain+`  claimValidationRules:
  - {expression: "claims.?level.orValue(1) > 0", message: level is too low}
  userValidationRules:
  - {expression: "!user.username.startsWith('evil')", message: evil users are refused}
`)+entry(two, `  claimMappings:
    username: {expression: "'two:' + claims.sub"}
    extra: [{key: example.com/team, valueExpression: "claims.?team.orValue('')"}]
`))})
	becomes(t, issuers, one.Token(map[string]any{"sub": "alice"}), "alice")
	becomes(t, issuers, two.Token(map[string]any{"sub": "bob", "team": "red"}), "two:bob")
	got, _ := who(t, issuers, one.Token(map[string]any{"sub": "alice", "groups": []string{"a", "b"}, "aud": []string{"x", "other"}}))
	if got == nil || !slices.Equal(got.GetGroups(), []string{"a", "b"}) {
		t.Errorf("alice is %+v", got)
	}
	got, _ = who(t, issuers, two.Token(map[string]any{"sub": "bob", "team": "red"}))
	if got == nil || !slices.Equal(got.GetExtra()["example.com/team"], []string{"red"}) {
		t.Errorf("bob is %+v", got)
	}
	for name, tc := range map[string]struct{ token, want string }{
		"expired":              {one.Token(map[string]any{"sub": "a", "exp": time.Now().Add(-time.Minute).Unix()}), "token is expired"},
		"for somebody else":    {one.Token(map[string]any{"sub": "a", "aud": "elsewhere"}), "expected audience"},
		"without a user":       {one.Token(nil), "sub"},
		"against a rule":       {one.Token(map[string]any{"sub": "a", "level": 0}), "level is too low"},
		"a user against rules": {one.Token(map[string]any{"sub": "evil-eve"}), "evil users are refused"},
		"signed by another":    {two.Token(map[string]any{"sub": "a", "iss": one.URL()}), "failed to verify signature"},
		"of nobody":            {one.Token(map[string]any{"sub": "a", "iss": "https://nobody.example.com"}), ""},
		"not a token":          {"x", ""},
		"nothing":              {"", ""},
	} {
		if got, why := who(t, issuers, tc.token); got != nil || !strings.Contains(why, tc.want) || (tc.want == "" && why != "") {
			t.Errorf("a token that is %s: %v, %q, want %q", name, got, why, tc.want)
		}
	}
	// The issuer signs with a new key, and what the old one has signed is not valid any more.
	before := one.Token(map[string]any{"sub": "carol"})
	one.Rotate()
	becomes(t, issuers, one.Token(map[string]any{"sub": "alice", "n": 1}), "alice")
	if got, why := who(t, issuers, before); got != nil || why == "" {
		t.Errorf("with the old key: %v", got)
	}
}

func TestIssuers_AcceptNothingBeforeRun(t *testing.T) {
	one := testissuer.Start(t)
	issuers, err := New(Config{File: write(t, filepath.Join(t.TempDir(), "config.yaml"), header+entry(one, plain)+"anonymous: {enabled: false}\n")})
	if err != nil {
		t.Fatal(err)
	}
	if got, why := who(t, issuers, one.Token(map[string]any{"sub": "alice"})); got != nil || why != "" {
		t.Errorf("accepted as %v, %s", got, why)
	}
	if a := issuers.Anonymous(); a == nil || a.Enabled {
		t.Errorf("anonymous is %+v", a)
	}
	if one.Asked() > 0 {
		t.Error("New sent a request")
	}
}

// counted returns how many reloads have succeeded or failed.
func counted(t *testing.T, status string) float64 {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "apiserver_authentication_config_controller_automatic_reloads_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "status" && label.GetValue() == status {
					return metric.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

func TestIssuers_FollowTheFile(t *testing.T) {
	one, two := testissuer.Start(t), testissuer.Start(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, header+entry(one, plain))
	issuers, err := New(Config{File: file, ServerID: "reload"})
	if err != nil {
		t.Fatal(err)
	}
	now := clocktesting.NewFakePassiveClock(time.Now())
	issuers.clock = now
	start(t, issuers)
	alice, bob := one.Token(map[string]any{"sub": "alice"}), two.Token(map[string]any{"sub": "bob"})
	becomes(t, issuers, alice, "alice")
	asked := one.Asked()

	write(t, file, header+entry(one, plain)+entry(two, plain)+"anonymous: {enabled: true, conditions: [{path: /version}]}\n")
	becomes(t, issuers, bob, "bob")
	if got, why := who(t, issuers, alice); got == nil {
		t.Errorf("alice: %s", why)
	}
	if a := issuers.Anonymous(); a == nil || !a.Enabled || len(a.Conditions) != 1 {
		t.Errorf("anonymous is %+v", a)
	}
	if n := one.Asked(); n != asked {
		t.Errorf("an issuer that has not changed was asked %d times more", n-asked)
	}
	if counted(t, "success") != 1 {
		t.Errorf("%g reloads", counted(t, "success"))
	}

	// Files that cannot be used change nothing, and are counted once.
	for n, content := range []string{"", "x", header + entry(one, ""), header + strings.ReplaceAll(entry(two, plain), "https:", "http:")} {
		write(t, file, content)
		for deadline := time.Now().Add(time.Minute); counted(t, "failure") < float64(n+1) && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		if got := counted(t, "failure"); got != float64(n+1) {
			t.Fatalf("%q: %g failures, want %d", content, got, n+1)
		}
		for token, want := range map[string]string{alice: "alice", bob: "bob"} {
			if got, why := who(t, issuers, token); got == nil || got.GetName() != want {
				t.Errorf("%q: %s is %v, %s", content, want, got, why)
			}
		}
	}

	// An issuer that cannot be reached does not replace another one, until it can be reached.
	three := testissuer.Start(t)
	three.SetAway(true)
	carol := three.Token(map[string]any{"sub": "carol"})
	write(t, file, header+entry(two, plain)+entry(three, plain))
	for deadline := time.Now().Add(time.Minute); three.Asked() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new issuer is not asked")
		}
	}
	becomes(t, issuers, alice, "alice")
	failures := counted(t, "failure")
	now.SetTime(now.Now().Add(reachTimeout))
	for deadline := time.Now().Add(time.Minute); counted(t, "failure") == failures && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if got := counted(t, "failure"); got != failures+1 {
		t.Errorf("%g failures, want one more than %g", got, failures)
	}
	becomes(t, issuers, alice, "alice")
	// A file that names it no longer takes its place at once.
	write(t, file, header+entry(two, plain))
	becomes(t, issuers, alice, "")
	becomes(t, issuers, bob, "bob")
	becomes(t, issuers, carol, "")
	if issuers.Anonymous() != nil {
		t.Errorf("anonymous is %+v", issuers.Anonymous())
	}
	// No issuer at all is a configuration, too.
	write(t, file, "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n")
	becomes(t, issuers, bob, "")
}

// An issuer that is away at the start is used when it comes.
func TestIssuers_AwayAtTheStart(t *testing.T) {
	one := testissuer.Start(t)
	one.SetAway(true)
	ca := write(t, filepath.Join(t.TempDir(), "ca.crt"), one.CA())
	issuers := run(t, Config{Flags: Flags{IssuerURL: one.URL(), ClientID: "annex", CAFile: ca, UsernameClaim: "sub", UsernamePrefix: "-", SigningAlgorithms: []string{"RS256"}}})
	token := one.Token(map[string]any{"sub": "alice"})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		got, why := who(t, issuers, token)
		if got != nil || time.Now().After(deadline) {
			t.Fatalf("accepted as %v, %s", got, why)
		}
		if strings.Contains(why, "not initialized") {
			break
		}
	}
	one.SetAway(false)
	becomes(t, issuers, token, "alice")
}

// The CA that a flag names is followed.
func TestIssuers_FollowTheCA(t *testing.T) {
	one := testissuer.Start(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: "other"}, key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := certutil.EncodeCertificates(other)
	if err != nil {
		t.Fatal(err)
	}
	ca := write(t, filepath.Join(t.TempDir(), "ca.crt"), string(encoded))
	issuers := run(t, Config{Flags: Flags{IssuerURL: one.URL(), ClientID: "annex", CAFile: ca, UsernameClaim: "sub", UsernamePrefix: "-", SigningAlgorithms: []string{"RS256"}}})
	token := one.Token(map[string]any{"sub": "alice"})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		got, why := who(t, issuers, token)
		if got != nil || time.Now().After(deadline) {
			t.Fatalf("with another CA: %v, %s", got, why)
		}
		if strings.Contains(why, "not initialized") {
			break
		}
	}
	write(t, ca, one.CA())
	becomes(t, issuers, token, "alice")
}
