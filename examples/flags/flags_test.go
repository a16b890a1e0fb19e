package flags

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Without credentials, a user is told where they come from, and not of a variable that no operator needs.
func TestConfigs_SayThatThereIsNoKubeconfig(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	noContext := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(noContext, []byte("{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: 'https://localhost'}}]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, kubeconfig := range map[string]string{"none": "", "a file that is missing": "/nowhere", "no current context": noContext} {
		t.Setenv("KUBECONFIG", kubeconfig)
		for _, workspace := range []string{"", "root:provider"} {
			_, _, err := (&Common{workspace: workspace}).configs()
			if err == nil || !strings.Contains(err.Error(), "set --kubeconfig or KUBECONFIG") || strings.Contains(err.Error(), "KUBERNETES_MASTER") {
				t.Errorf("%s, --workspace %q: %v", name, workspace, err)
			}
		}
	}
}
