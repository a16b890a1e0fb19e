package tokens

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/core"
)

func inCluster(t *testing.T, cluster logicalcluster.Name) context.Context {
	return logicalcluster.WithCluster(t.Context(), cluster)
}

func TestTokens_WhoTheyAre(t *testing.T) {
	w := newWorld(t)
	token := w.issue(t, nil)
	abroad := []string{user.AllAuthenticated, "system:cluster:a"}
	for name, tc := range map[string]struct {
		ctx        context.Context
		wantName   string
		wantGroups []string
		wantScopes []string
	}{
		"at home":             {inCluster(t, "a"), "system:serviceaccount:default:robot", []string{"system:serviceaccounts", "system:serviceaccounts:default"}, []string{"cluster:a"}},
		"in another cluster":  {inCluster(t, "b"), "system:kcp:serviceaccount:a:default:robot", abroad, nil},
		"in none":             {t.Context(), "system:kcp:serviceaccount:a:default:robot", abroad, nil},
		"in an unknown one":   {logicalcluster.WithUnknown(t.Context()), "system:kcp:serviceaccount:a:default:robot", abroad, nil},
		"in all of them":      {logicalcluster.WithWildcard(t.Context()), "system:kcp:serviceaccount:a:default:robot", abroad, nil},
		"in a system cluster": {inCluster(t, logicalcluster.SystemAdmin), "system:kcp:serviceaccount:a:default:robot", abroad, nil},
	} {
		t.Run(name, func(t *testing.T) {
			resp, ok, err := w.AuthenticateToken(tc.ctx, token)
			if err != nil || !ok {
				t.Fatalf("refused: %v", err)
			}
			u := resp.User
			if u.GetName() != tc.wantName || !slices.Equal(u.GetGroups(), tc.wantGroups) || u.GetUID() != "uid-of-robot-in-a" {
				t.Errorf("it is %v", u)
			}
			extra := u.GetExtra()
			if !slices.Equal(extra["authentication.kcp.io/scopes"], tc.wantScopes) || !slices.Equal(extra["authentication.kcp.io/cluster-name"], []string{"a"}) ||
				len(extra[user.CredentialIDKey]) != 1 || !strings.HasPrefix(extra[user.CredentialIDKey][0], "JTI=") {
				t.Errorf("extra fields %v", extra)
			}
		})
	}
	if home, ok := w.Home(t.Context(), token); !ok || home != "a" {
		t.Errorf("its home is %q, %t", home, ok)
	}
}

// What somebody could make of a token, or of nothing.
func TestTokens_Forged(t *testing.T) {
	w := newWorld(t)
	token := w.issue(t, nil)
	own, public := w.own(t)
	strange, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	keyID := own.Key.(jose.JSONWebKey).KeyID
	strangeKey := jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: strange, KeyID: keyID}}
	parts := strings.Split(token, ".")
	other := strings.Split(w.issue(t, func(c *core.Token) { c.Cluster, c.Account = "b", account("b", "uid-of-robot-in-b") }), ".")
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, tc := range map[string]struct {
		token string
		ours  bool // whether it says so
	}{
		"another key":                    {resign(t, token, strangeKey, nil), true},
		"an unknown key":                 {resign(t, token, jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: strange, KeyID: "unknown"}}, nil), true},
		"no name of a key":               {resign(t, token, jose.SigningKey{Algorithm: jose.RS256, Key: strange}, nil), true},
		"another algorithm":              {resign(t, token, jose.SigningKey{Algorithm: jose.PS256, Key: own.Key}, nil), false},
		"the public key as a secret one": {resign(t, token, jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: der, KeyID: keyID}}, nil), false},
		"no signature":                   {encode(`{"alg":"none","kid":"`+keyID+`"}`) + "." + parts[1] + ".", false},
		"no signature, as if there were": {parts[0] + "." + parts[1] + ".", true},
		"claims of another token":        {parts[0] + "." + other[1] + "." + parts[2], true},
		"a token of somebody else":       {resign(t, token, strangeKey, func(c *claims) { c.Issuer, c.Kubernetes.ClusterName = "https://kubernetes.default.svc", "" }), false},
		"a legacy token of somebody":     {resign(t, token, strangeKey, func(c *claims) { c.Issuer, c.Kubernetes = legacyIssuer, nil }), false},
		"nonsense":                       {"a.b.c", false},
		"nothing":                        {"", false},
		"endless":                        {strings.Repeat("a", MaxBytes+1), false},
	} {
		t.Run(name, func(t *testing.T) {
			resp, ok, err := w.AuthenticateToken(inCluster(t, "a"), tc.token)
			if ok || (err != nil) != tc.ours || w.Ours(t.Context(), tc.token) != tc.ours {
				t.Errorf("AuthenticateToken = %v, %t, %v; ours: %t", resp, ok, err, w.Ours(t.Context(), tc.token))
			}
			if home, ok := w.Home(t.Context(), tc.token); ok {
				t.Errorf("it leads to %q", home)
			}
		})
	}
}

