package ecosystem

import (
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/parity"
)

var everything = flag.Bool("everything", false, "try all mutations of all objects, which takes minutes")

// fewest is how many mutations of each object are tried without -everything.
const fewest = 6

// strictly are the options of requests that create.
const strictly = "fieldValidation=Strict&fieldManager=tester"

// TestObjects creates, reads, changes and breaks an object of each kind on both servers.
func TestObjects(t *testing.T) {
	w := start(t)
	compareObjects(t, w, w.workspace)
}

// compareObjects compares what the stock server and another one do with objects of all kinds.
func compareObjects(t *testing.T, w *world, other *parity.Side) {
	t.Helper()
	all := resources(t, w.definitions)
	byKind := map[string]resource{}
	for _, r := range all {
		byKind[r.definition.Spec.Names.Kind] = r
	}
	wrong := map[string][]broken{}
	for _, b := range brokenObjects(t) {
		if _, ok := byKind[b.Kind]; !ok {
			t.Errorf("testdata/broken.yaml: there is no kind %s", b.Kind)
		}
		wrong[b.Kind] = append(wrong[b.Kind], b)
	}
	// The subtests run at the same time; this returns when all have ended.
	t.Run("kinds", func(t *testing.T) {
		for _, r := range all {
			t.Run(r.kind(), func(t *testing.T) {
				t.Parallel()
				broken := wrong[r.definition.Spec.Names.Kind]
				if len(broken) == 0 {
					t.Errorf("testdata/broken.yaml has no %s", r.kind())
				}
				w.valid(t, other, r)
				for _, b := range broken {
					w.broken(t, other, r, b)
				}
				w.mutated(t, other, r)
			})
		}
	})
}

// valid creates the object, and reads and changes it in several ways.
func (w *world) valid(t *testing.T, other *parity.Side, r resource) {
	t.Helper()
	table := map[string]string{"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
	partial := map[string]string{"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
	applied := map[string]any{"apiVersion": r.object["apiVersion"], "kind": r.object["kind"], "metadata": map[string]any{"labels": map[string]any{"by": "apply"}}, "spec": r.object["spec"]}
	steps := []parity.Step{
		{Do: "POST " + r.collection() + "?" + strictly, Body: plain(t, r.object)},
		{Do: "POST " + r.collection() + "?" + strictly, Body: plain(t, r.object)},
		{Do: "GET " + r.path()},
		{Do: "GET " + r.path(), Headers: table},
		{Do: "GET " + r.collection(), Headers: partial},
		{Do: "APPLY " + r.path() + "?fieldManager=applier&fieldValidation=Strict", Body: plain(t, applied)},
		{Do: "APPLY " + r.path() + "?fieldManager=applier&fieldValidation=Strict", Body: plain(t, map[string]any{"apiVersion": r.object["apiVersion"], "kind": r.object["kind"], "metadata": map[string]any{"labels": map[string]any{"by": "again"}}})},
		{Do: "MERGE " + r.path() + "?" + strictly, Body: map[string]any{"metadata": map[string]any{"labels": map[string]any{"a": "b"}}, "status": map[string]any{"surprise": "b"}}},
		{Do: "STRATEGIC " + r.path(), Body: map[string]any{}},
		{Do: "MERGE " + r.path() + "/status", Body: map[string]any{"status": map[string]any{"observedGeneration": 3}}},
		{Do: "GET " + r.path() + "/scale"},
		{Do: "MERGE " + r.path() + "/scale?fieldManager=tester", Body: map[string]any{"spec": map[string]any{"replicas": 5}}},
	}
	answers := w.alike(t, other, parity.Case{Name: r.kind(), Steps: steps})
	for i, want := range []int{http.StatusCreated, http.StatusConflict, http.StatusOK, http.StatusOK, http.StatusOK} {
		if answers[i].Code != want {
			t.Errorf("%s is answered with %d, want %d: %s", steps[i].Do, answers[i].Code, want, text(t, answers[i].Body))
		}
	}
}

// broken sends an object that breaks a rule.
func (w *world) broken(t *testing.T, other *parity.Side, r resource, b broken) {
	t.Helper()
	step := parity.Step{Do: "POST " + r.collection() + "?dryRun=All&" + strictly, Body: plain(t, patched(t, r.object, b.Patch))}
	if b.Change {
		step = parity.Step{Do: "MERGE " + r.path() + "?dryRun=All&" + strictly, Body: plain(t, b.Patch)}
	}
	step.Unordered = true
	answer := w.alike(t, other, parity.Case{Name: r.kind() + text(t, b), Steps: []parity.Step{step}})[0]
	if refusal := text(t, answer.Body); answer.Code < http.StatusBadRequest || !strings.Contains(refusal, strings.Trim(text(t, b.Says), `"`)) {
		t.Errorf("%s: %d %s, want a refusal with %q", text(t, b.Patch), answer.Code, refusal, b.Says)
	}
}

// mutated sends objects that the schema forbids.
func (w *world) mutated(t *testing.T, other *parity.Side, r resource) {
	t.Helper()
	wrong := mutations(r.version.Schema.OpenAPIV3Schema, r.object)
	every := 1
	if !*everything {
		every = max(1, len(wrong)/fewest)
	}
	sent, refused := 0, 0
	for i := 0; i < len(wrong); i += every {
		object := clone(wrong[i].object)
		object["metadata"].(map[string]any)["name"] = "mutated"
		name := fmt.Sprintf("%s with %s", r.kind(), wrong[i].name)
		step := parity.Step{Do: "POST " + r.collection() + "?dryRun=All&" + strictly, Body: plain(t, object), Unordered: true}
		failed := t.Failed()
		answer := w.alike(t, other, parity.Case{Name: name, Steps: []parity.Step{step}})[0]
		if t.Failed() && !failed {
			t.Errorf("this was %s", name)
		}
		sent++
		if answer.Code >= http.StatusBadRequest {
			refused++
		}
	}
	if 3*refused < sent {
		t.Errorf("the stock server refuses %d of %d mutations of %s only", refused, sent, r.kind())
	}
}
