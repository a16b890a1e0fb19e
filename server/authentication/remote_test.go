package authentication

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/authentication/jwt"
	"github.com/annex-dev/annex/test/framework/issuer"
)

// reviewer is a webhook that knows some tokens, and remembers what it was asked.
type reviewer struct {
	server *httptest.Server
	mu     sync.Mutex
	asked  []string
	specs  []authenticationv1.TokenReviewSpec
	// code is answered to the next requests; 0 for reviews.
	code int
}

func (r *reviewer) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	review := &authenticationv1.TokenReview{}
	if err := json.NewDecoder(request.Body).Decode(review); err != nil || r.code != 0 {
		w.WriteHeader(max(r.code, http.StatusBadRequest))
		return
	}
	r.asked = append(r.asked, review.Spec.Token)
	r.specs = append(r.specs, review.Spec)
	extra := map[string]authenticationv1.ExtraValue{"example.com/team": {"red"}, "authentication.kcp.io/scopes": {"cluster:x"}, "authorization.kcp.io/warrant": {"{}"}}
	users := map[string]authenticationv1.UserInfo{
		"token-dora":    {Username: "dora", UID: "7", Groups: []string{"dev", "system:masters", "system:kcp:admin", "system:kcp:initializer:root:x", "system:authenticated", "host:serviceaccounts"}, Extra: extra},
		"token-robot":   {Username: "system:serviceaccount:default:robot"},
		"token-abroad":  {Username: "system:kcp:serviceaccount:other:default:x"},
		"token-system":  {Username: "system:admin"},
		"token-binding": {Username: "apis.kcp.io:binding:dora"},
		"token-empty":   {Groups: []string{"dev"}},
	}
	review.Status.User, review.Status.Authenticated = users[review.Spec.Token], users[review.Spec.Token].Username != "" || review.Spec.Token == "token-empty"
	review.TypeMeta = metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenReview"}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

// take returns what the webhook was asked since the last call.
func (r *reviewer) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked
	r.asked = nil
	return asked
}

