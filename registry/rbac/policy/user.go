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

// Effective returns who u is in cluster: u, or, where u is not in scope, an anonymous user whom only RBAC for everybody
// authenticated and for users of the cluster of origin applies to. A ServiceAccount is in scope in its own cluster only. An
// empty cluster is in no scope.
func Effective(u user.Info, cluster logicalcluster.Name) user.Info {
	if InScope(u, cluster) {
		return u
	}
	groups := []string{user.AllAuthenticated}
	for _, origin := range u.GetExtra()[ClusterNameKey] {
		groups = append(groups, ClusterGroupPrefix+origin)
	}
	return &user.DefaultInfo{Name: user.Anonymous, Groups: groups}
}

// InScope reports whether the identity u is valid in cluster.
func InScope(u user.Info, cluster logicalcluster.Name) bool {
	extra := u.GetExtra()
	for _, item := range extra[ScopesKey] {
		if !slices.ContainsFunc(strings.Split(item, ","), func(s string) bool {
			return cluster != "" && strings.TrimSpace(s) == Scope(cluster)
		}) {
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
