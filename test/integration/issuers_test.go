package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/issuer"
)

// carrying returns a sender with a token.
func carrying(t *testing.T, s *annex.Server, token string) *wire {
	t.Helper()
	return newWire(t, s, s.As(token, "root"))
}

// trust makes a type called sso in a workspace, whose workspaces accept tokens of an issuer.
func trust(t *testing.T, s *annex.Server, path string, i *issuer.Issuer) {
	t.Helper()
	apply(t, s.Workspace(path), fmt.Sprintf(`
apiVersion: tenancy.kcp.io/v1alpha1
kind: WorkspaceAuthenticationConfiguration
metadata: {name: issuer}
spec:
  jwt:
  - issuer: {url: %q, audiences: [annex], certificateAuthority: %q}
    claimMappings:
      username: {claim: sub, prefix: ""}
      groups: {claim: groups, prefix: ""}
      extra: [{key: example.com/team, valueExpression: "'a'"}]
---`+typeOf, i.URL(), i.CA(), "sso", "authenticationConfigurations: [{name: issuer}]"))
}

func makeTyped(t *testing.T, s *annex.Server, parent, name, typ, typePath string) (path, cluster string) {
	t.Helper()
	apply(t, s.Workspace(parent), fmt.Sprintf("apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: %s}\nspec: {type: {name: %s, path: %q}}", name, typ, typePath))
	_, client := annex.Clients(t, s.Workspace(parent))
	cluster, err := annex.WaitWorkspace(t.Context(), client, name)
	if err != nil {
		t.Fatal(err)
	}
	return parent + ":" + name, cluster
}

// Tokens of an issuer that a type names are accepted in workspaces of that type, and nowhere else.
func TestIssuersOfWorkspaces(t *testing.T) {
	s := startOne(t, hooked)
	ctx := t.Context()
	mine, other := issuer.Start(t), issuer.Start(t)
	path, _ := newWorkspace(t, s, "root", uniqueName("types"))
	trust(t, s, path, mine)
	here, cluster := makeTyped(t, s, path, "here", "sso", path)
	there, _ := newWorkspace(t, s, path, "there")
	below, _ := newWorkspace(t, s, here, "below")
	for _, workspace := range []string{here, there, below} {
		apply(t, s.Workspace(workspace), `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: carol}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: carol}]`)
	}
	token := mine.Token(map[string]any{"sub": "carol", "groups": []string{"devs", "system:masters", "system:kcp:admin"}})
	eventually(t, "carol is let in", func(context.Context) (bool, error) {
		return carrying(t, s, token).get("/clusters/"+here+"/api/v1/namespaces").code == http.StatusOK, nil
	})
	if a := carrying(t, s, token).get("/clusters/" + cluster + "/api/v1/secrets"); a.code != http.StatusOK {
		t.Errorf("by the name of the cluster: %d %s", a.code, a.body)
	}
	for _, url := range []string{
		"/clusters/" + there + "/api/v1/namespaces", "/clusters/" + below + "/api/v1/namespaces", "/clusters/" + path + "/api/v1/namespaces", "/clusters/root/api",
		"/clusters/*/api/v1/secrets", "/clusters/system:admin/api/v1/secrets", "/clusters/root:nobody/api", "/version", "/metrics", homeAt,
		"/services/apiexport/root/tenancy.kcp.io/clusters/*/apis/tenancy.kcp.io/v1alpha1/workspaces",
	} {
		if a := carrying(t, s, token).get(url); a.code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", url, a.code, a.body)
		}
	}
	for what, bad := range map[string]string{
		"signed by another issuer": other.Token(map[string]any{"sub": "carol", "iss": mine.URL()}),
		"of an unknown issuer":     other.Token(map[string]any{"sub": "carol"}),
		"for another audience":     mine.Token(map[string]any{"sub": "carol", "aud": "other"}),
		"of the system":            mine.Token(map[string]any{"sub": "system:admin"}),
		"of a ServiceAccount":      mine.Token(map[string]any{"sub": "system:serviceaccount:default:default"}),
	} {
		if a := carrying(t, s, bad).get("/clusters/" + here + "/api/v1/namespaces"); a.code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", what, a.code, a.body)
		}
	}
	typed, _ := annex.Clients(t, s.As(token, here))
	me, err := typed.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	u := me.Status.UserInfo
	if u.Username != "carol" || !slices.Contains(u.Groups, "devs") || slices.ContainsFunc(u.Groups, func(g string) bool { return strings.HasPrefix(g, "system:") && g != "system:authenticated" }) ||
		!slices.Equal(u.Extra["authentication.kcp.io/scopes"], []string{"cluster:" + cluster}) || !slices.Equal(u.Extra["example.com/team"], []string{"a"}) {
		t.Errorf("carol is %+v", u)
	}

	for workspace, want := range map[string]bool{here: true, there: false} {
		admin, _ := annex.Clients(t, s.Workspace(workspace))
		review, err := admin.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
		if err != nil || review.Status.Authenticated != want || (review.Status.User.Username == "carol") != want {
			t.Errorf("a review in %s: %+v, %v", workspace, review.Status, err)
		}
	}

	// What the type says takes effect in workspaces that exist.
	if a := asAdmin(t, s).send(request{method: http.MethodPatch, path: "/clusters/" + path + "/apis/tenancy.kcp.io/v1alpha1/workspacetypes/sso",
		body: `{"spec":{"authenticationConfigurations":null}}`, headers: http.Header{"Content-Type": {"application/merge-patch+json"}}}); a.code != http.StatusOK {
		t.Fatalf("changing the type: %d %s", a.code, a.body)
	}
	eventually(t, "carol is let in no more", func(context.Context) (bool, error) {
		return carrying(t, s, token).get("/clusters/"+here+"/api/v1/namespaces").code == http.StatusUnauthorized, nil
	})
}