// newReviewer runs a webhook, and returns the configuration for it.
func newReviewer(t *testing.T) (*reviewer, *Webhook) {
	t.Helper()
	r := &reviewer{}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	kubeconfig := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
		"clusters": [{"name": "c", "cluster": {"server": %q}}], "users": [{"name": "u", "user": {}}]}`, r.server.URL)
	return r, &Webhook{Kubeconfig: write(t, "kubeconfig", []byte(kubeconfig)), Version: "v1", CacheTTL: time.Minute}
}

// with returns a request with a bearer token for a cluster, from somebody who asks for audiences if there are any.
func with(t *testing.T, token string, audiences ...string) *http.Request {
	t.Helper()
	ctx := logicalcluster.WithCluster(t.Context(), "org")
	if len(audiences) > 0 {
		ctx = authenticator.WithAudiences(ctx, audiences)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func TestNew_Webhook(t *testing.T) {
	hook, config := newReviewer(t)
	asked := ""
	host := authenticator.TokenFunc(func(_ context.Context, token string) (*authenticator.Response, bool, error) {
		asked = token
		return &authenticator.Response{User: &user.DefaultInfo{Name: "of the host"}}, token == "host", nil
	})
	auth, err := New(Config{TokenFile: write(t, "tokens.csv", []byte(tokenFile)), Webhook: config, ServiceAccounts: robots{}, Host: &Host{Tokens: host}, Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, token string
		audiences   []string
		want        string // empty when nobody is let in
		wantGroups  []string
		hook, host  bool // whether they are asked
	}{
		{name: "a user, without what one cannot claim", token: "token-dora", want: "dora", wantGroups: []string{"dev", user.AllAuthenticated}, hook: true},
		{name: "the same again, from the cache", token: "token-dora", want: "dora", wantGroups: []string{"dev", user.AllAuthenticated}},
		{name: "for this workspace", token: "token-dora", audiences: []string{"x", "here in org"}, want: "dora", wantGroups: []string{"dev", user.AllAuthenticated}},
		{name: "for something else", token: "token-dora", audiences: []string{"x"}, host: true},
		{name: "a ServiceAccount", token: "token-robot", hook: true},
		{name: "a ServiceAccount of another workspace", token: "token-abroad", hook: true},
		{name: "a user of the system", token: "token-system", hook: true},
		{name: "the subject of a bound API", token: "token-binding", hook: true},
		{name: "a user without a name", token: "token-empty", hook: true},
		{name: "nobody", token: "nobody", hook: true, host: true},
		{name: "nobody, again", token: "nobody", host: true},
		{name: "a static token", token: "token-alice", want: "alice", wantGroups: []string{"dev", user.AllAuthenticated}},
		{name: "a token of a workspace", token: "robot", want: "system:serviceaccount:default:robot", wantGroups: []string{"system:serviceaccounts", user.AllAuthenticated}},
		{name: "a token of a workspace that is no more", token: "revoked"},
		{name: "a token of the host", token: "host", want: "of the host", wantGroups: []string{user.AllAuthenticated}, hook: true, host: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked = ""
			resp, ok, err := auth.Authenticator.AuthenticateRequest(with(t, tc.token, tc.audiences...))
			if got := hook.take(); (len(got) > 0) != tc.hook {
				t.Errorf("the webhook is asked %q, want %t", got, tc.hook)
			}
			if (asked != "") != tc.host {
				t.Errorf("the host is asked %q, want %t", asked, tc.host)
			}
			if tc.want == "" {
				if ok || err == nil {
					t.Errorf("let in as %+v, %v", resp, err)
				}
				return
			}
			if err != nil || !ok || resp.User.GetName() != tc.want || !slices.Equal(resp.User.GetGroups(), tc.wantGroups) {
				t.Fatalf("let in as %+v, %v", resp, err)
			}
			if extra := resp.User.GetExtra(); tc.want == "dora" && (len(extra) != 1 || !slices.Equal(extra["example.com/team"], []string{"red"})) {
				t.Errorf("extra fields %v", extra)
			}
			if len(tc.audiences) > 0 && !slices.Equal(resp.Audiences, []string{"here in org"}) {
				t.Errorf("for %q", resp.Audiences)
			}
		})
	}
	for _, spec := range hook.specs {
		if len(spec.Audiences) > 0 {
			t.Errorf("the webhook is asked about audiences: %+v", spec.Audiences)
		}
	}
}

// A webhook that does not answer delays only those whom nobody else knows.
func TestNew_WebhookThatIsAway(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(release) })
	_, config := newReviewer(t)
	config.Kubeconfig = write(t, "kubeconfig", []byte(fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
		"clusters": [{"name": "c", "cluster": {"server": %q}}], "users": [{"name": "u", "user": {}}]}`, silent.URL)))
	auth, err := New(Config{TokenFile: write(t, "tokens.csv", []byte(tokenFile)), Webhook: config, ServiceAccounts: robots{}, Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan time.Duration)
	go func() {
		began := time.Now()
		if resp, ok, err := auth.Authenticator.AuthenticateRequest(with(t, "nobody")); ok || err == nil {
			t.Errorf("let in as %+v, %v", resp, err)
		}
		waited <- time.Since(began)
	}()
	began := time.Now()
	for _, token := range []string{"token-alice", "robot"} {
		if _, ok, err := auth.Authenticator.AuthenticateRequest(with(t, token)); !ok || err != nil {
			t.Errorf("%s is not let in: %v", token, err)
		}
	}
	if resp, ok, err := auth.Authenticator.AuthenticateRequest(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api", nil)); !ok || err != nil {
		t.Errorf("nobody is %+v, %v", resp, err)
	}
	if took := time.Since(began); took > remoteTimeout/2 {
		t.Errorf("others waited for %s", took)
	}
	if took := <-waited; took < remoteTimeout/2 || took > 2*remoteTimeout {
		t.Errorf("the answer took %s, want %s", took, remoteTimeout)
	}
}

