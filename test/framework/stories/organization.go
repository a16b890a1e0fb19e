package stories

import (
	"strings"
)

// organization is a platform team that gives each team a workspace with what it needs: an API of the organization, roles that a controller
// seeds before anybody works there, and a limit.
func organization(s *stage) {
	s.types("alice", s.in(s.org), ticketSchema+`---
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: tickets}
spec: {resources: [{name: tickets, group: helpdesk.example.com, schema: v1.tickets.helpdesk.example.com, storage: {crd: {}}}]}
---
apiVersion: tenancy.kcp.io/v1alpha1
kind: WorkspaceType
metadata:
  name: team
  annotations: {core.kcp.io/max-total-objects: "40"}
spec:
  extend: {with: [{name: universal, path: root}]}
  initializer: true
  initializerPermissions:
  - {apiGroups: [rbac.authorization.k8s.io], resources: [clusterrolebindings], verbs: [get, create]}
  - {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [bind]}
  defaultAPIBindings: [{export: tickets, path: "`+s.org+`"}]
  limitAllowedChildren: {none: true}
`, "apply", "-f", "-")
	s.offers("tickets")
	s.hires("team", "bob")
	s.controls("seeder", "initialize", "workspacetypes.tenancy.kcp.io", "team")

	// Bob makes a workspace, which waits for the controller.
	s.awaitsSuccess("bob", s.in(s.org), "", "auth", "can-i", "create", "workspaces.tenancy.kcp.io")
	s.workspace("bob", "payments", "team")
	s.awaits("bob", s.in(s.org), "Initializing", "get", "workspace", "payments", "-o", phase)
	s.refused("mallory", s.in(s.org), forbidden, "", "get", "workspaces")
	everywhere := s.at(initializing, "team", "*")
	s.refused("mallory", everywhere, forbidden, "", "get", "logicalclusters")

	// The controller finds it, seeds it, and lets it go.
	s.awaits("seeder", everywhere, "1", "get", "logicalclusters", "-o", "go-template={{len .items}}")
	cluster := s.types("seeder", everywhere, "", "get", "logicalclusters", "-o", `jsonpath={.items[0].metadata.annotations.kcp\.io/cluster}`)
	here := s.at(initializing, "team", cluster)
	s.types("seeder", here, "", "create", "clusterrolebinding", "team-admins", "--clusterrole=cluster-admin", "--user=carol")
	s.refused("seeder", here, forbidden, "", "get", "secrets", "-n", "default")
	initializers := s.types("seeder", here, "", "get", "logicalcluster", "cluster", "-o", "jsonpath={.status.initializers}")
	if want := `["` + s.orgID + `:team"]`; initializers != want {
		s.Fatalf("the workspace waits for %s, want %s", initializers, want)
	}
	s.types("seeder", here, "", "patch", "logicalcluster", "cluster", "--subresource=status", "--type=json", "-p", `[{"op":"remove","path":"/status/initializers/0"}]`)
	payments := s.in(s.ready("bob", "payments"))
	s.refused("seeder", here, forbidden, "", "get", "clusterrolebindings")
	s.refused("seeder", payments, forbidden, "", "get", "configmaps")

	// Carol works there, with the API of the organization.
	s.types("carol", payments, `{apiVersion: helpdesk.example.com/v1, kind: Ticket, metadata: {name: first, namespace: default}, spec: {title: it works}}`, "create", "-f", "-")
	s.awaits("carol", payments, "it works", "get", "tickets", "first", "-o", "jsonpath={.spec.title}")
	s.refused("carol", payments, "spec.title", `{apiVersion: helpdesk.example.com/v1, kind: Ticket, metadata: {name: second, namespace: default}, spec: {title: 7}}`, "create", "-f", "-")
	s.refused("carol", s.in(s.org), forbidden, "", "get", "workspaces")
	s.refused("mallory", payments, forbidden, "", "get", "configmaps")
	s.refused("carol", payments, forbidden, `{apiVersion: tenancy.kcp.io/v1alpha1, kind: Workspace, metadata: {name: nested}, spec: {type: {name: universal, path: root}}}`, "create", "-f", "-")

	// It has a limit, and what is deleted makes room.
	var many strings.Builder
	for _, name := range strings.Fields("a b c d e f g h i j k l m n o p q r s t u v w x y z aa bb cc dd ee ff gg hh ii jj kk ll mm nn") {
		many.WriteString("{apiVersion: v1, kind: ConfigMap, metadata: {name: " + name + ", namespace: default}}\n---\n")
	}
	s.refused("carol", payments, "total object count limit (40/40 objects)", many.String(), "create", "-f", "-")
	s.types("carol", payments, "", "delete", "configmap", "a")
	s.types("carol", payments, "", "create", "configmap", "again")

	// The workspace goes, and its name is free.
	s.types("bob", s.in(s.org), "", "delete", "workspace", "payments", "--timeout=2m")
	s.refused("carol", payments, forbidden, "", "get", "tickets")
}

const ticketSchema = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.tickets.helpdesk.example.com}
spec:
  group: helpdesk.example.com
  scope: Namespaced
  names: {plural: tickets, singular: ticket, kind: Ticket, listKind: TicketList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {type: object, properties: {spec: {type: object, properties: {title: {type: string}}}, status: {type: object, properties: {state: {type: string}}}}}
`
