package request

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// Creator returns how u, who sends a request in cluster from, is recorded as the creator of a workspace. A ServiceAccount of from is not the
// account of the same name in the new workspace, which anybody might create there. Warrants are not recorded.
func Creator(u user.Info, from logicalcluster.Name) *authenticationv1.UserInfo {
	if namespace, name, err := serviceaccount.SplitUsername(u.GetName()); err == nil {
		u = policy.Abroad(from, namespace, name, u.GetUID())
	}
	info := &authenticationv1.UserInfo{Username: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups()}
	for k, v := range policy.WithoutWarrants(u.GetExtra()) {
		if info.Extra == nil {
			info.Extra = map[string]authenticationv1.ExtraValue{}
		}
		info.Extra[k] = v
	}
	return info
}
