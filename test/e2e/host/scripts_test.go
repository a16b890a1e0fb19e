package host

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/annex-dev/annex/test/framework/script"
)

// What users type at Annex's own endpoint works in the same way through the host.
func TestHost_KubectlScripts(t *testing.T) {
	const name = "typist"
	scripts, err := script.Load("../testdata/kubectl")
	if err != nil {
		t.Fatal(err)
	}
	server := installed.annex.For(t)
	typist := newUser(t, name, workspaceRule())
	cache := filepath.Join(t.TempDir(), "cache")
	for i, s := range scripts {
		if !s.Everywhere {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			workspace, _ := server.For(t).NewWorkspace("root", fmt.Sprintf("script-%d", i), "")
			server.For(t).Kubectl(workspace, "", "create", "clusterrolebinding", name, "--clusterrole=cluster-admin", "--user="+name)
			script.New(t, s.Files, "--kubeconfig", typist.kubeconfig, "--server", typist.config.Host+proxy(workspace), "--cache-dir", cache).Type(s.Steps)
		})
	}
}
