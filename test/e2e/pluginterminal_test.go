package e2e

import (
	"bytes"
	"os"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/terminal"
)

// A user chooses a workspace from the tree on a terminal, or none.
func TestPlugin_Interactive(t *testing.T) {
	plugin, err := annex.Program("kubectl-annex")
	if err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t)
	org, _ := server.NewWorkspace("root", "org", "organization")
	server.NewWorkspace(org, "team-a", "")
	server.NewWorkspace(org, "team-b", "")
	env := []string{"KUBECONFIG=" + server.Kubeconfig(), "HOME=" + t.TempDir(), "TERM=xterm"}
	before, err := os.ReadFile(server.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}

	quits := terminal.Run(t, env, plugin, "ws", "-i")
	quits.Shows("> - root", "+ org", "enter switch")
	quits.Types("q")
	if err := quits.Ends(); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(server.Kubeconfig()); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the kubeconfig has changed: %v\n%s", err, after)
	}

	chooses := terminal.Run(t, env, plugin, "tree", "--interactive")
	chooses.Shows("> - root", "exports tenancy.kcp.io")
	chooses.Types("j\x1b[C")
	chooses.Shows(">   - org", "+ team-a", "+ team-b")
	chooses.Types("jj")
	chooses.Shows(">     + team-b", "root:org:team-b", "binds   root:tenancy.kcp.io (Bound)")
	chooses.Types("\r")
	if err := chooses.Ends(); err != nil {
		t.Error(err)
	}
	chooses.Shows("Current workspace is 'root:org:team-b' (type root:universal).")
	again := terminal.Run(t, env, plugin, "ws", "-i")
	again.Shows(">       team-b", "root:org:team-b")
	again.Types("\x03")
	if err := again.Ends(); err != nil {
		t.Error(err)
	}
}
