package forward

import (
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
)

var alice = &user.DefaultInfo{
	Name: "alice", UID: "7", Groups: []string{"devs", "system:authenticated", "system:kcp:admin", "system:cluster:x"},
	Extra: map[string][]string{"example.com/team": {"a", "b"}, "authentication.kcp.io/other": {"x"}},
}

func TestBeyond(t *testing.T) {
	const authenticated = "system:authenticated"
	account := func(extra map[string][]string) user.Info {
		return &user.DefaultInfo{Name: "system:serviceaccount:a:b", UID: "1", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:a", authenticated}, Extra: extra}
	}
	for name, tc := range map[string]struct {
		who  user.Info
		want string // the name and the groups; empty if the user is refused
	}{
		"a user":                       {alice, "alice devs system:authenticated"},
		"an administrator":             {&user.DefaultInfo{Name: "root", Groups: []string{"system:masters", authenticated}}, "root system:authenticated"},
		"a ServiceAccount":             {account(map[string][]string{"authentication.kcp.io/cluster-name": {"home"}}), "system:kcp:serviceaccount:home:a:b system:authenticated"},
		"one without a home":           {account(nil), ""},
		"one with two":                 {account(map[string][]string{"authentication.kcp.io/cluster-name": {"home", "other"}}), ""},
		"one that is confined":         {account(map[string][]string{"authentication.kcp.io/cluster-name": {"home"}, "authentication.kcp.io/scopes": {"cluster:other"}}), ""},
		"one that is called so":        {&user.DefaultInfo{Name: "system:serviceaccount:a:b", Groups: []string{authenticated}, Extra: map[string][]string{"authentication.kcp.io/cluster-name": {"home"}}}, ""},
		"a user of a workspace":        {&user.DefaultInfo{Name: "alice", Groups: []string{authenticated}, Extra: map[string][]string{"authentication.kcp.io/scopes": {"cluster:parent"}}}, ""},
		"a user who came from one":     {&user.DefaultInfo{Name: "alice", Groups: []string{authenticated}, Extra: map[string][]string{"authentication.kcp.io/cluster-name": {"parent"}}}, ""},
		"a user of the system":         {&user.DefaultInfo{Name: "system:kube-controller-manager", Groups: []string{authenticated}}, ""},
		"a ServiceAccount from abroad": {&user.DefaultInfo{Name: "system:kcp:serviceaccount:home:a:b", Groups: []string{authenticated}}, ""},
		"nobody":                       {&user.DefaultInfo{Name: "system:anonymous", Groups: []string{"system:unauthenticated"}}, ""},
		"one who is not authenticated": {&user.DefaultInfo{Name: "alice"}, ""},
	} {
		got, ok := Beyond(tc.who)
		if !ok {
			if tc.want != "" {
				t.Errorf("%s: refused", name)
			}
			continue
		}
		if is := strings.Join(append([]string{got.GetName()}, got.GetGroups()...), " "); is != tc.want {
			t.Errorf("%s: %s, want %q", name, is, tc.want)
		}
		for key := range got.GetExtra() {
			if strings.Contains(key, "kcp.io") {
				t.Errorf("%s: %s goes out", name, key)
			}
		}
	}
}
