package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/stories"
)

// What people do with Annex, at its own address.
func TestStories(t *testing.T) {
	dir := t.TempDir()
	tokens, policy, log := filepath.Join(dir, "tokens.csv"), filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "audit.log")
	var users strings.Builder
	for _, user := range stories.Users {
		users.WriteString("token-of-" + user + "," + user + "," + user + "\n")
	}
	for file, content := range map[string]string{tokens: users.String(), policy: stories.AuditPolicy} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := annex.Start(t, "--token-auth-file", tokens, "--audit-policy-file", policy, "--audit-log-path", log)
	stories.Tell(t, stories.Door{
		Name: "direct", Server: server, Impersonates: true, AuditLogs: []string{log},
		Credentials: func(t *testing.T, user string) []string {
			t.Helper()
			return []string{"--kubeconfig", server.Kubeconfig(), "--context", annex.ContextBase, "--token", "token-of-" + user}
		},
		Address: func(p stories.Place) string { return p.AtServer(server.URL()) },
	})
}
