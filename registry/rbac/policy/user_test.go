package policy

import (
	"slices"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

func TestEffective_ServiceAccounts(t *testing.T) {
	const (
		robot  = "system:serviceaccount:default:robot"
		abroad = "system:kcp:serviceaccount:a:default:robot"
	)
	groups := []string{"system:serviceaccounts", "system:serviceaccounts:default", user.AllAuthenticated}
	of := func(name string, clusters []string, scopes ...string) *user.DefaultInfo {
		return &user.DefaultInfo{Name: name, UID: "1", Groups: groups, Extra: map[string][]string{ClusterNameKey: clusters, ScopesKey: scopes}}
	}
	outside := []string{user.AllAuthenticated, "system:cluster:a"}
	for name, tc := range map[string]struct {
		user       user.Info
		cluster    logicalcluster.Name
		want       string
		wantGroups []string
	}{
		"at home":                            {of(robot, []string{"a"}, "cluster:a"), "a", robot, groups},
		"in another cluster":                 {of(robot, []string{"a"}, "cluster:a"), "b", abroad, outside},
		"in none":                            {of(robot, []string{"a"}, "cluster:a"), "", user.Anonymous, outside},
		"of whom no cluster is known":        {of(robot, nil), "b", robot, groups},
		"impersonated, in another cluster":   {of(robot, nil, "cluster:a"), "b", user.Anonymous, []string{user.AllAuthenticated}},
		"of two clusters":                    {of(robot, []string{"a", "c"}), "b", user.Anonymous, []string{user.AllAuthenticated, "system:cluster:a", "system:cluster:c"}},
		"confined to a third cluster":        {of(robot, []string{"a"}, "cluster:a", "cluster:c"), "b", user.Anonymous, outside},
		"confined to the other cluster, too": {of(robot, []string{"a"}, "cluster:a", "cluster:c,cluster:b"), "b", abroad, outside},
		"as others know it, in another":      {Abroad("a", "default", "robot", "1"), "b", abroad, outside},
		"as others know it, at home":         {Abroad("a", "default", "robot", "1"), "a", robot, groups},
		"as others know it, in none":         {Abroad("a", "default", "robot", "1"), "", abroad, outside},
		"with a name that begins alike":      {Abroad("ab", "default", "robot", "1"), "a", "system:kcp:serviceaccount:ab:default:robot", []string{user.AllAuthenticated, "system:cluster:ab"}},
		"with a malformed name":              {&user.DefaultInfo{Name: "system:kcp:serviceaccount:a:default:robot:x"}, "a", "system:kcp:serviceaccount:a:default:robot:x", nil},
		"as others know it, confined":        {&user.DefaultInfo{Name: abroad, Extra: map[string][]string{ScopesKey: {"cluster:b"}}}, "a", user.Anonymous, []string{user.AllAuthenticated}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Effective(tc.user, tc.cluster)
			if got.GetName() != tc.want || !slices.Equal(got.GetGroups(), tc.wantGroups) {
				t.Errorf("it is %v, want %s in %v", got, tc.want, tc.wantGroups)
			}
		})
	}
}
