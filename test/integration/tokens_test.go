package integration

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/keyutil"

	"github.com/annex-dev/annex/test/framework/annex"
)

// robots is a workspace with a ServiceAccount that administers it.
type robots struct {
	path, cluster string
	admin         kubernetes.Interface
}

func newRobots(t *testing.T, s *annex.Server) *robots {
	t.Helper()
	r := &robots{}
	r.path, r.cluster = newWorkspace(t, s, "root", uniqueName("robots"))
	r.admin, _ = annex.Clients(t, s.Workspace(r.path))
	apply(t, s.Workspace(r.path), `
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: robot}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, namespace: default, name: robot}]
`)
	return r
}

// mint returns a token of robot.
func (r *robots) mint(t *testing.T, spec authenticationv1.TokenRequestSpec) string {
	t.Helper()
	request, err := r.admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "robot", &authenticationv1.TokenRequest{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// bearer returns the client of whoever has a token, for the URL of the server itself if path is empty.
func bearer(t *testing.T, s *annex.Server, token, path string) kubernetes.Interface {
	t.Helper()
	typed, _ := annex.Clients(t, bearerConfig(s, token, path))
	return typed
}

func bearerConfig(s *annex.Server, token, path string) *rest.Config {
	config := s.As(token, path)
	if path == "" {
		config.Host = s.URL()
	}
	return config
}

// whoAmI returns who the server says that the client is.
func whoAmI(t *testing.T, client kubernetes.Interface) (authenticationv1.UserInfo, error) {
	t.Helper()
	review, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	return review.Status.UserInfo, nil
}

func TestServiceAccount_TokenWhereItBelongs(t *testing.T) {
	s := start(t)
	r, other := newRobots(t, s), newRobots(t, s)
	token := r.mint(t, authenticationv1.TokenRequestSpec{})
	abroad := "system:kcp:serviceaccount:" + r.cluster + ":default:robot"

	// A client that knows of no workspaces works in its own one.
	for _, path := range []string{"", r.path, r.cluster} {
		client := bearer(t, s, token, path)
		me, err := whoAmI(t, client)
		if err != nil || me.Username != "system:serviceaccount:default:robot" ||
			!slices.Equal(me.Groups, []string{"system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"}) ||
			!slices.Equal(me.Extra["authentication.kcp.io/cluster-name"], []string{r.cluster}) || !slices.Equal(me.Extra["authentication.kcp.io/scopes"], []string{"cluster:" + r.cluster}) {
			t.Errorf("at %q: %+v, %v", path, me, err)
		}
		name := uniqueName("made")
		if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Errorf("at %q: %v", path, err)
		}
		if _, err := r.admin.CoreV1().ConfigMaps("default").Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			t.Errorf("at %q: made somewhere else: %v", path, err)
		}
		if _, err := client.Discovery().ServerPreferredResources(); err != nil {
			t.Errorf("at %q: %v", path, err)
		}
	}

	// The robot of the other workspace is its administrator, and so are all of its ServiceAccounts. This one is none of them.
	apply(t, s.Workspace(other.path), `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: robots}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:serviceaccounts"}
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:serviceaccounts:default"}
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:serviceaccount:default:robot"}
`)
	foreign := bearer(t, s, token, other.path)
	if me, err := whoAmI(t, foreign); err != nil || me.Username != abroad || !slices.Equal(me.Groups, []string{"system:authenticated", "system:cluster:" + r.cluster}) {
		t.Errorf("in another workspace: %+v, %v", me, err)
	}
	if _, err := foreign.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("in another workspace: %v", err)
	}
	// Until RBAC there names it, or its workspace.
	for kind, name := range map[string]string{"User": abroad, "Group": "system:cluster:" + r.cluster} {
		third, _ := newWorkspace(t, s, "root", uniqueName("ws"))
		client := bearer(t, s, token, third)
		if _, err := client.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("before %s is named: %v", kind, err)
		}
		apply(t, s.Workspace(third), fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: foreign}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: %s, name: "%s"}]
