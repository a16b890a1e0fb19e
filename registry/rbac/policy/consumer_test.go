package policy

import (
	"slices"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

func TestAsConsumer(t *testing.T) {
	const robot = "system:serviceaccount:default:robot"
	accounts := []string{"system:serviceaccounts", "system:serviceaccounts:default", user.AllAuthenticated}
	everybody := []string{"apis.kcp.io:binding:system:authenticated"}
	ofA := append(slices.Clone(everybody), "apis.kcp.io:binding:system:cluster:a")
	for name, tc := range map[string]struct {
		user       user.DefaultInfo
		cluster    logicalcluster.Name
		want       string
		wantGroups []string
	}{
		"a user": {user.DefaultInfo{Name: "alice", Groups: []string{"dev", user.AllAuthenticated}}, "a", "alice",
			[]string{"apis.kcp.io:binding:dev", "apis.kcp.io:binding:system:authenticated"}},
		"a user in scope of both":   {user.DefaultInfo{Name: "alice", Groups: []string{user.AllAuthenticated}, Extra: map[string][]string{ScopesKey: {"cluster:a,cluster:provider"}}}, "a", "alice", everybody},
		"one of the consumer only":  {user.DefaultInfo{Name: "alice", Groups: []string{"dev"}, Extra: map[string][]string{ScopesKey: {"cluster:a"}}}, "a", user.Anonymous, everybody},
		"one of the provider only":  {user.DefaultInfo{Name: "alice", Groups: []string{"dev"}, Extra: map[string][]string{ScopesKey: {"cluster:provider"}}}, "a", user.Anonymous, everybody},
		"one whom a cluster knows":  {user.DefaultInfo{Name: "oidc:alice", Groups: []string{"dev"}, Extra: map[string][]string{ScopesKey: {"cluster:a"}, ClusterNameKey: {"a"}}}, "a", user.Anonymous, ofA},
		"a user out of scope":       {user.DefaultInfo{Name: "alice", Groups: []string{"dev"}, Extra: map[string][]string{ScopesKey: {"cluster:b"}}}, "a", user.Anonymous, everybody},
		"a stranger":                {user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}, "a", user.Anonymous, []string{"apis.kcp.io:binding:system:unauthenticated"}},
		"a ServiceAccount at home":  {user.DefaultInfo{Name: robot, Groups: accounts, Extra: map[string][]string{ClusterNameKey: {"a"}, ScopesKey: {"cluster:a"}}}, "a", "system:kcp:serviceaccount:a:default:robot", ofA},
		"a ServiceAccount abroad":   {user.DefaultInfo{Name: robot, Groups: accounts, Extra: map[string][]string{ClusterNameKey: {"a"}, ScopesKey: {"cluster:a"}}}, "b", "system:kcp:serviceaccount:a:default:robot", ofA},
		"one that is impersonated":  {user.DefaultInfo{Name: robot, Groups: accounts, Extra: map[string][]string{ScopesKey: {"cluster:a"}}}, "a", "system:kcp:serviceaccount:a:default:robot", ofA},
		"one by its name elsewhere": {user.DefaultInfo{Name: "system:kcp:serviceaccount:a:default:robot", Groups: []string{user.AllAuthenticated}}, "a", "system:kcp:serviceaccount:a:default:robot", ofA},
		"one of the provider":       {user.DefaultInfo{Name: robot, Groups: accounts, Extra: map[string][]string{ClusterNameKey: {"provider"}, ScopesKey: {"cluster:provider"}}}, "a", "system:kcp:serviceaccount:provider:default:robot", []string{"apis.kcp.io:binding:system:authenticated", "apis.kcp.io:binding:system:cluster:provider"}},
		"one confined to a third":   {user.DefaultInfo{Name: robot, Groups: accounts, Extra: map[string][]string{ClusterNameKey: {"a"}, ScopesKey: {"cluster:a", "cluster:c"}}}, "b", user.Anonymous, ofA},
		"nobody without a cluster":  {user.DefaultInfo{Name: "alice", Extra: map[string][]string{ScopesKey: {"cluster:a"}}}, "", user.Anonymous, everybody},
	} {
		t.Run(name, func(t *testing.T) {
			got := AsConsumer(&tc.user, tc.cluster, "provider")
			if got.GetName() != "apis.kcp.io:binding:"+tc.want || !slices.Equal(got.GetGroups(), tc.wantGroups) {
				t.Errorf("it is %v, want %s in %v", got, tc.want, tc.wantGroups)
			}
			if !InScope(got, "provider") {
				t.Error("it is not in scope where it is asked about")
			}
		})
	}
}
