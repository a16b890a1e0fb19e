package authentication

import (
	"errors"
	"maps"
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// ofWorkspace returns an authenticator for tokens that are accepted in the workspace of the request only. Whoever vouches for them is trusted
// there, and nowhere else. So their users are none of the system's, and carry the scope of the workspace.
func ofWorkspace(tokens authenticator.Token) authenticator.Request {
	return &confined{&outside{rules: vouchedFor(), next: byToken(tokens)}}
}

type confined struct{ next authenticator.Request }

// AuthenticateRequest implements authenticator.Request.
func (c *confined) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	resp, ok, err := c.next.AuthenticateRequest(req)
	if err != nil || !ok {
		return nil, false, err
	}
	cluster, one := logicalcluster.FromContext(req.Context())
	if !one || cluster.IsSystem() {
		return nil, false, errors.New("a token of a workspace is accepted in that workspace only")
	}
	u := &user.DefaultInfo{Name: resp.User.GetName(), UID: resp.User.GetUID(), Groups: resp.User.GetGroups(), Extra: map[string][]string{}}
	maps.Copy(u.Extra, resp.User.GetExtra())
	maps.DeleteFunc(u.Extra, func(key string, _ []string) bool { return strings.Contains(strings.ToLower(key), "kcp.io") })
	u.Extra[policy.ScopesKey], u.Extra[policy.ClusterNameKey] = []string{policy.Scope(cluster)}, []string{cluster.String()}
	accepted := *resp
	accepted.User = u
	return &accepted, true, nil
}
