package e2e

import (
	"fmt"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/script"
)

// Every verb of kubectl does in a workspace what it does in a cluster. What makes no sense without pods says so.
func TestKubectl_Scripts(t *testing.T) {
	scripts, err := script.Load("testdata/kubectl")
	if err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t)
	cache := t.TempDir()
	for i, s := range scripts {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			workspace, _ := server.For(t).NewWorkspace("root", fmt.Sprintf("script-%d", i), "")
			script.New(t, s.Files, "--kubeconfig", server.Kubeconfig(), "--context", annex.ContextBase,
				"--server", server.URL()+"/clusters/"+workspace, "--cache-dir", cache).Type(s.Steps)
		})
	}
}
