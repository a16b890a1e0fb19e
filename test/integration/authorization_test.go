package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// A server with a webhook that lets bob do what its own workspace allows nobody.
func TestAuthorization_Webhook(t *testing.T) {
	var away atomic.Bool
	var where atomic.Value // the cluster in which bob may do everything
	where.Store("")
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review authorizationv1.SubjectAccessReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || away.Load() {
			http.Error(w, "away", http.StatusNotFound)
			return
		}
		cluster := review.Spec.Extra["authorization.kcp.io/cluster-name"]
		review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: review.Spec.User == bob && len(cluster) == 1 && cluster[0] == where.Load()}
		review.TypeMeta = metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SubjectAccessReview"}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(hook.Close)
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	s := annex.Start(t,
		"--token-auth-file", write("tokens.csv", tokens),
		"--authorization-order=AlwaysAllowGroups,Webhook,RBAC",
		"--authorization-webhook-config-file", write("kubeconfig", fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n", hook.URL)),
		"--authorization-webhook-version=v1", "--authorization-webhook-cache-authorized-ttl=0s", "--authorization-webhook-cache-unauthorized-ttl=0s",
	)
	path, cluster := newWorkspace(t, s, "root", uniqueName("ws"))
	other := workspace(t, s)
	where.Store(cluster)
	code := func(user, path, resource string) int {
		t.Helper()
		return annex.Status(t, s.As(token(user), path), http.MethodGet, resource)
	}
	const secrets = "/api/v1/secrets"
	if got := code(bob, path, secrets); got != http.StatusOK {
		t.Errorf("what the webhook allows: %d", got)
	}
	for name, got := range map[string]int{
		"the same in another workspace":      code(bob, other, secrets),
		"somebody else":                      code(alice, path, secrets),
		"all clusters":                       code(bob, "*", secrets),
		"a cluster of the server":            code(bob, "system:admin", secrets),
		"a workspace that does not exist":    code(bob, "root:nothing", secrets),
		"the status of what only the server": annex.Status(t, s.As(token(bob), path), http.MethodPut, "/apis/apis.kcp.io/v1alpha2/apibindings/tenancy.kcp.io/status"),
	} {
		if got != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", name, got)
		}
	}
	typed, _ := annex.Clients(t, s.As(token(bob), path))
	rules, err := typed.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"}}, metav1.CreateOptions{})
	if err != nil || !rules.Status.Incomplete {
		t.Errorf("rules of bob: %+v, %v, want them to be incomplete", rules, err)
	}

	// Away, it allows nothing, and RBAC behind it nothing either. Who is asked before it still decides.
	away.Store(true)
	if got := code(bob, path, secrets); got != http.StatusForbidden {
		t.Errorf("somebody whom only the webhook lets in, while it is away: %d", got)
	}
	if a := asAdmin(t, s).get("/clusters/" + path + secrets); a.code != http.StatusServiceUnavailable || strings.Contains(string(a.body), hook.URL) {
		t.Errorf("an administrator, while the webhook is away: %d %s", a.code, a.body)
	}
	if a := asMaster(t, s).get("/clusters/" + path + secrets); a.code != http.StatusOK {
		t.Errorf("masters, while the webhook is away: %d %s", a.code, a.body)
	}
	if a := as(t, s, "").get("/clusters/" + path + "/readyz"); a.code != http.StatusOK {
		t.Errorf("health, while the webhook is away: %d", a.code)
	}
}