`, kind, name))
		if _, err := client.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Errorf("when %s is named: %v", kind, err)
		}
	}
	for path, want := range map[string]int{"/clusters/*/api/v1/configmaps": 403, "/clusters/system:admin/api/v1/secrets": 403, "/metrics": 403, "/debug/pprof/": 403} {
		if a := newWire(t, s, bearerConfig(s, token, "")).get(path); a.code != want {
			t.Errorf("%s: %d, want %d", path, a.code, want)
		}
	}
}

// A ServiceAccount that creates a workspace administers it. The account of the same name in the new workspace is somebody else.
func TestServiceAccount_CreatesAWorkspace(t *testing.T) {
	s := start(t)
	r := newRobots(t, s)
	token := r.mint(t, authenticationv1.TokenRequestSpec{})
	path, cluster := makeWorkspace(t, bearerConfig(s, token, r.path), r.path, "child")
	owner := bearer(t, s, token, path)
	eventually(t, "its creator may work in it", func(ctx context.Context) (bool, error) {
		_, err := owner.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	child := &robots{path: path, cluster: cluster, admin: owner}
	if _, err := owner.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	namesake := bearer(t, s, child.mint(t, authenticationv1.TokenRequestSpec{}), "")
	if me, err := whoAmI(t, namesake); err != nil || !slices.Equal(me.Extra["authentication.kcp.io/cluster-name"], []string{cluster}) {
		t.Errorf("the account of the same name: %+v, %v", me, err)
	}
	if _, err := namesake.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("the account of the same name: %v", err)
	}
}

func TestServiceAccount_RevokedTokens(t *testing.T) {
	s := start(t)
	gone := func(t *testing.T, what, token, path string) {
		t.Helper()
		client := bearer(t, s, token, path)
		// Within a second; how long a test takes says nothing about it.
		eventually(t, "the token is refused after "+what, func(ctx context.Context) (bool, error) {
			_, err := client.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{Limit: 1})
			return apierrors.IsUnauthorized(err), nil
		})
		for range 3 {
			if _, err := whoAmI(t, client); !apierrors.IsUnauthorized(err) {
				t.Errorf("after %s: %v", what, err)
			}
		}
	}
	t.Run("the account is deleted, and another has its name", func(t *testing.T) {
		r := newRobots(t, s)
		token := r.mint(t, authenticationv1.TokenRequestSpec{})
		accounts := r.admin.CoreV1().ServiceAccounts("default")
		if err := accounts.Delete(t.Context(), "robot", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		gone(t, "the deletion of the account", token, "")
		if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		gone(t, "the creation of another account", token, r.path)
		if _, err := whoAmI(t, bearer(t, s, r.mint(t, authenticationv1.TokenRequestSpec{}), "")); err != nil {
			t.Errorf("a token of the new account: %v", err)
		}
	})
	t.Run("the account that every namespace has", func(t *testing.T) {
		r := newRobots(t, s)
		request, err := r.admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := whoAmI(t, bearer(t, s, request.Status.Token, "")); err != nil {
			t.Fatal(err)
		}
		// The server makes it anew, with another UID.
		if err := r.admin.CoreV1().ServiceAccounts("default").Delete(t.Context(), "default", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		gone(t, "the deletion of the account", request.Status.Token, "")
	})
	t.Run("the Secret is deleted, and another has its name", func(t *testing.T) {
		r := newRobots(t, s)
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "tie"}}
		secrets := r.admin.CoreV1().Secrets("default")
		if _, err := secrets.Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		token := r.mint(t, authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Secret", APIVersion: "v1", Name: "tie"}})
		free := r.mint(t, authenticationv1.TokenRequestSpec{})
		if _, err := whoAmI(t, bearer(t, s, token, "")); err != nil {
			t.Fatal(err)
		}
		if err := secrets.Delete(t.Context(), "tie", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		gone(t, "the deletion of the Secret", token, "")
		if _, err := secrets.Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		gone(t, "the creation of another Secret", token, "")
		if _, err := whoAmI(t, bearer(t, s, free, "")); err != nil {
			t.Errorf("a token without the Secret: %v", err)
		}
	})
	t.Run("the workspace is deleted, and another has its path", func(t *testing.T) {
		r := newRobots(t, s)
		token := r.mint(t, authenticationv1.TokenRequestSpec{})
		other, _ := newWorkspace(t, s, "root", uniqueName("ws"))
		_, root := annex.Clients(t, s.Workspace("root"))
		name := strings.TrimPrefix(r.path, "root:")
		if err := root.Resource(workspaces).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		gone(t, "the deletion of the workspace", token, "")
		gone(t, "the deletion of the workspace, elsewhere", token, other)
		eventually(t, "the workspace is gone", func(ctx context.Context) (bool, error) {
			_, err := root.Resource(workspaces).Get(ctx, name, metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
		path, _ := newWorkspace(t, s, "root", name)
		admin, _ := annex.Clients(t, s.Workspace(path))
		if _, err := admin.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		gone(t, "the creation of another workspace", token, path)
	})
}

// signingKey returns the key of the server, which nobody but system:masters can read.
func signingKey(t *testing.T, s *annex.Server) jose.SigningKey {
	t.Helper()
	for _, user := range []*wire{asAdmin(t, s), as(t, s, alice)} {
		if a := user.get("/clusters/system:admin/api/v1/namespaces/kube-system/secrets"); a.code != http.StatusForbidden {
			t.Fatalf("the Secret of the keys can be read: %d", a.code)
		}
	}
	a := asMaster(t, s).get("/clusters/system:admin/api/v1/namespaces/kube-system/secrets/annex-serviceaccount-keys")
	secret := &corev1.Secret{}
	if err := json.Unmarshal(a.body, secret); err != nil || len(secret.Data) != 1 {
		t.Fatalf("%d keys, %v", len(secret.Data), err)
	}
	for _, data := range secret.Data {
		key, err := keyutil.ParsePrivateKeyPEM(data)
		if err != nil {
			t.Fatal(err)
		}
		return jose.SigningKey{Algorithm: jose.RS256, Key: key}
	}
	return jose.SigningKey{}
}

func newRSAKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, by jose.SigningKey, keyID string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(by, (&jose.SignerOptions{}).WithHeader("kid", keyID))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Whoever is refused learns nothing, and gets nowhere, with and without a workspace in the URL.
func TestServiceAccount_ForgedTokens(t *testing.T) {
	s := start(t)
	r, other := newRobots(t, s), newRobots(t, s)
	token := r.mint(t, authenticationv1.TokenRequestSpec{})
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	claims, keyID := map[string]any{}, parsed.Headers[0].KeyID
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		t.Fatal(err)
	}
	genuine := signingKey(t, s)
	// changed returns the claims with changes; those of kubernetes.io have that prefix.
	changed := func(pairs ...any) map[string]any {
		out, inner := maps.Clone(claims), maps.Clone(claims["kubernetes.io"].(map[string]any))
		out["kubernetes.io"] = inner
		for i := 0; i < len(pairs); i += 2 {
			if name, ok := strings.CutPrefix(pairs[i].(string), "kubernetes.io/"); ok {
				inner[name] = pairs[i+1]
			} else {
				out[pairs[i].(string)] = pairs[i+1]
			}
		}
		return out
	}
	if _, err := whoAmI(t, bearer(t, s, sign(t, genuine, keyID, claims), "")); err != nil {
		t.Fatalf("the same claims, signed by the same key: %v", err)
	}
	strange := jose.SigningKey{Algorithm: jose.RS256, Key: newRSAKey(t)}
	parts := strings.Split(token, ".")
	otherParts := strings.Split(other.mint(t, authenticationv1.TokenRequestSpec{}), ".")
	issuer := s.URL() + "/clusters/"
	for name, forged := range map[string]string{
		"expired":             sign(t, genuine, keyID, changed("exp", time.Now().Add(-time.Second).Unix())),
		"too early":           sign(t, genuine, keyID, changed("nbf", time.Now().Add(time.Hour).Unix())),
		"another audience":    r.mint(t, authenticationv1.TokenRequestSpec{Audiences: []string{"https://vault.example.com"}}),
		"another key":         sign(t, strange, keyID, claims),
		"an unknown key":      sign(t, strange, "unknown", claims),
		"another cluster":     sign(t, strange, keyID, changed("kubernetes.io/clusterName", other.cluster, "iss", issuer+other.cluster, "aud", issuer+other.cluster)),
		"another cluster, by": sign(t, genuine, keyID, changed("kubernetes.io/clusterName", other.cluster, "iss", issuer+other.cluster, "aud", issuer+other.cluster)),
		"two clusters":        sign(t, genuine, keyID, changed("kubernetes.io/clusterName", other.cluster)),
		"no algorithm":        base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"`+keyID+`"}`)) + "." + parts[1] + ".",
		"no signature":        parts[0] + "." + parts[1] + ".",
		"mixed":               parts[0] + "." + otherParts[1] + "." + parts[2],
		"a legacy token": sign(t, genuine, keyID, map[string]any{
			"iss": "kubernetes/serviceaccount", "sub": claims["sub"], "kubernetes.io/serviceaccount/namespace": "default", "kubernetes.io/serviceaccount/secret.name": "x",
			"kubernetes.io/serviceaccount/service-account.name": "robot", "kubernetes.io/serviceaccount/clusterName": r.cluster,
			"kubernetes.io/serviceaccount/service-account.uid": claims["kubernetes.io"].(map[string]any)["serviceaccount"].(map[string]any)["uid"],
		}),
	} {
		t.Run(name, func(t *testing.T) {
			sender := newWire(t, s, bearerConfig(s, forged, ""))
			for _, prefix := range []string{"", "/clusters/" + r.path, "/clusters/" + r.cluster, "/clusters/" + other.path, "/clusters/root:nobody", "/clusters/*"} {
				for _, path := range []string{"/api/v1/namespaces", "/apis", "/openid/v1/jwks", "/version"} {
					if a := sender.get(prefix + path); a.code != http.StatusUnauthorized || strings.Contains(string(a.body), r.cluster) {
						t.Errorf("%s%s: %d %s", prefix, path, a.code, a.body)
					}
				}
			}
			review, err := r.admin.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: forged}}, metav1.CreateOptions{})
			if err != nil || review.Status.Authenticated || review.Status.User.Username != "" || review.Status.Error != "invalid bearer token" {
				t.Errorf("reviewed: %+v, %v", review, err)
			}
		})
	}
}