// The server asks no issuer on its own machine.
func TestIssuersOfWorkspaces_AreGuarded(t *testing.T) {
	s := start(t)
	mine := issuer.Start(t)
	path, _ := newWorkspace(t, s, "root", uniqueName("types"))
	trust(t, s, path, mine)
	here, _ := makeTyped(t, s, path, "here", "sso", path)
	if a := carrying(t, s, mine.Token(map[string]any{"sub": "carol"})).get("/clusters/" + here + "/api/v1/namespaces"); a.code != http.StatusUnauthorized {
		t.Errorf("%d %s", a.code, a.body)
	}
	if mine.Asked() > 0 {
		t.Error("the issuer was asked")
	}
}

func TestIssuersOfWorkspaces_BadInput(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	post := func(resource, document string) answer {
		return asAdmin(t, s).send(request{method: http.MethodPost, path: "/clusters/" + path + "/apis/tenancy.kcp.io/v1alpha1/" + resource, body: toJSON(t, document)})
	}
	const configuration = "apiVersion: tenancy.kcp.io/v1alpha1\nkind: WorkspaceAuthenticationConfiguration\nmetadata: {name: a}\nspec: {jwt: [{issuer: {url: %q, audiences: [a]}, claimMappings: {username: %s}}]}"
	for _, c := range []struct {
		url, username, field string
	}{
		{"http://issuer", "{claim: sub}", "spec.jwt[0].issuer.url"},
		{s.URL() + "/clusters/x", "{claim: sub}", "spec.jwt[0].issuer.url"},
		{"https://issuer", "{}", "spec.jwt[0].claimMappings.username"},
		{"https://issuer", `{expression: "claims."}`, "spec.jwt[0].claimMappings.username.expression"},
		{"https://issuer", `{expression: "` + strings.Repeat("a", 5000) + `"}`, "spec.jwt[0].claimMappings.username.expression"},
	} {
		want{422, metav1.StatusReasonInvalid, []string{c.field}, ""}.check(t, post("workspaceauthenticationconfigurations", fmt.Sprintf(configuration, c.url, c.username)))
	}
	want{422, metav1.StatusReasonInvalid, []string{"spec.authenticationConfigurations[0].name"}, ""}.check(t,
		post("workspacetypes", "apiVersion: tenancy.kcp.io/v1alpha1\nkind: WorkspaceType\nmetadata: {name: a}\nspec: {authenticationConfigurations: [{name: \"\"}]}"))
	a := post("workspaceauthenticationconfigurations", fmt.Sprintf(configuration, "https://issuer", "{claim: sub}"))
	if a.code != http.StatusCreated || !json.Valid(a.body) {
		t.Errorf("%d %s", a.code, a.body)
	}
}

// The example in the documentation is accepted.
func TestIssuersOfWorkspaces_Documented(t *testing.T) {
	s := start(t)
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(data), "<!-- tested by "+t.Name()+" -->\n```yaml\n")
	example, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("there is no example")
	}
	apply(t, s.Workspace(workspace(t, s)), example)
}
