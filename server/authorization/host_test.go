package authorization

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/authentication"
)

// vouched returns an identity of the host.
func vouched(t *testing.T, u user.Info) user.Info {
	t.Helper()
	tokens := authenticator.TokenFunc(func(context.Context, string) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: u}, true, nil
	})
	auth, err := authentication.New(authentication.Config{Host: &authentication.Host{Tokens: tokens}})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	req.Header.Set("Authorization", "Bearer of-the-host")
	resp, ok, err := auth.Authenticator.AuthenticateRequest(req)
	if err != nil || !ok {
		t.Fatalf("not let in: %v", err)
	}
	return resp.User
}

type shown struct{}

func TestAuthorize_AsksTheHost(t *testing.T) {
	// The host lets hank do everything, and its administrators; it fails for sick.
	host := authorizer.AuthorizerFunc(func(_ context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
		switch u := attrs.GetUser(); {
		case u.GetName() == "sick":
			return authorizer.DecisionNoOpinion, "", errors.New("no answer")
		case u.GetName() == "hank" || u.GetName() == "system:serviceaccount:default:robot" || slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup):
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})
	c := over(world())
	c.Host = &Host{Authorizer: host, Shows: func(ctx context.Context) bool { return ctx.Value(shown{}) != nil }}
	a := build(t, c, onlyVera)
	hank := vouched(t, someone("hank"))
	const kind = "exports"
	for name, tc := range map[string]struct {
		cluster logicalcluster.Name
		attrs   authorizer.AttributesRecord
		hidden  bool // not what the host shows as its own
		want    bool
	}{
		"a user of the host":                            {"org", list(hank, kind), false, true},
		"somebody of that name, not by the host's word": {"org", list(someone("hank"), kind), false, false},
		"elsewhere":                               {"org", list(hank, kind), true, false},
		"whom RBAC of the workspace allows":       {"org", list(someone("alice"), kind), false, true},
		"whom it allows, and the host not":        {"org", list(vouched(t, someone("alice")), kind), false, true},
		"whom nobody allows":                      {"org", list(vouched(t, someone("dave")), kind), false, false},
		"an administrator of the host":            {"org", list(vouched(t, someone("root", user.SystemPrivilegedGroup)), kind), false, true},
		"an administrator of the host, elsewhere": {"org", list(vouched(t, someone("root", user.SystemPrivilegedGroup)), kind), true, false},
		"a ServiceAccount of the host":            {"org", list(vouched(t, someone("system:serviceaccount:default:robot")), kind), false, true},
		"while the host does not answer":          {"org", list(vouched(t, someone("sick")), kind), false, false},
		"documents":                               {"org", get(hank, "/api"), false, false},
		"standing in for others":                  {"org", impersonate(hank, "users", "alice"), false, false},
		"a status that only the server writes":    {"org", status(hank, "update", "tenancy.kcp.io", "workspaces"), false, false},
		"a workspace that asks for groups":        {"required", list(hank, kind), false, false},
		"a workspace that is switched off":        {"off", list(hank, kind), false, false},
		"a workspace that is being made":          {"starting", list(hank, kind), false, false},
		"a workspace that does not exist":         {"missing", list(hank, kind), false, false},
		"a workspace that cannot be looked up":    {"unwell", list(hank, kind), false, false},
		"a cluster of the server itself":          {logicalcluster.SystemAdmin, list(hank, kind), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := logicalcluster.WithCluster(t.Context(), tc.cluster)
			if !tc.hidden {
				ctx = context.WithValue(ctx, shown{}, true)
			}
			decision, reason, err := a.Authorize(ctx, tc.attrs)
			if got := decision == authorizer.DecisionAllow; got != tc.want {
				t.Errorf("allowed %v (%s, %v), want %v", got, reason, err, tc.want)
			}
		})
	}
}

func TestNew_RefusesHalfAHost(t *testing.T) {
	c := over(world())
	c.Host = &Host{Authorizer: onlyVera}
	if _, err := New(c); err == nil {
		t.Error("no error without what the host shows")
	}
}