func TestNew_WebhookThatFails(t *testing.T) {
	hook, config := newReviewer(t)
	auth, err := New(Config{Webhook: config, Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	hook.code = http.StatusForbidden
	if resp, ok, err := auth.Authenticator.AuthenticateRequest(with(t, "token-dora")); ok || err == nil {
		t.Errorf("let in as %+v, %v", resp, err)
	}
	// A failure is not remembered.
	hook.code = 0
	if resp, ok, err := auth.Authenticator.AuthenticateRequest(with(t, "token-dora")); !ok || err != nil {
		t.Errorf("not let in: %+v, %v", resp, err)
	}
	for name, broken := range map[string]*Webhook{
		"a missing file":     {Kubeconfig: "missing", Version: "v1"},
		"not a kubeconfig":   {Kubeconfig: write(t, "kubeconfig", []byte("x")), Version: "v1"},
		"an unknown version": {Kubeconfig: config.Kubeconfig, Version: "v2"},
	} {
		if _, err := New(Config{Webhook: broken}); err == nil || !strings.Contains(err.Error(), "--authentication-token-webhook-config-file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What tokens of an issuer may not claim.
func TestNew_Issuer(t *testing.T) {
	one := issuer.Start(t)
	config := jwt.Config{File: write(t, "config.yaml", []byte(fmt.Sprintf(`apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer: {url: %q, audiences: [annex], certificateAuthority: %q}
  claimMappings:
    username: {claim: sub, prefix: ""}
    groups: {claim: groups, prefix: ""}
    uid: {claim: uid}
    extra: [{key: example.com/team, valueExpression: "claims.?team.orValue('')"}]
anonymous: {enabled: true, conditions: [{path: /version}]}
`, one.URL(), one.CA())))}
	_, webhook := newReviewer(t)
	auth, err := New(Config{JWT: config, Webhook: webhook, ServiceAccounts: robots{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- auth.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	claims := func(sub string, groups ...string) map[string]any {
		return map[string]any{"sub": sub, "uid": "1", "groups": groups, "team": "red"}
	}
	ready := one.Token(claims("ready"))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, ok, err := auth.Authenticator.AuthenticateRequest(with(t, ready)); ok {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		claims     map[string]any
		want       string // empty when nobody is let in
		wantGroups []string
	}{
		"a user":                       {claims("erin", "dev"), "erin", []string{"dev", user.AllAuthenticated}},
		"one who would be master":      {claims("erin", "dev", "system:masters"), "erin", []string{"dev", user.AllAuthenticated}},
		"an administrator":             {claims("erin", "system:kcp:admin", "system:nodes"), "erin", []string{user.AllAuthenticated}},
		"one who initializes":          {claims("erin", "system:kcp:initializer:root:x", "system:cluster:x", "apis.kcp.io:binding:x"), "erin", []string{user.AllAuthenticated}},
		"a group of ServiceAccounts":   {claims("erin", "system:serviceaccounts", "system:serviceaccounts:default", "host:serviceaccounts"), "erin", []string{user.AllAuthenticated}},
		"a ServiceAccount":             {claims("system:serviceaccount:default:robot"), "", nil},
		"a ServiceAccount from abroad": {claims("system:kcp:serviceaccount:other:default:robot"), "", nil},
		"the server":                   {claims("system:apiserver"), "", nil},
		"nobody":                       {claims("system:anonymous"), "", nil},
		"a ServiceAccount of the host": {claims("host:serviceaccount:default:x"), "", nil},
		"the subject of a bound API":   {claims("apis.kcp.io:binding:x"), "", nil},
		"an empty name":                {claims(""), "", nil},
		"a token for somebody else":    {map[string]any{"sub": "erin", "uid": "1", "aud": "x"}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			resp, ok, err := auth.Authenticator.AuthenticateRequest(with(t, one.Token(tc.claims)))
			if tc.want == "" {
				if ok || err == nil {
					t.Errorf("let in as %+v, %v", resp, err)
				}
				return
			}
			if err != nil || !ok || resp.User.GetName() != tc.want || !slices.Equal(resp.User.GetGroups(), tc.wantGroups) || resp.User.GetUID() != "1" {
				t.Fatalf("let in as %+v, %v", resp, err)
			}
			if !slices.Equal(resp.User.GetExtra()["example.com/team"], []string{"red"}) {
				t.Errorf("extra fields %v", resp.User.GetExtra())
			}
		})
	}
	config.File = write(t, "config.yaml", []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n- issuer: {url: \"https://x\", audiences: [a]}\n  claimMappings:\n    username: {claim: sub, prefix: \"\"}\n    extra: [{key: authentication.kcp.io/cluster-name, valueExpression: claims.sub}]\n"))
	if _, err := New(Config{JWT: config}); err == nil || !strings.Contains(err.Error(), "jwt[0].claimMappings.extra[0].key") {
		t.Errorf("a reserved extra field: %v", err)
	}
}

// The file of the issuers decides who is anonymous.
func TestNew_AnonymousForSomePaths(t *testing.T) {
	const header = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
	for name, tc := range map[string]struct {
		file          string
		flag          bool
		version, apis bool // whether requests without credentials are anonymous there
	}{
		"everywhere":                {header + "anonymous: {enabled: true}\n", false, true, true},
		"nowhere":                   {header + "anonymous: {enabled: false}\n", true, false, false},
		"at a path":                 {header + "anonymous: {enabled: true, conditions: [{path: /version}]}\n", true, true, false},
		"as the flag says":          {header, true, true, true},
		"nowhere, as the flag says": {header, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			auth, err := New(Config{JWT: jwt.Config{File: write(t, "config.yaml", []byte(tc.file))}, Anonymous: tc.flag, TokenFile: write(t, "tokens.csv", []byte(tokenFile))})
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]bool{"/version": tc.version, "/apis": tc.apis, "/version/": tc.apis} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
				resp, ok, _ := auth.Authenticator.AuthenticateRequest(r)
				if ok != want || (ok && resp.User.GetName() != user.Anonymous) {
					t.Errorf("%s: %+v, want %t", path, resp, want)
				}
				r.Header.Set("Authorization", "Bearer x")
				if _, ok, _ := auth.Authenticator.AuthenticateRequest(r); ok {
					t.Errorf("%s: a bad token is accepted", path)
				}
			}
			// A TokenReview has no URL.
			probe := (&http.Request{Header: http.Header{}}).WithContext(t.Context())
			if resp, ok, _ := auth.Authenticator.AuthenticateRequest(probe); ok && !tc.apis {
				t.Errorf("without a URL: %+v", resp)
			}
		})
	}
}
