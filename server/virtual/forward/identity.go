package forward

import (
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/authentication"
)

// systemPrefix begins the names of users and groups that mean something in every cluster.
const systemPrefix = "system:"

// Beyond returns who u is at a target; false if u is somebody only here. A target takes a name for that of the same user wherever it is from, so:
//
//   - a ServiceAccount has the name that it has in other workspaces, which names its logical cluster
//   - who is confined to some workspaces is refused: a tenant may have chosen that name
//   - users of the system are refused, and groups of the system do not go out, except that of all authenticated users
//   - nor do extra fields that only this server sets
func Beyond(u user.Info) (user.Info, bool) {
	if namespace, name, err := serviceaccount.SplitUsername(u.GetName()); err == nil {
		return serviceAccount(u, namespace, name)
	}
	extra := u.GetExtra()
	if strings.HasPrefix(u.GetName(), systemPrefix) || u.GetName() == "" || len(extra[policy.ScopesKey]) > 0 || len(extra[policy.ClusterNameKey]) > 0 ||
		!slices.Contains(u.GetGroups(), user.AllAuthenticated) {
		return nil, false
	}
	there := &user.DefaultInfo{Name: u.GetName(), UID: u.GetUID(), Extra: map[string][]string{}}
	for _, group := range u.GetGroups() {
		if group == user.AllAuthenticated || !strings.HasPrefix(group, systemPrefix) && !authentication.ReservedGroup(group) {
			there.Groups = append(there.Groups, group)
		}
	}
	for key, values := range extra {
		if !authentication.ReservedExtra(key) {
			there.Extra[key] = values
		}
	}
	return there, true
}

// serviceAccount returns who a ServiceAccount is at the target; false if it is not known from which cluster it is, or it is confined to others.
func serviceAccount(u user.Info, namespace, name string) (user.Info, bool) {
	origin := u.GetExtra()[policy.ClusterNameKey]
	if len(origin) != 1 || !slices.Contains(u.GetGroups(), serviceaccount.AllServiceAccountsGroup) {
		return nil, false
	}
	home := logicalcluster.Name(origin[0])
	for _, scope := range u.GetExtra()[policy.ScopesKey] {
		if scope != policy.Scope(home) {
			return nil, false
		}
	}
	abroad := policy.Abroad(home, namespace, name, u.GetUID())
	return &user.DefaultInfo{Name: abroad.Name, UID: abroad.UID, Groups: []string{user.AllAuthenticated}}, true
}
