package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/script"
)

// pluginPath lets kubectl find its plugins, which are all in bin/. It returns the directory.
func pluginPath(t *testing.T) string {
	t.Helper()
	plugin, err := annex.Program("kubectl-annex")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(plugin)
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return dir
}

// The commands of the plugin, as typed, with the kubeconfig of the administrator.
func TestPlugin_Scripts(t *testing.T) {
	scripts, err := script.Load("testdata/plugin")
	if err != nil {
		t.Fatal(err)
	}
	pluginPath(t)
	server := annex.Start(t)
	kubeconfig, err := os.ReadFile(server.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	// Each script changes a file of its own, in the directory where it is typed.
	t.Setenv("KUBECONFIG", "config")
	for _, s := range scripts {
		s.Files["config"] = string(kubeconfig)
		t.Run(s.Name, func(t *testing.T) { script.New(t, s.Files).Type(s.Steps) })
	}
}

// A command that fails leaves the kubeconfig as it is, to the byte.
func TestPlugin_FailuresLeaveTheKubeconfig(t *testing.T) {
	plugin, err := annex.Program("kubectl-annex")
	if err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t)
	before, err := os.ReadFile(server.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"ws ..", "ws -", "ws nothing", "ws :root:nothing", "ws a::b", "ws :root --as alice --context shard-base --server https://127.0.0.1:1/clusters/root",
		"ws :root --token wrong", "ws :root --context none", "create-context root", "create x --type root:none --enter", "create x --create-context base",
		"ws .", "tree", "whoami", "access", "events",
	} {
		command := exec.CommandContext(t.Context(), plugin, strings.Fields(line)...)
		command.Env = append(os.Environ(), "KUBECONFIG="+server.Kubeconfig(), "HOME="+t.TempDir())
		out, err := command.CombinedOutput()
		if reads := slices.Contains([]string{"ws .", "tree", "whoami", "access", "events"}, line); (err == nil) != reads {
			t.Errorf("kubectl annex %s: %v\n%s", line, err, out)
		}
		if after, err := os.ReadFile(server.Kubeconfig()); err != nil || !bytes.Equal(before, after) {
			t.Fatalf("kubectl annex %s: the kubeconfig has changed: %v\n%s", line, err, after)
		}
	}
}
