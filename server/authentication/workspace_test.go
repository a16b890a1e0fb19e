package authentication

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// whoever is an authenticator that takes every token for the same user.
func whoever(u user.Info) authenticator.Token {
	return authenticator.TokenFunc(func(context.Context, string) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: u}, true, nil
	})
}

func bearing(t *testing.T, ctx context.Context) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://annex/api", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer x")
	return request
}

// Whatever an issuer of a workspace claims, its users are those of the workspace.
func TestOfWorkspace_ConfinesUsers(t *testing.T) {
	ctx := logicalcluster.WithCluster(t.Context(), "here")
	claimed := &user.DefaultInfo{
		Name: "carol", UID: "7",
		Groups: []string{"devs", "system:masters", "system:kcp:admin", "system:cluster:there", "apis.kcp.io:binding:x"},
		Extra: map[string][]string{
			policy.ScopesKey: {"cluster:there"}, policy.ClusterNameKey: {"there"}, "authorization.kcp.io/warrant": {`{"user":"root"}`},
			"example.com/kcp.io": {"x"}, "example.com/team": {"a"},
		},
	}
	got, ok, err := ofWorkspace(whoever(claimed)).AuthenticateRequest(bearing(t, ctx))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	want := &user.DefaultInfo{Name: "carol", UID: "7", Groups: []string{"devs"}, Extra: map[string][]string{
		policy.ScopesKey: {"cluster:here"}, policy.ClusterNameKey: {"here"}, "example.com/team": {"a"},
	}}
	if diff := cmp.Diff(want, got.User); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	if elsewhere := policy.Effective(got.User, "there"); elsewhere.GetName() != user.Anonymous {
		t.Errorf("in another workspace the user is %v", elsewhere)
	}
	for _, name := range []string{"", "system:admin", "system:serviceaccount:default:default", "system:kcp:serviceaccount:x:y:z", "apis.kcp.io:binding:carol", "host:serviceaccount:a:b"} {
		if got, ok, err := ofWorkspace(whoever(&user.DefaultInfo{Name: name})).AuthenticateRequest(bearing(t, ctx)); ok || err == nil {
			t.Errorf("%q: %v, %v, %v", name, got, ok, err)
		}
	}
}

func TestOfWorkspace_IsForOneWorkspace(t *testing.T) {
	for what, ctx := range map[string]context.Context{
		"no workspace":            t.Context(),
		"all":                     logicalcluster.WithWildcard(t.Context()),
		"one that is not there":   logicalcluster.WithUnknown(t.Context()),
		"one of the server's own": logicalcluster.WithCluster(t.Context(), logicalcluster.SystemAdmin),
	} {
		if got, ok, err := ofWorkspace(whoever(&user.DefaultInfo{Name: "carol"})).AuthenticateRequest(bearing(t, ctx)); ok || err == nil {
			t.Errorf("%s: %v, %v, %v", what, got, ok, err)
		}
	}
}
