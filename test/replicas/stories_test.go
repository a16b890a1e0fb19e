package replicas

import (
	"sync/atomic"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/stories"
)

// What people do with Annex, where every command reaches another server.
func TestReplicas_Stories(t *testing.T) {
	var turn atomic.Int64
	stories.Tell(t, stories.Door{
		Name: "replicas", Server: theWorld.replicas[0], Impersonates: true, AuditLogs: theWorld.auditLogs[:],
		Credentials: func(t *testing.T, user string) []string {
			t.Helper()
			return []string{"--kubeconfig", theWorld.replicas[0].Kubeconfig(), "--context", annex.ContextBase, "--token", user}
		},
		Address: func(p stories.Place) string { return p.AtServer(theWorld.replicas[turn.Add(1)%replicas].URL()) },
	})
}
