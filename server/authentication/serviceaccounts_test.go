package authentication

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// robots knows the token robot, and has revoked the token revoked.
type robots struct{}

func (robots) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	switch token {
	case "robot":
		wanted, given := authenticator.AudiencesFrom(ctx)
		if !given {
			wanted = authenticator.Audiences{"here"}
		}
		return &authenticator.Response{Audiences: wanted, User: &user.DefaultInfo{
			Name: "system:serviceaccount:default:robot", Groups: []string{"system:serviceaccounts"}, Extra: map[string][]string{policy.ClusterNameKey: {"org"}},
		}}, true, nil
	case "revoked":
		return nil, false, errors.New("revoked")
	}
	return nil, false, nil
}

func (robots) Ours(_ context.Context, token string) bool {
	return token == "robot" || token == "revoked"
}

func (robots) Audiences(cluster logicalcluster.Name) authenticator.Audiences {
	return authenticator.Audiences{"here in " + string(cluster), "anywhere"}
}

func TestNew_ServiceAccounts(t *testing.T) {
	asked := ""
	reviews := authenticator.TokenFunc(func(_ context.Context, token string) (*authenticator.Response, bool, error) {
		asked = token
		return &authenticator.Response{User: &user.DefaultInfo{Name: "of the host"}}, asked == "host", nil
	})
	auth, err := New(Config{
		TokenFile: write(t, "tokens.csv", []byte(tokenFile)), ServiceAccounts: robots{}, Host: &Host{Tokens: reviews}, Anonymous: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		token, protocol string
		audiences       authenticator.Audiences
		want            string // empty when nobody is let in
		wantFor         authenticator.Audiences
		host            bool // whether the host is asked
	}{
		"a ServiceAccount":                    {token: "robot", want: "system:serviceaccount:default:robot", wantFor: authenticator.Audiences{"here"}},
		"a ServiceAccount, for somebody else": {token: "robot", audiences: authenticator.Audiences{"x"}, want: "system:serviceaccount:default:robot", wantFor: authenticator.Audiences{"x"}},
		"a ServiceAccount of a browser":       {protocol: "base64url.bearer.authorization.k8s.io.cm9ib3Q", want: "system:serviceaccount:default:robot", wantFor: authenticator.Audiences{"here"}},
		"one that is no more":                 {token: "revoked"},
		"one of a browser that is no more":    {protocol: "base64url.bearer.authorization.k8s.io.cmV2b2tlZA"},
		"a user":                              {token: "token-alice", want: "alice"},
		"a user, for the workspace":           {token: "token-alice", audiences: authenticator.Audiences{"x", "here in org"}, want: "alice", wantFor: authenticator.Audiences{"here in org"}},
		"a user, for any workspace":           {token: "token-alice", audiences: authenticator.Audiences{"x", "anywhere"}, want: "alice", wantFor: authenticator.Audiences{"anywhere"}},
		"a user, for another workspace":       {token: "token-alice", audiences: authenticator.Audiences{"here in other"}, host: true},
		"a token that names itself a robot":   {token: "token-account", want: "system:serviceaccount:default:x"},
		"a user of the host":                  {token: "host", want: "of the host", host: true},
		"somebody":                            {token: "x", host: true},
		"nobody":                              {want: user.Anonymous},
	} {
		t.Run(name, func(t *testing.T) {
			asked = ""
			ctx := logicalcluster.WithCluster(t.Context(), "org")
			if tc.audiences != nil {
				ctx = authenticator.WithAudiences(ctx, tc.audiences)
			}
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api", nil)
			if tc.token != "" {
				r.Header.Set("Authorization", "Bearer "+tc.token)
			}
			if tc.protocol != "" {
				r.Header.Set("Connection", "Upgrade")
				r.Header.Set("Upgrade", "websocket")
				r.Header.Set("Sec-WebSocket-Protocol", tc.protocol+",other")
			}
			resp, ok, err := auth.Authenticator.AuthenticateRequest(r)
			if (asked != "") != tc.host {
				t.Errorf("the host is asked: %t, want %t", asked != "", tc.host)
			}
			if tc.want == "" {
				if ok {
					t.Errorf("let in as %v", resp.User)
				}
				return
			}
			if err != nil || !ok || resp.User.GetName() != tc.want || !slices.Equal(resp.Audiences, tc.wantFor) {
				t.Fatalf("let in as %+v, %v", resp, err)
			}
			if tc.token == "robot" && (!slices.Equal(resp.User.GetGroups(), []string{"system:serviceaccounts", user.AllAuthenticated}) || resp.User.GetExtra()[policy.ClusterNameKey] == nil) {
				t.Errorf("the robot is %v", resp.User)
			}
		})
	}
}
