package ecosystem

import (
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/projects"
	"github.com/annex-dev/annex/test/parity"
)

// TestDefinitions compares what kubectl said when it installed the definitions, and what both servers made of them.
func TestDefinitions(t *testing.T) {
	w := start(t)
	for i, printed := range w.printed {
		same(t, []string{"apply", "apply --server-side", "wait"}[i], printed[0], printed[1])
		if strings.Count(printed[1], "\n") < 30 {
			t.Errorf("kubectl printed little:\n%s", printed[1])
		}
	}
	for _, definition := range w.definitions {
		path := "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + definition.Name
		w.alike(t, w.workspace, parity.Case{Name: path, Steps: []parity.Step{{Do: "GET " + path, Ignore: []string{"body.metadata.managedFields"}}}})
	}
}

// TestDefinitions_ConversionByWebhook installs what converts by webhook, as it is released. A workspace refuses that so far.
func TestDefinitions_ConversionByWebhook(t *testing.T) {
	w := start(t)
	tried := 0
	for _, project := range projects.All {
		for _, folder := range project.Kustomizations {
			tried++
			printed, err := w.kubectl(t, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", project.Folder(t)+"/"+folder)
			if err == nil || (w.host != nil && strings.Contains(printed[0], "Error")) {
				t.Errorf("%s: %v\nstock: %s\nannex: %s", folder, err, printed[0], printed[1])
			}
			if !strings.Contains(printed[1], "conversion by webhook is not supported yet") {
				t.Errorf("the workspace no longer refuses conversion by webhook: install %s in world.install, and drop this test\n%s", folder, printed[1])
			}
		}
	}
	if tried == 0 {
		t.Error("no project converts by webhook any more")
	}
}
