package e2e

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/issuer"
)

// whoAmI returns the user of config.
func whoAmI(ctx context.Context, t *testing.T, config *rest.Config) (authenticationv1.UserInfo, error) {
	t.Helper()
	client, _ := annex.Clients(t, config)
	review, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	return review.Status.UserInfo, nil
}

// isUser waits until config is that of the user in the groups, and nothing else.
func isUser(t *testing.T, config *rest.Config, want string, groups ...string) {
	t.Helper()
	annex.Eventually(t, func(ctx context.Context) error {
		got, err := whoAmI(ctx, t, config)
		if err != nil {
			return err
		}
		if all := append(slices.Clone(groups), "system:authenticated"); got.Username != want || !slices.Equal(got.Groups, all) {
			return fmt.Errorf("it is %s in %q, want %s in %q", got.Username, got.Groups, want, all)
		}
		return nil
	})
}

// isNobody waits until config is answered with 401.
func isNobody(t *testing.T, config *rest.Config) {
	t.Helper()
	annex.Eventually(t, func(ctx context.Context) error {
		if got, err := whoAmI(ctx, t, config); !apierrors.IsUnauthorized(err) {
			return fmt.Errorf("it is %s, %w", got.Username, errors.Join(err, errors.New("want 401")))
		}
		return nil
	})
}

// bind gives users in a group a role in the workspace of config.
func bind(t *testing.T, config *rest.Config, role, group string) {
	t.Helper()
	client, _ := annex.Clients(t, config)
	if _, err := client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "bind-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// answers waits until a request of config is answered with a code.
func answers(t *testing.T, config *rest.Config, path string, want int) {
	t.Helper()
	annex.Eventually(t, func(context.Context) error {
		if got := annex.Status(t, config, http.MethodGet, path); got != want {
			return fmt.Errorf("%s is answered with %d, want %d", path, got, want)
		}
		return nil
	})
}

// trust returns an AuthenticationConfiguration that trusts issuers.
func trust(issuers ...*issuer.Issuer) string {
	var b strings.Builder
	b.WriteString("apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n")
	for _, i := range issuers {
		fmt.Fprintf(&b, `- issuer: {url: %q, audiences: [annex], certificateAuthority: %q}
  claimMappings: {username: {claim: email, prefix: ""}, groups: {claim: groups, prefix: ""}}
  claimValidationRules: [{expression: "claims.?email_verified.orValue(false) == true", message: the address is not verified}]
`, i.URL(), i.CA())
	}
	return b.String()
}

func TestLogins_Issuer(t *testing.T) {
	one, two := issuer.Start(t), issuer.Start(t)
	one.SetAway(true)
	file := write(t, filepath.Join(t.TempDir(), "config.yaml"), trust(one))
	server := annex.Start(t, "--authentication-config", file)
	path, cluster := server.NewWorkspace("root", "team", "")
	token := func(i *issuer.Issuer, email string, more ...string) string {
		return i.Token(map[string]any{"email": email, "email_verified": true, "groups": more})
	}
	alice := server.As(token(one, "alice@example.com", "dev", "system:masters", "system:kcp:admin", "system:kcp:initializer:root:x"), path)
	isNobody(t, alice)
	one.SetAway(false)
	isUser(t, alice, "alice@example.com", "dev")

	// In workspaces that do not let her in, and that are not there, she is the same.
	for _, other := range []string{"root:nobody", cluster, "root", "system:admin"} {
		elsewhere := rest.CopyConfig(alice)
		elsewhere.Host = server.URL() + "/clusters/" + other
		isUser(t, elsewhere, "alice@example.com", "dev")
	}
	const configMaps = "/api/v1/namespaces/default/configmaps"
	for _, url := range []string{"/clusters/" + path + configMaps, "/clusters/*/api/v1/configmaps", "/clusters/system:admin/api/v1/secrets"} {
		direct := rest.CopyConfig(alice)
		direct.Host = server.URL()
		answers(t, direct, url, http.StatusForbidden)
	}
	bind(t, server.Workspace(path), "system:kcp:workspace:access", "dev")
	bind(t, server.Workspace(path), "edit", "dev")
	answers(t, alice, configMaps, http.StatusOK)
	answers(t, alice, "/api/v1/nodes", http.StatusForbidden)

	// An operator binds a group for all workspaces.
	operator := server.As(token(one, "olga@example.com", "operators"), path)
	answers(t, operator, configMaps, http.StatusForbidden)
	admin := server.Config(annex.ContextShardBase)
	admin.Host = server.URL() + "/clusters/system:admin"
	bind(t, admin, "cluster-admin", "operators")
	answers(t, operator, "/api/v1/secrets", http.StatusOK)

	for name, bad := range map[string]string{
		"an expired token":          one.Token(map[string]any{"email": "a@example.com", "email_verified": true, "exp": time.Now().Add(-time.Minute).Unix()}),
		"a token for somebody else": one.Token(map[string]any{"email": "a@example.com", "email_verified": true, "aud": "other"}),
		"an address of anybody":     one.Token(map[string]any{"email": "a@example.com"}),
		"a ServiceAccount":          token(one, "system:serviceaccount:default:default"),
		"an unknown issuer":         token(two, "a@example.com"),
		"a forged token":            two.Token(map[string]any{"email": "a@example.com", "email_verified": true, "iss": one.URL()}),
	} {
		if code := annex.Status(t, server.As(bad, path), http.MethodGet, configMaps); code != http.StatusUnauthorized {
			t.Errorf("%s is answered with %d", name, code)
		}
	}
	typed, _ := annex.Clients(t, server.Workspace(path))
	own := server.URL() + "/clusters/" + cluster
	for audience, want := range map[string]bool{"": true, own: true, "vault": false} {
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: alice.BearerToken}}
		if audience != "" {
			review.Spec.Audiences = []string{audience}
		}
		got, err := typed.AuthenticationV1().TokenReviews().Create(t.Context(), review, metav1.CreateOptions{})
		if err != nil || got.Status.Authenticated != want || (want && !slices.Equal(got.Status.Audiences, []string{own})) {
			t.Errorf("a review for %q: %+v, %v", audience, got, err)
		}
	}

	before := server.As(token(one, "bob@example.com"), path)
	one.Rotate()
	isUser(t, server.As(token(one, "carol@example.com"), path), "carol@example.com")
	isNobody(t, before)

	// The file changes: another issuer, then both, then nothing that can be used.
	write(t, file, trust(two))
	bob := server.As(token(two, "bob@example.com"), path)
	isUser(t, bob, "bob@example.com")
	isNobody(t, alice)
	write(t, file, trust(two, one))
	carol := server.As(token(one, "carol@example.com", "dev"), path)
	isUser(t, carol, "carol@example.com", "dev")
	write(t, file, strings.ReplaceAll(trust(one), "https:", "http:"))
	annex.Eventually(t, func(context.Context) error {
		if !server.Printed("The trusted issuers of tokens do not change") {
			return errors.New("the log does not say that the file cannot be used")
		}
		return nil
	})
	isUser(t, bob, "bob@example.com")
	operatorClient, _ := annex.Clients(t, server.Config(annex.ContextShardBase))
	shown, err := operatorClient.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`status="success"} 2`, `status="failure"} 1`} {
		if line := lineWith(string(shown), "apiserver_authentication_config_controller_automatic_reloads_total"); !strings.Contains(string(shown), want) || line == "" {
			t.Errorf("the metrics do not contain %s: %s", want, line)
		}
	}

	// kubectl, with the token that a plugin would give it.
	out, stderr, err := server.TryKubectl(path, "", "--token", carol.BearerToken, "auth", "whoami")
	if err != nil || !strings.Contains(out, "carol@example.com") {
		t.Errorf("kubectl auth whoami: %s%s, %v", out, stderr, err)
	}
	out, stderr, err = server.TryKubectl(path, "", "--token", carol.BearerToken, "get", "configmaps")
	if err != nil || !strings.Contains(out, "kube-root-ca.crt") {
		t.Errorf("kubectl get configmaps: %s%s, %v", out, stderr, err)
	}
}

