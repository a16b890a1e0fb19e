package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/script"
)

// The plugin takes the context of a host as it is: a user needs no other URL, and no other rights than those to reach workspaces.
func TestHost_Plugin(t *testing.T) {
	scripts, err := script.Load("testdata/plugin")
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := annex.Program("kubectl-annex")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := os.ReadFile(newUser(t, "plugin-user", workspaceRule()).kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(plugin)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Setenv("KUBECONFIG", "config")
	for _, s := range scripts {
		s.Files["config"] = string(kubeconfig)
		t.Run(s.Name, func(t *testing.T) { script.New(t, s.Files).Type(s.Steps) })
	}
}
