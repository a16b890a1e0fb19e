package host

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/annex-dev/annex/test/framework/stories"
)

// What people do with Annex, all of it through the host.
func TestHost_Stories(t *testing.T) {
	people := map[string]*user{}
	for _, name := range stories.Users {
		people[name] = newUser(t, name, workspaceRule(), rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"tenancy.kcp.io"}, Resources: []string{"workspacetypes/proxy"}},
			rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"apis.kcp.io"}, Resources: []string{"apiexports/proxy"}})
	}
	stories.Tell(t, stories.Door{
		Name: "host", Server: installed.annex, AuditLogs: []string{installed.auditLog},
		Credentials: func(t *testing.T, user string) []string {
			t.Helper()
			return []string{"--kubeconfig", people[user].kubeconfig}
		},
		Address: func(p stories.Place) string { return p.AtHost(installed.host.Config().Host) },
	})
}
