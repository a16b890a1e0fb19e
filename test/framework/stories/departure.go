package stories

// departure is a team that leaves: its workspace goes only when a controller has saved what must be kept.
func departure(s *stage) {
	s.types("alice", s.in(s.org), `
apiVersion: tenancy.kcp.io/v1alpha1
kind: WorkspaceType
metadata: {name: kept}
spec:
  extend: {with: [{name: universal, path: root}]}
  terminator: true
  terminatorPermissions:
  - {apiGroups: [""], resources: [configmaps], verbs: [get, list, delete]}
`, "apply", "-f", "-")
	s.hires("kept", "bob", "carol")
	s.controls("archiver", "terminate", "workspacetypes.tenancy.kcp.io", "kept")
	s.awaitsSuccess("bob", s.in(s.org), "", "auth", "can-i", "create", "workspaces.tenancy.kcp.io")
	s.workspace("bob", "leaving", "kept")
	leaving := s.in(s.ready("bob", "leaving"))
	s.types("bob", leaving, "", "create", "configmap", "ledger", "--from-literal=balance=42")
	everywhere := s.at(terminating, "kept", "*")
	s.awaits("archiver", everywhere, "0", "get", "logicalclusters", "-o", "go-template={{len .items}}")

	// The deletion waits, and says so. Nothing new comes.
	s.types("bob", s.in(s.org), "", "delete", "workspace", "leaving", "--wait=false")
	s.awaits("bob", s.in(s.org), "Terminating", "get", "workspace", "leaving", "-o", phase)
	s.awaits("archiver", everywhere, "1", "get", "logicalclusters", "-o", "go-template={{len .items}}")
	s.refused("bob", leaving, "being deleted", "", "create", "configmap", "late")
	s.refused("carol", everywhere, forbidden, "", "get", "logicalclusters")

	// The controller saves the ledger, and may not touch anything else.
	cluster := s.types("archiver", everywhere, "", "get", "logicalclusters", "-o", `jsonpath={.items[0].metadata.annotations.kcp\.io/cluster}`)
	here := s.at(terminating, "kept", cluster)
	if balance := s.types("archiver", here, "", "get", "configmap", "ledger", "-n", "default", "-o", "jsonpath={.data.balance}"); balance != "42" {
		s.Errorf("the balance is %q", balance)
	}
	s.refused("archiver", here, forbidden, "", "get", "secrets", "-n", "default")
	s.refused("archiver", here, "status.terminators", "", "patch", "logicalcluster", "cluster", "--subresource=status", "--type=merge", "-p", `{"status":{"terminators":["another:one"]}}`)
	s.types("archiver", here, "", "patch", "logicalcluster", "cluster", "--subresource=status", "--type=json", "-p", `[{"op":"remove","path":"/status/terminators/0"}]`)

	s.types("bob", s.in(s.org), "", "wait", "workspace", "leaving", "--for=delete", "--timeout=2m")
	s.awaits("archiver", everywhere, "0", "get", "logicalclusters", "-o", "go-template={{len .items}}")
	s.refused("archiver", here, forbidden, "", "get", "configmaps", "-n", "default")
	s.workspace("bob", "leaving", "kept")
	s.refused("bob", s.in(s.ready("bob", "leaving")), "not found", "", "get", "configmap", "ledger")
}