func TestServiceAccount_SecretsWithTokens(t *testing.T) {
	s := start(t)
	r := newRobots(t, s)
	secrets := r.admin.CoreV1().Secrets("default")
	create := func(name, account string) {
		t.Helper()
		if _, err := secrets.Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{corev1.ServiceAccountNameKey: account}},
			Type:       corev1.SecretTypeServiceAccountToken, Data: map[string][]byte{"mine": []byte("kept")},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// filled waits until the Secret holds another token than before.
	filled := func(name, before string) (token string) {
		t.Helper()
		eventually(t, "the Secret is filled", func(ctx context.Context) (bool, error) {
			secret, err := secrets.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			token = string(secret.Data[corev1.ServiceAccountTokenKey])
			return token != "" && token != before && string(secret.Data[corev1.ServiceAccountNamespaceKey]) == "default" &&
				strings.Contains(string(secret.Data[corev1.ServiceAccountRootCAKey]), "BEGIN CERTIFICATE") &&
				secret.Annotations[corev1.ServiceAccountUIDKey] != "" && string(secret.Data["mine"]) == "kept", nil
		})
		return token
	}
	missing := func(name string) {
		t.Helper()
		eventually(t, "the Secret is deleted", func(ctx context.Context) (bool, error) {
			_, err := secrets.Get(ctx, name, metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
	}
	create("token", "robot")
	first := filled("token", "")
	if me, err := whoAmI(t, bearer(t, s, first, "")); err != nil || me.Username != "system:serviceaccount:default:robot" || !slices.Equal(me.Extra["authentication.kcp.io/cluster-name"], []string{r.cluster}) {
		t.Errorf("with its token: %+v, %v", me, err)
	}
	create("orphan", "nobody")
	missing("orphan")

	// A Secret that is made anew has another token, and the old one is worth nothing.
	if err := secrets.Delete(t.Context(), "token", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	create("token", "robot")
	second := filled("token", first)
	if _, err := whoAmI(t, bearer(t, s, second, "")); err != nil {
		t.Error(err)
	}
	if _, err := whoAmI(t, bearer(t, s, first, "")); !apierrors.IsUnauthorized(err) {
		t.Errorf("with the token of a deleted Secret: %v", err)
	}
	// Whoever removes the token gets a new one, and the old one is worth nothing.
	if _, err := secrets.Patch(t.Context(), "token", "application/merge-patch+json", []byte(`{"data":{"token":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	third := filled("token", second)
	if _, err := whoAmI(t, bearer(t, s, second, r.path)); !apierrors.IsUnauthorized(err) {
		t.Errorf("with a token that was removed: %v", err)
	}
	// A Secret of another kind does not make a token valid.
	if _, err := secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "copy"}, Data: map[string][]byte{"token": []byte(second)}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := whoAmI(t, bearer(t, s, second, "")); !apierrors.IsUnauthorized(err) {
		t.Errorf("with a copy: %v", err)
	}
	if err := r.admin.CoreV1().ServiceAccounts("default").Delete(t.Context(), "robot", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	missing("token")
	if _, err := whoAmI(t, bearer(t, s, third, "")); !apierrors.IsUnauthorized(err) {
		t.Errorf("with the token of a deleted account: %v", err)
	}
}

// Somebody else checks tokens by what the workspace publishes.
func TestServiceAccount_OpenIDConnect(t *testing.T) {
	s := start(t)
	r, other := newRobots(t, s), newRobots(t, s)
	const audience = "https://vault.example.com"
	token := r.mint(t, authenticationv1.TokenRequestSpec{Audiences: []string{audience}})
	// Every ServiceAccount of the workspace may read it, whatever else it may do.
	issued, err := r.admin.CoreV1().ServiceAccounts("kube-system").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reader := newWire(t, s, bearerConfig(s, issued.Status.Token, ""))
	var found struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	a := reader.get("/clusters/" + r.path + "/.well-known/openid-configuration")
	if err := json.Unmarshal(a.body, &found); err != nil || a.code != 200 || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "public, max-age=3600" {
		t.Fatalf("%d %v %s", a.code, a.header, a.body)
	}
	if want := s.URL() + "/clusters/" + r.cluster; found.Issuer != want || found.Keys != want+"/openid/v1/jwks" {
		t.Errorf("found %+v", found)
	}
	a = reader.get(strings.TrimPrefix(found.Keys, s.URL()))
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(a.body, &keys); err != nil || a.code != 200 || a.header.Get("Content-Type") != "application/jwk-set+json" || a.header.Get("Cache-Control") != "public, max-age=3600" {
		t.Fatalf("%d %v %s", a.code, a.header, a.body)
	}
	check := func(token, issuer string) error {
		parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			return err
		}
		var claims jwt.Claims
		if err := parsed.Claims(&keys, &claims); err != nil {
			return err
		}
		return claims.Validate(jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{audience}, Time: time.Now()})
	}
	if err := check(token, found.Issuer); err != nil {
		t.Errorf("the token is not valid: %v", err)
	}
	if err := check(other.mint(t, authenticationv1.TokenRequestSpec{Audiences: []string{audience}}), found.Issuer); err == nil {
		t.Error("a token of another workspace is valid")
	}
	for _, key := range keys.Keys {
		if !key.IsPublic() {
			t.Error("a private key is published")
		}
	}
	for name, sender := range map[string]*wire{"a stranger": as(t, s, stranger), "nobody": as(t, s, ""), "another workspace": newWire(t, s, bearerConfig(s, other.mint(t, authenticationv1.TokenRequestSpec{}), ""))} {
		for _, path := range []string{"/openid/v1/jwks", "/.well-known/openid-configuration"} {
			if a := sender.get("/clusters/" + r.path + path); a.code != http.StatusForbidden {
				t.Errorf("%s: %s: %d", name, path, a.code)
			}
		}
	}
	if a := reader.send(request{method: http.MethodPost, path: "/clusters/" + r.path + "/openid/v1/jwks"}); a.code != http.StatusForbidden {
		t.Errorf("POST: %d", a.code)
	}
	if a := asAdmin(t, s).send(request{method: http.MethodPost, path: "/clusters/" + r.path + "/openid/v1/jwks"}); a.code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", a.code)
	}
}

func TestTokenReview_AudiencesAndWorkspaces(t *testing.T) {
	s := start(t)
	r, other := newRobots(t, s), newRobots(t, s)
	own := func(r *robots) string { return s.URL() + "/clusters/" + r.cluster }
	abroad := "system:kcp:serviceaccount:" + r.cluster + ":default:robot"
	free, vault := r.mint(t, authenticationv1.TokenRequestSpec{}), r.mint(t, authenticationv1.TokenRequestSpec{Audiences: []string{"vault", "more"}})
	for name, tc := range map[string]struct {
		in        *robots
		token     string
		audiences []string
		want      string // the user; empty if the token is not valid
		wantFor   []string
	}{
		"a token":                              {r, free, nil, "system:serviceaccount:default:robot", []string{own(r)}},
		"its workspace":                        {r, free, []string{"x", own(r)}, "system:serviceaccount:default:robot", []string{own(r)}},
		"something else":                       {r, free, []string{"vault"}, "", nil},
		"another audience":                     {r, vault, []string{"vault", "x"}, "system:serviceaccount:default:robot", []string{"vault"}},
		"another audience, not asked for":      {r, vault, nil, "", nil},
		"in another workspace":                 {other, free, nil, abroad, []string{own(r)}},
		"another audience, there":              {other, vault, []string{"vault"}, abroad, []string{"vault"}},
		"the audience of that workspace":       {other, free, []string{own(other)}, "", nil},
		"a user":                               {r, token(bob), nil, "bob", []string{own(r)}},
		"a user, for the workspace":            {r, token(bob), []string{own(r), "x"}, "bob", []string{own(r)}},
		"a user, for something else":           {r, token(bob), []string{"x"}, "", nil},
		"a user, for another workspace":        {r, token(bob), []string{own(other)}, "", nil},
		"no token that anybody knows, for any": {r, "x", []string{own(r)}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			review, err := tc.in.admin.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
				Spec: authenticationv1.TokenReviewSpec{Token: tc.token, Audiences: tc.audiences},
			}, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := review.Status; got.Authenticated != (tc.want != "") || got.User.Username != tc.want || !slices.Equal(got.Audiences, tc.wantFor) {
				t.Errorf("status %+v", got)
			}
		})
	}
}

// Everybody learns who they are, wherever they ask, and nothing else.
func TestWhoAmI(t *testing.T) {
	s := start(t)
	path, cluster := newWorkspace(t, s, "root", uniqueName("ws"))
	inactive, _ := newWorkspace(t, s, "root", uniqueName("ws"))
	_, inside := annex.Clients(t, s.Workspace(inactive))
	if _, err := inside.Resource(clusters).Patch(t.Context(), "cluster", "application/merge-patch+json", []byte(`{"metadata":{"annotations":{"core.kcp.io/inactive":"true"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	post := func(prefix, body string) request {
		return request{method: http.MethodPost, path: prefix + "/apis/authentication.k8s.io/v1/selfsubjectreviews", body: body}
	}
	const review = `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`
	var first answer
	for i, prefix := range []string{"/clusters/root:nobody", "/clusters/zzzzzzzzzzzzzzzz", "/clusters/" + path, "/clusters/" + cluster, "/clusters/" + inactive, "/clusters/root", "/clusters/system:admin", ""} {
		a := as(t, s, stranger).send(post(prefix, review))
		got := &authenticationv1.SelfSubjectReview{}
		if err := json.Unmarshal(a.body, got); err != nil || a.code != http.StatusCreated || got.Status.UserInfo.Username != stranger {
			t.Errorf("%q: %d %s", prefix, a.code, a.body)
		}
		// Apart from times and IDs all answers are the same.
		got.CreationTimestamp = metav1.Time{}
		for _, header := range []string{"Audit-Id", "Date"} {
			a.header.Del(header)
		}
		a.body, _ = json.Marshal(got)
		if i == 0 {
			first = a
		} else if string(a.body) != string(first.body) || fmt.Sprint(a.header) != fmt.Sprint(first.header) {
			t.Errorf("%q tells something: %v %s, not %v %s", prefix, a.header, a.body, first.header, first.body)
		}
		for name, code := range map[string]int{"": 403, "Bearer x": 401} {
			headers := http.Header{}
			if name != "" {
				headers.Set("Authorization", name)
			}
			if a := as(t, s, "").send(request{method: http.MethodPost, path: post(prefix, "").path, body: review, headers: headers}); a.code != code {
				t.Errorf("%q, with credentials %q: %d, want %d", prefix, name, a.code, code)
			}
		}
		// Nothing else is open, and nobody can ask in the name of somebody else.
		for _, r := range []request{
			{method: http.MethodGet, path: post(prefix, "").path},
			{method: http.MethodPost, path: post(prefix, "").path + "/x", body: review},
			{method: http.MethodPost, path: prefix + "/apis/authentication.k8s.io/v1/tokenreviews", body: `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"x"}}`},
			{method: http.MethodPost, path: post(prefix, "").path, body: review, headers: http.Header{"Impersonate-User": {"alice"}}},
		} {
			if a := as(t, s, stranger).send(r); a.code < 400 || a.code >= 500 {
				t.Errorf("%s %s: %d", r.method, r.path, a.code)
			}
		}
	}
	malformed := as(t, s, stranger).send(post("/clusters/root:nobody", `{"kind":"x"}`))
	if there := as(t, s, stranger).send(post("/clusters/"+path, `{"kind":"x"}`)); there.code != http.StatusBadRequest || there.code != malformed.code || string(there.body) != string(malformed.body) {
		t.Errorf("a malformed review: %d %s, and where there is no workspace %d %s", there.code, there.body, malformed.code, malformed.body)
	}
}
