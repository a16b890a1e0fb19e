package ecosystem

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/parity"
)

// groups returns the groups of the definitions, sorted.
func (w *world) groups() []string {
	var groups []string
	for _, definition := range w.definitions {
		groups = append(groups, definition.Spec.Group)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// versions returns each group with each of its versions, like "cert-manager.io/v1".
func (w *world) versions() []string {
	var all []string
	for _, definition := range w.definitions {
		for _, version := range definition.Spec.Versions {
			if version.Served {
				all = append(all, definition.Spec.Group+"/"+version.Name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestDiscovery compares what both servers say that they serve.
func TestDiscovery(t *testing.T) {
	w := start(t)
	var steps []parity.Step
	for _, group := range w.groups() {
		steps = append(steps, parity.Step{Do: "GET /apis/" + group})
	}
	for _, version := range w.versions() {
		steps = append(steps, parity.Step{Do: "GET /apis/" + version, Pick: []parity.Pick{{List: "resources", By: "name"}}})
	}
	aggregated := map[string]string{"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
	for _, group := range w.groups() {
		steps = append(steps, parity.Step{Do: "GET /apis", Headers: aggregated, Pick: []parity.Pick{
			{List: "items", By: "metadata.name", Values: []string{group}},
			{List: "items[].versions[].resources", By: "resource"},
		}})
	}
	for _, answer := range w.alike(t, w.workspace, parity.Case{Name: "discovery", Steps: steps}) {
		if answer.Code != http.StatusOK {
			t.Errorf("the stock server answers with %d: %v", answer.Code, answer.Body)
		}
	}
}

// TestOpenAPI compares the documents of all groups, part by part.
func TestOpenAPI(t *testing.T) {
	w := start(t)
	began := time.Now()
	for _, version := range w.versions() {
		path := "/openapi/v3/apis/" + version
		answers := w.alike(t, w.workspace, parity.Case{Name: path, Steps: []parity.Step{{Do: "GET " + path, Until: map[string]any{"code": float64(http.StatusOK)}, Only: []string{"code", "body"}}}})
		if answers[0].Code != http.StatusOK {
			t.Errorf("the stock server answers %s with %d", path, answers[0].Code)
		}
	}
	t.Logf("documents of version 3 on both servers: %s", time.Since(began))
	began = time.Now()
	stock := w.openAPI(t, w.stock)
	t.Logf("version 2 of the stock server: %s", time.Since(began))
	began = time.Now()
	workspace := w.openAPI(t, w.workspace)
	t.Logf("version 2 of the workspace: %s", time.Since(began))
	step := parity.Step{Do: "GET /openapi/v2"}
	for _, diff := range parity.Compare(1, step, parity.Answer{Code: http.StatusOK, Body: stock}, parity.Answer{Code: http.StatusOK, Body: workspace}) {
		t.Error(diff)
	}
}

// openAPI returns what the document of version 2 says of the groups, when it says something of each kind.
func (w *world) openAPI(t *testing.T, side *parity.Side) map[string]any {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		answers, err := side.Prepare(t.Context(), parity.Case{Name: "openapi", Steps: []parity.Step{{Do: "GET /openapi/v2"}}})
		if err != nil {
			t.Fatal(err)
		}
		body, _ := answers[0].Body.(map[string]any)
		kept, kinds := w.ours(body)
		if missing := len(w.definitions) - kinds; missing == 0 {
			return kept
		} else if time.Now().After(deadline) {
			t.Fatalf("%d kinds are missing", missing)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// ours returns the definitions and paths of the groups, and how many of their kinds have a definition.
func (w *world) ours(body map[string]any) (kept map[string]any, kinds int) {
	definitions, paths := map[string]any{}, map[string]any{}
	groups := w.groups()
	found := map[string]bool{}
	all, _ := body["definitions"].(map[string]any)
	for name, definition := range all {
		kindsOf, _ := definition.(map[string]any)["x-kubernetes-group-version-kind"].([]any)
		for _, one := range kindsOf {
			gvk, _ := one.(map[string]any)
			if group := fmt.Sprint(gvk["group"]); slices.Contains(groups, group) {
				definitions[name] = definition
				found[fmt.Sprintf("%v.%s", gvk["kind"], group)] = true
			}
		}
	}
	all, _ = body["paths"].(map[string]any)
	for path, operations := range all {
		if parts := strings.Split(path, "/"); len(parts) > 2 && parts[1] == "apis" && slices.Contains(groups, parts[2]) {
			paths[path] = operations
		}
	}
	for _, definition := range w.definitions {
		if found[definition.Spec.Names.Kind+"."+definition.Spec.Group] {
			kinds++
		}
	}
	return map[string]any{"definitions": definitions, "paths": paths}, kinds
}

// narrow returns the lines of a table with a blank between two words: what else is in a table, and how old it is, decides how wide its columns
// are. Other text keeps its indentation.
func narrow(table string) string {
	var b strings.Builder
	for line := range strings.Lines(table) {
		indentation := len(line) - len(strings.TrimLeft(line, " "))
		b.WriteString(line[:indentation] + strings.Join(strings.Fields(line), " ") + "\n")
	}
	return b.String()
}

// about returns the lines that mention one of the groups.
func (w *world) about(table string) string {
	groups := w.groups()
	var kept strings.Builder
	for line := range strings.Lines(narrow(table)) {
		if slices.ContainsFunc(strings.Fields(line), func(field string) bool {
			group, _, _ := strings.Cut(field, "/")
			return slices.Contains(groups, group)
		}) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// explained says that kubectl explains a kind of every so many groups.
const explained = 4

// TestKubectl compares what kubectl prints of the kinds.
func TestKubectl(t *testing.T) {
	w := start(t)
	var names []string
	var commands [][]string
	groups := map[string]bool{}
	for _, r := range resources(t, w.definitions) {
		names = append(names, r.definition.Spec.Names.Plural+"."+r.definition.Spec.Group)
		// TestOpenAPI compares what is explained of all others.
		if group := r.definition.Spec.Group; !groups[group] {
			groups[group] = true
			if len(groups)%explained == 1 {
				commands = append(commands, []string{"explain", r.definition.Name, "--recursive"})
			}
		}
		// Other tests find nothing of this one.
		shown := r
		shown.object = clone(r.object)
		shown.object["metadata"] = map[string]any{"name": "shown"}
		w.alike(t, w.workspace, parity.Case{Name: "shown " + r.kind(), Steps: []parity.Step{{Do: "POST " + r.collection(), Body: plain(t, shown.object), Only: []string{"code", "body.spec"}}}})
		defer w.alike(t, w.workspace, parity.Case{Name: "no longer shown " + r.kind(), Steps: []parity.Step{{Do: "DELETE " + shown.path(), Only: []string{"code"}}}})
	}
	commands = append(commands, []string{"get", "-n", namespace, "-o", "wide", strings.Join(names, ",")}, []string{"get", "-n", namespace, "-o", "yaml", names[0]},
		[]string{"describe", "-n", namespace, names[len(names)-1]})
	printed, err := w.kubectl(t, "api-resources", "-o", "wide", "--sort-by", "name")
	if err != nil {
		t.Error(err)
	}
	listed := w.about(printed[0])
	same(t, "kubectl api-resources", listed, w.about(printed[1]))
	if got := strings.Count(listed, "\n"); got != len(w.definitions) {
		t.Errorf("kubectl api-resources lists %d of %d kinds", got, len(w.definitions))
	}
	for _, args := range commands {
		began := time.Now()
		printed, err := w.kubectl(t, args...)
		if err != nil {
			t.Error(err)
		}
		what := "kubectl " + strings.Join(args, " ")
		t.Logf("%s: %s", time.Since(began), what[:min(len(what), 100)])
		same(t, what, narrow(printed[0]), narrow(printed[1]))
		if len(printed[0]) < 100 {
			t.Errorf("%s prints little: %q", what, printed[0])
		}
	}
}