// Even the server's own key does not make these valid: nothing signs them, and should something do so by mistake, they are refused.
func TestTokens_Claims(t *testing.T) {
	w := newWorld(t)
	token := w.issue(t, nil)
	own, _ := w.own(t)
	if _, ok, err := w.AuthenticateToken(inCluster(t, "a"), resign(t, token, own, nil)); err != nil || !ok {
		t.Fatalf("the token itself is refused: %v", err)
	}
	now := w.clock.Now()
	for name, change := range map[string]func(*claims){
		"has expired":                       func(c *claims) { c.Expiry = jwt.NewNumericDate(now) },
		"never expires":                     func(c *claims) { c.Expiry = nil },
		"is not valid yet":                  func(c *claims) { c.NotBefore = jwt.NewNumericDate(now.Add(2 * time.Minute)) },
		"is valid from nobody knows when":   func(c *claims) { c.NotBefore = nil },
		"is for another audience":           func(c *claims) { c.Audience = jwt.Audience{"x"} },
		"is for no audience":                func(c *claims) { c.Audience = nil },
		"has the issuer of another cluster": func(c *claims) { c.Issuer = w.Audience("b") },
		"is of another cluster":             func(c *claims) { c.Kubernetes.ClusterName = "b" },
		"is wholly of another cluster": func(c *claims) {
			c.Kubernetes.ClusterName, c.Issuer, c.Audience = "b", w.Audience("b"), jwt.Audience{w.Audience("b")}
		},
		"is of a cluster that was never": func(c *claims) {
			c.Kubernetes.ClusterName, c.Issuer, c.Audience = "c", w.Audience("c"), jwt.Audience{w.Audience("c")}
		},
		"has another subject":               func(c *claims) { c.Subject = "system:serviceaccount:kube-system:robot" },
		"is of another account":             func(c *claims) { c.Kubernetes.Account.Name, c.Subject = "other", "system:serviceaccount:default:other" },
		"has no UID of the account":         func(c *claims) { c.Kubernetes.Account.UID = "" },
		"has another UID of the account":    func(c *claims) { c.Kubernetes.Account.UID = "x" },
		"is in another namespace":           func(c *claims) { c.Kubernetes.Namespace, c.Subject = "other", "system:serviceaccount:other:robot" },
		"is bound to a Secret that is not":  func(c *claims) { c.Kubernetes.Secret = &reference{Name: "x", UID: "y"} },
		"is bound to a Secret without UID":  func(c *claims) { c.Kubernetes.Secret = &reference{Name: "tie"} },
		"is bound to a Secret without name": func(c *claims) { c.Kubernetes.Secret = &reference{} },
		"is bound to another Secret":        func(c *claims) { c.Kubernetes.Secret = &reference{Name: "tie", UID: "x"} },
		"is a legacy token of both kinds":   func(c *claims) { c.Issuer, c.private.ClusterName = legacyIssuer, "a" },
		"is a legacy token without a Secret": func(c *claims) {
			c.Claims = jwt.Claims{Issuer: legacyIssuer, Subject: c.Subject}
			c.private = private{ClusterName: "a", Namespace: "default", Account: "robot", AccountUID: "uid-of-robot-in-a"}
		},
		"is a legacy token that its Secret does not hold": func(c *claims) {
			c.Claims = jwt.Claims{Issuer: legacyIssuer, Subject: c.Subject}
			c.private = private{ClusterName: "a", Namespace: "default", Account: "robot", AccountUID: "uid-of-robot-in-a", Secret: "tie"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if resp, ok, err := w.AuthenticateToken(inCluster(t, "a"), resign(t, token, own, change)); ok {
				t.Errorf("AuthenticateToken = %v, %t, %v", resp.User, ok, err)
			}
		})
	}
}

