package stories

import (
	"fmt"
	"testing"
)

// all are the stories by their names.
var all = map[string]func(s *stage){
	"organization": organization,
	"database":     database,
	"departure":    departure,
	"evolution":    evolution,
	"audit":        audit,
}

// Tell tells all stories at a door. Alice is the administrator of the workspace in which each begins.
func Tell(t *testing.T, door Door) {
	t.Helper()
	for name, tell := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := door.Server.For(t)
			s := &stage{T: t, door: door, cache: t.TempDir()}
			s.org, s.orgID = server.NewWorkspace("root", "story-"+name+"-"+door.Name, "organization")
			server.Kubectl(s.org, "", "create", "clusterrolebinding", "alice", "--clusterrole=cluster-admin", "--user=alice")
			tell(s)
		})
	}
}

// hires lets users enter the organization's workspace, and make workspaces of a type in it.
func (s *stage) hires(typ string, users ...string) {
	s.Helper()
	s.types("alice", s.in(s.org), `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: members}
rules:
- {nonResourceURLs: ["/"], verbs: [access]}
- {apiGroups: [tenancy.kcp.io], resources: [workspaces], verbs: [create, get, list, watch, delete]}
- {apiGroups: [tenancy.kcp.io], resources: [workspacetypes], resourceNames: [`+typ+`], verbs: [use]}
`, "apply", "-f", "-")
	for _, user := range users {
		s.types("alice", s.in(s.org), "", "create", "clusterrolebinding", "member-"+user, "--clusterrole=members", "--user="+user)
	}
}

// controls gives a user a verb on a type or an export of the organization.
func (s *stage) controls(user, verb, resource, name string) {
	s.Helper()
	s.types("alice", s.in(s.org), "", "create", "clusterrole", user, "--verb="+verb, "--resource="+resource, "--resource-name="+name)
	s.types("alice", s.in(s.org), "", "create", "clusterrolebinding", user, "--clusterrole="+user, "--user="+user)
}

// offers lets users bind an export of the organization; all of them if it names none.
func (s *stage) offers(export string, users ...string) {
	s.Helper()
	s.types("alice", s.in(s.org), `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: bind-`+export+`}
rules: [{apiGroups: [apis.kcp.io], resources: [apiexports], resourceNames: [`+export+`], verbs: [bind]}]
`, "create", "-f", "-")
	subject := "--group=system:authenticated"
	for i := range max(len(users), 1) {
		if len(users) > 0 {
			subject = "--user=" + users[i]
		}
		s.types("alice", s.in(s.org), "", "create", "clusterrolebinding", fmt.Sprintf("bind-%s-%d", export, i), "--clusterrole=bind-"+export, subject)
	}
}

// workspace has a user make a workspace of a type.
func (s *stage) workspace(user, name, typ string) {
	s.Helper()
	s.types(user, s.in(s.org), `
apiVersion: tenancy.kcp.io/v1alpha1
kind: Workspace
metadata: {name: `+name+`}
spec: {type: {name: `+typ+`, path: "`+s.org+`"}}
`, "create", "-f", "-")
}

const phase = "jsonpath={.status.phase}"

// ready waits until a workspace is Ready, and returns its path.
func (s *stage) ready(user, name string) string {
	s.Helper()
	s.types(user, s.in(s.org), "", "wait", "workspace", name, "--for="+phase+"=Ready", "--timeout=2m")
	return s.org + ":" + name
}
