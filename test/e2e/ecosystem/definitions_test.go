package ecosystem

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/annex-dev/annex/test/parity"
)

// TestDefinitions compares what kubectl said when it installed the definitions, and what both servers made of them.
func TestDefinitions(t *testing.T) {
	w := start(t)
	for i, printed := range w.printed {
		same(t, []string{"apply", "apply --server-side", "wait"}[i], printed[0], printed[1])
		if want := []int{3, len(w.definitions), len(w.definitions)}[i]; strings.Count(printed[1], "\n") < want {
			t.Errorf("kubectl printed less than %d lines:\n%s", want, printed[1])
		}
	}
	// Both servers add conditions in the order in which their controllers come to them.
	byType := []parity.Pick{{List: "status.conditions", By: "type"}}
	webhooks := 0
	for _, definition := range w.definitions {
		if c := definition.Spec.Conversion; c != nil && c.Strategy == apiextensionsv1.WebhookConverter {
			webhooks++
		}
		path := "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + definition.Name
		w.alike(t, w.workspace, parity.Case{Name: path, Steps: []parity.Step{{Do: "GET " + path, Pick: byType, Ignore: []string{"body.metadata.managedFields"}}}})
	}
	if webhooks == 0 {
		t.Error("no definition converts by webhook")
	}
}