func TestTokens_AreRevoked(t *testing.T) {
	robot := client.Key{Cluster: "a", Namespace: "default", Name: "robot"}
	tie := client.Key{Cluster: "a", Namespace: "default", Name: "tie"}
	for name, tc := range map[string]struct {
		change func(t *testing.T, w *world)
		bound  bool // whether only a token that is bound to the Secret is revoked
		abroad bool // whether it is only revoked in other clusters
	}{
		"the account is deleted": {change: func(t *testing.T, w *world) { w.remove(t, "serviceaccounts", robot) }},
		"the account is another": {change: func(_ *testing.T, w *world) { w.put("serviceaccounts", account("a", "another")) }},
		"the account is being deleted": {change: func(_ *testing.T, w *world) {
			going := account("a", "uid-of-robot-in-a")
			going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: w.clock.Now()}, []string{"example.com/hold"}
			w.put("serviceaccounts", going)
		}},
		"the workspace is deleted": {change: func(t *testing.T, w *world) {
			w.remove(t, "logicalclusters", client.Key{Cluster: "a", Name: corev1alpha1.LogicalClusterName})
		}},
		"the workspace is inactive": {abroad: true, change: func(_ *testing.T, w *world) {
			w.put("logicalclusters", logicalCluster("a", corev1alpha1.LogicalClusterPhaseInactive))
		}},
		"the key is removed": {change: func(t *testing.T, w *world) {
			w.remove(t, "secrets", client.Key{Cluster: logicalcluster.SystemAdmin, Namespace: metav1.NamespaceSystem, Name: SecretName})
		}},
		"the Secret is deleted": {bound: true, change: func(t *testing.T, w *world) { w.remove(t, "secrets", tie) }},
		"the Secret is another": {bound: true, change: func(_ *testing.T, w *world) { w.put("secrets", secret("a", "another")) }},
		"the Secret is being deleted": {bound: true, change: func(_ *testing.T, w *world) {
			going := secret("a", "uid-of-tie-in-a")
			going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: w.clock.Now()}, []string{"example.com/hold"}
			w.put("secrets", going)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			free := w.issue(t, nil)
			bound := w.issue(t, func(c *core.Token) { c.Secret = secret("a", "uid-of-tie-in-a") })
			expect := func(when string, token string, cluster logicalcluster.Name, want bool) {
				t.Helper()
				if _, ok, err := w.AuthenticateToken(inCluster(t, cluster), token); ok != want {
					t.Errorf("%s, in %s: accepted %t, %v", when, cluster, ok, err)
				}
			}
			for _, cluster := range []logicalcluster.Name{"a", "b"} {
				expect("before", free, cluster, true)
				expect("before, bound", bound, cluster, true)
			}
			tc.change(t, w)
			expect("after", free, "a", tc.bound || tc.abroad)
			expect("after", free, "b", tc.bound)
			expect("after, bound", bound, "a", tc.abroad)
			expect("after, bound", bound, "b", false)
		})
	}
}

func TestTokens_OfSecrets(t *testing.T) {
	w := newWorld(t)
	sa, in := account("a", "uid-of-robot-in-a"), secret("a", "uid-of-tie-in-a")
	fill := func() string {
		t.Helper()
		token, err := w.ForSecret(t.Context(), "a", sa, in)
		if err != nil {
			t.Fatal(err)
		}
		return string(token)
	}
	hold := func(token string) {
		in.Data = map[string][]byte{corev1.ServiceAccountTokenKey: []byte(token)}
		w.put("secrets", in)
	}
	accepted := func(token string) bool {
		_, ok, _ := w.AuthenticateToken(inCluster(t, "a"), token)
		return ok
	}
	first := fill()
	if accepted(first) {
		t.Error("accepted before it is in the Secret")
	}
	hold(first)
	if !accepted(first) || fill() != first {
		t.Error("the token in the Secret is not kept, or not accepted")
	}
	w.clock.SetTime(w.clock.Now().Add(20 * renewKey))
	if !accepted(first) {
		t.Error("it has expired")
	}
	resp, _, err := w.AuthenticateToken(authenticator.WithAudiences(inCluster(t, "a"), authenticator.Audiences{"x", w.Audience("a")}), first)
	if err != nil || !slices.Equal(resp.Audiences, authenticator.Audiences{w.Audience("a")}) {
		t.Errorf("its audiences are %v, %v", resp, err)
	}
	if home, ok := w.Home(t.Context(), first); !ok || home != "a" {
		t.Errorf("its home is %q, %t", home, ok)
	}
	for name, change := range map[string]func(){
		"of another type":              func() { in.Type = corev1.SecretTypeOpaque },
		"of another account":           func() { in.Annotations[corev1.ServiceAccountNameKey] = "other" },
		"of an account that was there": func() { in.Annotations[corev1.ServiceAccountUIDKey] = "x" },
	} {
		in = secret("a", "uid-of-tie-in-a")
		change()
		hold(first)
		if accepted(first) {
			t.Errorf("a Secret %s makes it valid", name)
		}
	}
	in = secret("a", "recreated")
	second := fill()
	if second == first {
		t.Error("a Secret that was made anew has the token of the old one")
	}
	hold(second)
	if accepted(first) || !accepted(second) {
		t.Error("the token of the old Secret is accepted, or that of the new one is not")
	}
	// What a tenant writes into the Secret is not kept.
	for _, token := range []string{"x", w.issue(t, nil)} {
		in.Data[corev1.ServiceAccountTokenKey] = []byte(token)
		if fill() == token {
			t.Errorf("%q is kept", token)
		}
	}
}