// reviewer is a service that reviews tokens: token-NAME is that of NAME.
type reviewer struct {
	mu    sync.Mutex
	asked []string
	// silent is closed when the service answers again; nil while it answers.
	silent chan struct{}
}

func (r *reviewer) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	silent := r.silent
	r.mu.Unlock()
	if silent != nil {
		<-silent
	}
	review := &authenticationv1.TokenReview{}
	if err := json.NewDecoder(request.Body).Decode(review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.asked = append(r.asked, review.Spec.Token)
	r.mu.Unlock()
	name, known := strings.CutPrefix(review.Spec.Token, "token-")
	review.Status = authenticationv1.TokenReviewStatus{Authenticated: known, User: authenticationv1.UserInfo{
		Username: name, Groups: []string{"dev", "system:masters", "system:authenticated"},
		Extra: map[string]authenticationv1.ExtraValue{"authentication.kcp.io/scopes": {"cluster:root"}, "example.com/team": {"red"}},
	}}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

func TestLogins_Webhook(t *testing.T) {
	hook := &reviewer{}
	service := httptest.NewTLSServer(hook)
	t.Cleanup(service.Close)
	dir := t.TempDir()
	ca := write(t, filepath.Join(dir, "ca.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: service.Certificate().Raw})))
	kubeconfig := write(t, filepath.Join(dir, "kubeconfig"), fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
`, service.URL, ca))
	server := annex.Start(t, "--authentication-token-webhook-config-file", kubeconfig, "--authentication-token-webhook-version", "v1", "--authentication-token-webhook-cache-ttl", "0", "--api-audiences", "annex")
	path, _ := server.NewWorkspace("root", "team", "")
	dora := server.As("token-dora", path)
	isUser(t, dora, "dora", "dev")
	got, err := whoAmI(t.Context(), t, dora)
	if _, reserved := got.Extra["authentication.kcp.io/scopes"]; err != nil || reserved || len(got.Extra) != 1 {
		t.Errorf("extra fields %v, %v", got.Extra, err)
	}
	answers(t, dora, "/api/v1/namespaces", http.StatusForbidden)
	bind(t, server.Workspace(path), "system:kcp:workspace:access", "dev")
	bind(t, server.Workspace(path), "view", "dev")
	answers(t, dora, "/api/v1/namespaces/default/configmaps", http.StatusOK)
	for _, name := range []string{"system:admin", "system:serviceaccount:default:default", "system:kcp:serviceaccount:x:default:x", "host:serviceaccount:default:x"} {
		isNobody(t, server.As("token-"+name, path))
	}
	isNobody(t, server.As("nobody", path))

	// Tokens of ServiceAccounts stay here, even after they are revoked.
	admin, _ := annex.Clients(t, server.Workspace(path))
	account, err := admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	robot := server.As(account.Status.Token, path)
	isUser(t, robot, "system:serviceaccount:default:default", "system:serviceaccounts", "system:serviceaccounts:default")
	for audience, valid := range map[string]bool{"annex": true, "other": false} {
		given, err := admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if valid {
			isUser(t, server.As(given.Status.Token, path), "system:serviceaccount:default:default", "system:serviceaccounts", "system:serviceaccounts:default")
		} else {
			isNobody(t, server.As(given.Status.Token, path))
		}
	}
	isNobody(t, server.As(account.Status.Token[:len(account.Status.Token)-4]+"AAAA", path))

	// While the service is silent, others do not wait, and its own users wait for a bounded time.
	silent := make(chan struct{})
	hook.mu.Lock()
	hook.silent = silent
	hook.mu.Unlock()
	waited := make(chan time.Duration, 1)
	go func() {
		began := time.Now()
		if code := annex.Status(t, dora, http.MethodGet, "/api/v1/namespaces/default/configmaps"); code != http.StatusUnauthorized {
			t.Errorf("while the service is silent, its user is answered with %d", code)
		}
		waited <- time.Since(began)
	}()
	for range 20 {
		for name, config := range map[string]*rest.Config{"the administrator": server.Workspace(path), "a ServiceAccount": robot} {
			began := time.Now()
			if _, err := whoAmI(t.Context(), t, config); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("%s waited for %s", name, took)
			}
		}
	}
	if took := <-waited; took > 20*time.Second {
		t.Errorf("the answer took %s", took)
	}
	hook.mu.Lock()
	hook.silent = nil
	hook.mu.Unlock()
	close(silent)
	isUser(t, dora, "dora", "dev")

	if err := admin.CoreV1().ServiceAccounts("default").Delete(t.Context(), "default", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	isNobody(t, robot)
	hook.mu.Lock()
	defer hook.mu.Unlock()
	for _, token := range hook.asked {
		if strings.HasPrefix(token, "ey") {
			t.Errorf("the service saw a token of a workspace")
		}
	}
}

func TestLogins_Certificates(t *testing.T) {
	dir := t.TempDir()
	clients := newAuthority(t, "clients")
	ca := write(t, filepath.Join(dir, "ca.pem"), string(clients.certificate))
	tokens := write(t, filepath.Join(dir, "tokens.csv"), "one,alice,1,dev\n")
	server := annex.Start(t, "--client-ca-file", ca, "--token-auth-file", tokens)
	with := func(server *annex.Server, name string, groups ...string) *rest.Config {
		config := rest.AnonymousClientConfig(server.Workspace("root"))
		config.CertData, config.KeyData = clients.issue(t, name, groups...)
		return config
	}
	isUser(t, with(server, "root", "ops", "system:masters", "system:kcp:admin", "system:kcp:logical-cluster-admin"), "root", "ops")
	answers(t, with(server, "root", "system:masters"), "/api/v1/secrets", http.StatusForbidden)
	isNobody(t, with(server, "system:serviceaccount:default:default"))

	// The token file changes.
	alice, bob := server.As("one", "root"), server.As("two", "root")
	isUser(t, alice, "alice", "dev")
	isNobody(t, bob)
	write(t, tokens, "two,bob,2,\"dev,ops\"\n")
	isUser(t, bob, "bob", "dev", "ops")
	isNobody(t, alice)
	write(t, tokens, "three\n")
	annex.Eventually(t, func(context.Context) error {
		if !server.Printed("The token file cannot be used") {
			return errors.New("the log does not say that the file cannot be used")
		}
		return nil
	})
	isUser(t, bob, "bob", "dev", "ops")
	server.Stop()

	server = annex.Start(t, "--client-ca-file", ca, "--client-ca-masters")
	isUser(t, with(server, "root", "system:masters", "system:kcp:logical-cluster-admin"), "root", "system:masters")
	answers(t, with(server, "root", "system:masters"), "/api/v1/secrets", http.StatusOK)
}
