package install

import (
	"path/filepath"
	"strings"
	"testing"
)

// What the chart renders is accepted by a real API server without Helm, too, as kubectl and Argo CD bring it.
func TestManifests_AreAccepted(t *testing.T) {
	const elsewhere = "annex-manifests"
	// The others are those in which the values let Annex write Secrets.
	namespaces := []string{elsewhere, "argocd", "flux-system"}
	for _, name := range namespaces {
		if err := installed.createNamespace(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(chartDir, "ci", "*-values.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	admin := installed.host.Admin(t)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), "-values.yaml")
		if strings.HasPrefix(name, "cert-manager") {
			continue // its kinds are not here
		}
		t.Run(name, func(t *testing.T) {
			// The kind of the Prometheus operator is not here either.
			rendered := mustHelm(t, "template", release, chartDir, "--namespace", elsewhere, "--values", file, "--skip-tests", "--set", "serviceMonitor.enabled=false")
			out := admin.Kubectl("", rendered, "apply", "--dry-run=server", "--validate=strict", "--filename=-")
			if got, want := strings.Count(out, "(server dry run)"), strings.Count(rendered, "\nkind: "); got != want {
				t.Errorf("%d objects were accepted, %d rendered:\n%s", got, want, out)
			}
		})
	}
	for _, name := range namespaces {
		deleteNamespace(t, name)
	}
}