func TestTokens_Audiences(t *testing.T) {
	w := newWorld(t)
	w.APIAudiences = []string{"anywhere"}
	for name, tc := range map[string]struct {
		has, wanted, want []string
	}{
		"the workspace":           {[]string{w.Audience("a"), "x"}, nil, []string{w.Audience("a")}},
		"one that it has":         {[]string{"x", "y"}, []string{"z", "y"}, []string{"y"}},
		"one that it has not":     {[]string{"x"}, []string{"z"}, nil},
		"another workspace":       {[]string{w.Audience("b")}, nil, nil},
		"any workspace":           {[]string{"x", "anywhere"}, nil, []string{"anywhere"}},
		"any workspace, in vain":  {[]string{"x", "anywhere"}, []string{"z"}, nil},
		"the workspace, not this": {[]string{"x"}, []string{w.Audience("a")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := inCluster(t, "a")
			if tc.wanted != nil {
				ctx = authenticator.WithAudiences(ctx, tc.wanted)
			}
			resp, ok, err := w.AuthenticateToken(ctx, w.issue(t, func(c *core.Token) { c.Audiences = tc.has }))
			if ok != (tc.want != nil) || ok && !slices.Equal(resp.Audiences, tc.want) {
				t.Errorf("AuthenticateToken = %v, %t, %v", resp, ok, err)
			}
		})
	}
}

// Watch caches that are behind must not keep a revoked token alive, and must not refuse a new one.
func TestTokens_LookAsOftenAsNeeded(t *testing.T) {
	w := newWorld(t)
	token := w.issue(t, nil)
	accepted := func() bool {
		_, ok, _ := w.AuthenticateToken(inCluster(t, "a"), token)
		return ok
	}
	if !accepted() || w.waits != 1 {
		t.Fatalf("the first look waits %d times", w.waits)
	}
	for range 100 {
		accepted()
	}
	w.clock.SetTime(w.clock.Now().Add(maxAge - 1))
	if !accepted() || w.waits != 1 {
		t.Errorf("waits %d times within a second", w.waits)
	}
	// The deletion is in etcd, but not in the watch cache before somebody waits for it.
	w.wait = func() error {
		w.wait = nil
		w.remove(t, "serviceaccounts", client.Key{Cluster: "a", Namespace: "default", Name: "robot"})
		return nil
	}
	w.clock.SetTime(w.clock.Now().Add(1))
	if accepted() {
		t.Error("a revoked token is accepted after a second")
	}
	// So is the creation.
	w.wait = func() error { w.put("serviceaccounts", account("a", "uid-of-robot-in-a")); return nil }
	if !accepted() {
		t.Error("a token of an account that the watch cache does not have yet is refused")
	}
}

func TestTokens_NobodyKnows(t *testing.T) {
	w := newWorld(t)
	token := w.issue(t, nil)
	expect := func(why string) {
		t.Helper()
		_, ok, err := w.AuthenticateToken(inCluster(t, "a"), token)
		if ok || !apierrors.IsServiceUnavailable(err) {
			t.Errorf("%s: %t, %v", why, ok, err)
		}
		if strings.Contains(err.(interface{ Unwrap() error }).Unwrap().Error(), "10.0.0.1") != strings.Contains(err.Error(), "10.0.0.1") {
			t.Errorf("%s: the log does not say why: %v", why, err)
		}
		if home, ok := w.Home(t.Context(), token); ok {
			t.Errorf("%s: it leads to %q", why, home)
		}
	}
	w.wait = func() error { return errors.New("etcd at 10.0.0.1 is away") }
	expect("the watch caches cannot be confirmed")
	w.wait = nil
	keys := client.Key{Cluster: logicalcluster.SystemAdmin, Namespace: metav1.NamespaceSystem, Name: SecretName}
	obj, err := w.objects.Get(t.Context(), corev1.Resource("secrets"), keys)
	if err != nil {
		t.Fatal(err)
	}
	broken := obj.DeepCopyObject().(*corev1.Secret)
	for name := range broken.Data {
		broken.Data[name] = []byte("nonsense")
	}
	w.put("secrets", broken)
	expect("the keys cannot be read")
	if _, _, err := w.Issue(t.Context(), core.Token{Cluster: "a", Account: account("a", "x")}); err == nil || !strings.Contains(err.Error(), SecretName) {
		t.Errorf("a token is signed by keys that cannot be read: %v", err)
	}
}

