package stories

import (
	"fmt"
	"strings"
)

// database is a provider whose operator hands out credentials: it may write Secrets, ConfigMaps and Events of its consumers as far as they
// let it. One of three tenants does not let it write Secrets.
func database(s *stage) {
	export := `
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: databases}
spec:
  resources: [{name: databases, group: db.example.com, schema: %s.databases.db.example.com, storage: {crd: {}}}]
  permissionClaims:
  - {group: "", resource: secrets, verbs: [get, list, watch, create, update, patch]}
  - {group: "", resource: configmaps, verbs: [get, list, watch]}
  - {group: "", resource: events, verbs: [create, patch]}
`
	schema := strings.NewReplacer("tickets", "databases", "ticket", "database", "Ticket", "Database", "helpdesk", "db")
	s.types("alice", s.in(s.org), schema.Replace(ticketSchema)+"---"+fmt.Sprintf(export, "v1"), "apply", "-f", "-")
	s.types("alice", s.in(s.org), "", "wait", "apiexport", "databases", "--for=condition=IdentityValid", "--timeout=2m")
	s.offers("databases", "bob", "carol", "dave")
	s.types("alice", s.in(s.org), "", "create", "clusterrole", "operator", "--verb=*", "--resource=apiexports.apis.kcp.io/content", "--resource-name=databases")
	s.types("alice", s.in(s.org), "", "create", "clusterrolebinding", "operator", "--clusterrole=operator", "--user=operator")

	// Three tenants bind it. Each has a workspace elsewhere; the provider has no right there.
	clusters := map[string]string{}
	homes := map[string]Place{}
	for tenant, secrets := range map[string]string{"bob": "Accepted", "carol": "Accepted", "dave": "Rejected"} {
		server := s.door.Server.For(s)
		path, cluster := server.NewWorkspace("root", "tenant-"+tenant+"-"+s.door.Name, "universal")
		server.Kubectl(path, "", "create", "clusterrolebinding", tenant, "--clusterrole=cluster-admin", "--user="+tenant)
		homes[tenant], clusters[tenant] = s.in(path), cluster
		selector := "{matchAll: true}"
		if tenant == "carol" {
			selector = "{matchLabels: {database: \"yes\"}}"
		}
		s.awaitsSuccess(tenant, homes[tenant], `
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: databases}
spec:
  reference: {export: {path: "`+s.org+`", name: databases}}
  permissionClaims:
  - {group: "", resource: secrets, verbs: ["*"], state: `+secrets+`, selector: `+selector+`}
  - {group: "", resource: configmaps, verbs: ["*"], state: Accepted, selector: `+selector+`}
  - {group: "", resource: events, verbs: ["*"], state: Accepted, selector: {matchAll: true}}
`, "apply", "-f", "-")
		s.types(tenant, homes[tenant], "", "wait", "apibinding", "databases", "--for=condition=Ready", "--timeout=2m")
		s.types(tenant, homes[tenant], `
apiVersion: db.example.com/v1
kind: Database
metadata: {name: main, namespace: default}
spec: {title: of `+tenant+`}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default, labels: {database: "yes"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: private, namespace: default}
`, "create", "-f", "-")
	}
	s.refused("mallory", homes["bob"], forbidden, "", "get", "databases")

	// The operator sees all of them at one address, and nobody else does.
	everywhere := s.at(apiExport, "databases", "*")
	s.awaits("operator", everywhere, "of bob,of carol,of dave,", "get", "databases", "-A", "--sort-by=.spec.title", "-o", "go-template={{range .items}}{{.spec.title}},{{end}}")
	for _, stranger := range []string{"mallory", "bob"} {
		s.refused(stranger, everywhere, forbidden, "", "get", "databases", "-A")
	}
	s.refused("operator", homes["bob"], forbidden, "", "get", "databases")
	s.awaits("operator", s.at(apiExport, "databases", clusters["bob"]), "private,settings,", "get", "configmaps", "-n", "default", "-o", `go-template={{range .items}}{{if ne .metadata.name "kube-root-ca.crt"}}{{.metadata.name}},{{end}}{{end}}`)
	s.awaits("operator", s.at(apiExport, "databases", clusters["carol"]), "settings,", "get", "configmaps", "-n", "default", "-o", `go-template={{range .items}}{{.metadata.name}},{{end}}`)

	// It serves each: a Secret, an Event, and the status.
	for tenant, cluster := range clusters {
		here := s.at(apiExport, "databases", cluster)
		secret := `{apiVersion: v1, kind: Secret, metadata: {name: main-credentials, namespace: default}, stringData: {password: of-` + tenant + `}}`
		if tenant == "dave" {
			s.refused("operator", here, forbidden, secret, "create", "-f", "-")
		} else {
			s.types("operator", here, secret, "create", "-f", "-")
		}
		s.types("operator", here, `
apiVersion: v1
kind: Event
metadata: {name: main.ready, namespace: default}
involvedObject: {apiVersion: db.example.com/v1, kind: Database, namespace: default, name: main}
reason: Ready
message: the database is ready
type: Normal
`, "create", "-f", "-")
		s.types("operator", here, "", "patch", "database", "main", "-n", "default", "--subresource=status", "--type=merge", "-p", `{"status":{"state":"ready"}}`)
		s.refused("operator", here, "does not allow the requested verb|orbidden", "", "delete", "configmap", "settings", "-n", "default")
		s.refused("operator", here, "doesn't have a resource type", "", "get", "serviceaccounts", "-n", "default")
	}
	for tenant, home := range homes {
		s.awaits(tenant, home, "ready", "get", "database", "main", "-o", "jsonpath={.status.state}")
		s.awaits(tenant, home, "the database is ready", "get", "event", "main.ready", "-o", "jsonpath={.message}")
		if tenant == "dave" {
			s.refused(tenant, home, "not found", "", "get", "secret", "main-credentials")
			continue
		}
		s.awaits(tenant, home, "of-"+tenant, "get", "secret", "main-credentials", "-o", "go-template={{.data.password | base64decode}}")
	}
	// What carol lets it write has the label by which she lets it see.
	s.awaits("carol", homes["carol"], "yes", "get", "secret", "main-credentials", "-o", "jsonpath={.metadata.labels.database}")

	// Dave changes his mind, and bob takes his leave.
	s.types("dave", homes["dave"], "", "patch", "apibinding", "databases", "--type=json", "-p", `[{"op":"replace","path":"/spec/permissionClaims/0/state","value":"Accepted"}]`)
	s.awaitsSuccess("operator", s.at(apiExport, "databases", clusters["dave"]),
		`{apiVersion: v1, kind: Secret, metadata: {name: main-credentials, namespace: default}, stringData: {password: late}}`, "create", "-f", "-")
	s.types("bob", homes["bob"], "", "delete", "apibinding", "databases", "--timeout=2m")
	s.awaits("operator", everywhere, "of carol,of dave,", "get", "databases", "-A", "--sort-by=.spec.title", "-o", "go-template={{range .items}}{{.spec.title}},{{end}}")
	s.refused("operator", s.at(apiExport, "databases", clusters["bob"]), forbidden+"|doesn't have a resource type", "", "get", "secrets", "-n", "default")
	// The Secret is bob's own.
	s.awaits("bob", homes["bob"], "of-bob", "get", "secret", "main-credentials", "-o", "go-template={{.data.password | base64decode}}")
}
