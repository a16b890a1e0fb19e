package policy

import (
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Keys of the extra fields of a user that say where the identity is valid.
const (
	// ScopesKey confines an identity. Each value is a comma-separated list such as "cluster:root,cluster:2f8kq1z0c7a9x3bd";
	// the identity is valid where every value names the cluster.
	ScopesKey = "authentication.kcp.io/scopes"
	// ClusterNameKey names the logical cluster an identity comes from.
	ClusterNameKey = "authentication.kcp.io/cluster-name"
)

// ClusterGroupPrefix begins the group that an identity of one cluster has in all others, for example
// "system:cluster:2f8kq1z0c7a9x3bd".
const ClusterGroupPrefix = "system:cluster:"

const scopePrefix = "cluster:"

// Scope returns the value of ScopesKey that confines an identity to one cluster.
func Scope(cluster logicalcluster.Name) string { return scopePrefix + string(cluster) }

// abroadPrefix begins the name that a ServiceAccount of one cluster has in all others, for example
// "system:kcp:serviceaccount:2f8kq1z0c7a9x3bd:default:deployer". Only the server gives such names.
const abroadPrefix = "system:kcp:serviceaccount:"

// Abroad returns the identity that a ServiceAccount of one cluster has in all others.
func Abroad(home logicalcluster.Name, namespace, name, uid string) *user.DefaultInfo {
	return &user.DefaultInfo{
		Name:   abroadPrefix + string(home) + ":" + namespace + ":" + name,
		UID:    uid,
		Groups: []string{user.AllAuthenticated, ClusterGroupPrefix + string(home)},
		Extra:  map[string][]string{ClusterNameKey: {string(home)}},
	}
}

// Effective returns who u is in cluster. It is u if the identity is in scope there. A ServiceAccount is in scope in its own cluster
// only; in another one it is who [Abroad] says. All others are anonymous where they are not in scope: only RBAC for everybody
// authenticated and for users of the cluster of origin applies to them. An empty cluster is in no scope.
func Effective(u user.Info, cluster logicalcluster.Name) user.Info {
	if InScope(u, cluster) {
		return atHome(u, cluster)
	}
	if there := goneAbroad(u, cluster); there != nil {
		return there
	}
	groups := []string{user.AllAuthenticated}
	for _, origin := range u.GetExtra()[ClusterNameKey] {
		groups = append(groups, ClusterGroupPrefix+origin)
	}
	return &user.DefaultInfo{Name: user.Anonymous, Groups: groups}
}

// atHome returns the ServiceAccount that u, whom another cluster knows by a name of [Abroad], is in its own cluster. It returns u in all
// other cases.
func atHome(u user.Info, cluster logicalcluster.Name) user.Info {
	rest, found := strings.CutPrefix(u.GetName(), abroadPrefix+string(cluster)+":")
	if !found || cluster == "" {
		return u
	}
	name := serviceaccount.ServiceAccountUsernamePrefix + rest
	namespace, _, err := serviceaccount.SplitUsername(name)
	if err != nil {
		return u
	}
	groups := append(serviceaccount.MakeGroupNames(namespace), user.AllAuthenticated)
	return &user.DefaultInfo{Name: name, UID: u.GetUID(), Groups: groups, Extra: u.GetExtra()}
}

// goneAbroad returns who a ServiceAccount of another cluster is in cluster; nil for all other users, and for an account that is not valid
// in cluster because of more scopes than that of its own cluster.
func goneAbroad(u user.Info, cluster logicalcluster.Name) user.Info {
	namespace, name, err := serviceaccount.SplitUsername(u.GetName())
	origin := u.GetExtra()[ClusterNameKey]
	if err != nil || len(origin) != 1 || origin[0] == string(cluster) || cluster == "" {
		return nil
	}
	home := logicalcluster.Name(origin[0])
	for _, item := range u.GetExtra()[ScopesKey] {
		if item != Scope(home) && !inScope(item, cluster) {
			return nil
		}
	}
	return Abroad(home, namespace, name, u.GetUID())
}

// InScope reports whether the identity u is valid in cluster.
func InScope(u user.Info, cluster logicalcluster.Name) bool {
	extra := u.GetExtra()
	for _, item := range extra[ScopesKey] {
		if !inScope(item, cluster) {
			return false
		}
	}
	if _, _, err := serviceaccount.SplitUsername(u.GetName()); err == nil {
		for _, origin := range extra[ClusterNameKey] {
			if origin != string(cluster) {
				return false
			}
		}
	}
	return true
}

// inScope reports whether one value of ScopesKey names cluster.
func inScope(item string, cluster logicalcluster.Name) bool {
	return cluster != "" && slices.ContainsFunc(strings.Split(item, ","), func(s string) bool { return strings.TrimSpace(s) == Scope(cluster) })
}

// InGroups reports whether groups satisfy an expression such as "a,b;c", which asks for both a and b, or for c. An empty
// expression asks for nothing; one without any group, such as ";", can be satisfied by nobody.
func InGroups(expression string, groups []string) bool {
	if expression == "" {
		return true
	}
	for alternative := range strings.SplitSeq(expression, ";") {
		all := true
		for group := range strings.SplitSeq(alternative, ",") {
			all = all && slices.Contains(groups, strings.TrimSpace(group))
		}
		if all {
			return true
		}
	}
	return false
}