// TestTokens_OfSecretsRecordTheirUse uses one token many times: it is written down once a day, while no request waits.
func TestTokens_OfSecretsRecordTheirUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := secret("a", "")
	held.Labels = map[string]string{"a": "b"}
	held.Annotations[corev1.ServiceAccountUIDKey] = "uid-of-robot-in-a"
	token, err := w.ForSecret(t.Context(), "a", account("a", "uid-of-robot-in-a"), held)
	if err != nil {
		t.Fatal(err)
	}
	held.Data = map[string][]byte{corev1.ServiceAccountTokenKey: token}
	// The Secret is one that can be written.
	delete(w.objects.given, corev1.Resource("secrets").String()+client.KeyOf(held).String())
	if _, err := w.objects.Create(t.Context(), corev1.Resource("secrets"), "a", held); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{}, 10)
	w.uses.ended = func() { ended <- struct{}{} }
	writes := func() int {
		n := 0
		for _, write := range w.objects.Writes() {
			if write == "update secrets a|default/tie" {
				n++
			}
		}
		return n
	}
	use := func(want bool) {
		t.Helper()
		if _, ok, err := w.AuthenticateToken(inCluster(t, "a"), string(token)); ok != want {
			t.Fatalf("the token is accepted: %v, %v", ok, err)
		}
	}
	labels := func() map[string]string {
		t.Helper()
		got, err := client.Find[corev1.Secret](t.Context(), w.objects, corev1.Resource("secrets"), client.KeyOf(held))
		if err != nil || got == nil {
			t.Fatal(got, err)
		}
		return got.Labels
	}
	for day := 1; day <= 2; day++ {
		for range 5 {
			use(true)
		}
		<-ended
		use(true)
		if want := fmt.Sprintf("2026-07-%02d", day); labels()["kubernetes.io/legacy-token-last-used"] != want || labels()["a"] != "b" || writes() != day {
			t.Errorf("after %d days: labels %v and %d writes", day, labels(), writes())
		}
		w.clock.SetTime(w.clock.Now().Add(24 * time.Hour))
	}

	// Who cannot be written is tried once.
	w.objects.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
		if verb == "update" {
			return apierrors.NewForbidden(corev1.Resource("secrets"), "tie", nil)
		}
		return nil
	})
	use(true)
	<-ended
	use(true)
	w.objects.Intercept(nil)
	if len(ended) != 0 || writes() != 2 {
		t.Errorf("%d more tries, %d writes", len(ended), writes())
	}

	// A token that somebody has marked is not accepted.
	marked, err := client.Find[corev1.Secret](t.Context(), w.objects, corev1.Resource("secrets"), client.KeyOf(held))
	if err != nil {
		t.Fatal(err)
	}
	marked = marked.DeepCopy()
	marked.Labels["kubernetes.io/legacy-token-invalid-since"] = "2026-07-03"
	if _, err := w.objects.Update(t.Context(), corev1.Resource("secrets"), "a", marked); err != nil {
		t.Fatal(err)
	}
	use(false)
}

// What is remembered of uses is bounded, and nothing is written without a writer.
func TestUses_AreBounded(t *testing.T) {
	t.Parallel()
	u := &uses{}
	if u.begin(client.Key{Name: "a"}, "2026-07-01") {
		t.Error("begins without a writer")
	}
	u.writer = clienttest.NewFake()
	for i := range 3 * maxNoted {
		if u.begin(client.Key{Name: fmt.Sprint(i)}, "2026-07-01") {
			u.end()
		}
		if len(u.tried) > maxNoted {
			t.Fatalf("remembers %d", len(u.tried))
		}
	}
	for i := range maxNoting + 1 {
		if u.begin(client.Key{Namespace: "n", Name: fmt.Sprint(i)}, "2026-07-01") != (i < maxNoting) {
			t.Errorf("write %d at a time", i)
		}
	}
}
