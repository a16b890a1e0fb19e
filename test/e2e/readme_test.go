package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/framework/annex"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// walkThrough returns what the README asks the reader to type, for the server at url. What never ends is left out.
func walkThrough(t *testing.T, url string) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "## Try it")
	section, _, foundEnd := strings.Cut(section, "## Test it")
	if !found || !foundEnd {
		t.Fatal("the README has no section between \"Try it\" and \"Test it\"")
	}
	var script strings.Builder
	for _, block := range shellBlock.FindAllStringSubmatch(section, -1) {
		for line := range strings.Lines(block[1]) {
			if strings.HasPrefix(line, "make run") || strings.HasPrefix(line, "export KUBECONFIG") || strings.Contains(line, "--watch") {
				continue
			}
			script.WriteString(strings.ReplaceAll(line, "https://127.0.0.1:6443", url))
		}
	}
	return script.String()
}

func TestReadme_WalkThroughWorksAsTyped(t *testing.T) {
	server := annex.Start(t)
	kubectl, err := annex.Program("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	script := walkThrough(t, server.URL())
	create, remove, found := strings.Cut(script, "kubectl delete -f examples/widgets/workspaces.yaml")
	if !found {
		t.Fatal("the walk-through does not clean up")
	}
	bash := func(script string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", script)
		command.Dir = "../.."
		command.Env = append(os.Environ(), "KUBECONFIG="+server.Kubeconfig(), "HOME="+t.TempDir(), "PATH="+filepath.Dir(kubectl)+":"+os.Getenv("PATH"))
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("the walk-through fails: %v\n%s\n%s", err, out, server.Log())
		}
		return string(out)
	}
	out := bash(create)
	for _, want := range []string{"provider", "organization", "Ready", "How many wheels the gadget has"} {
		if !strings.Contains(out, want) {
			t.Errorf("the walk-through does not print %q:\n%s", want, out)
		}
	}
	// The last list is the provider's: one widget of each team.
	if n := strings.Count(out[strings.LastIndex(out, "get widgets -A"):], "first"); n != 2 {
		t.Errorf("the provider sees %d widgets, want 2:\n%s", n, out)
	}
	bash("kubectl delete -f examples/widgets/workspaces.yaml" + remove)
	if left := server.Kubectl("root", "", "get", "workspaces", "-o", "name"); left != "" {
		t.Errorf("workspaces are left: %s", left)
	}
}
