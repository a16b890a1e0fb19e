package parity

import (
	"os"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// document is docs/parity.md, from this folder.
const document = "../../docs/parity.md"

// TestCorpus sends every case to both servers.
func TestCorpus(t *testing.T) {
	t.Parallel()
	cases, err := LoadCases()
	if err != nil {
		t.Fatal(err)
	}
	w := start(t)
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.Name] {
			t.Errorf("two cases are called %s", c.Name)
		}
		seen[c.Name] = true
	}
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				w.report(t, c.Name, w.run(t, c))
			})
		}
	})
}

// run sends a case to both servers at the same time and returns what differs.
func (w *world) run(t *testing.T, c Case) []Diff {
	t.Helper()
	id := newID()
	var answers [2][]Answer
	var errs [2]error
	var sides sync.WaitGroup
	for i, side := range []*Side{w.stock, w.workspace} {
		sides.Go(func() { answers[i], errs[i] = side.Run(t.Context(), c, id) })
	}
	sides.Wait()
	for i, name := range []string{"stock", "annex"} {
		if errs[i] != nil {
			t.Fatalf("%s: %v", name, errs[i])
		}
	}
	var diffs []Diff
	for i, step := range c.Steps {
		diffs = append(diffs, Compare(i+1, step, answers[0][i], answers[1][i])...)
	}
	return diffs
}

// TestDocument keeps docs/parity.md equal to the list of differences.
func TestDocument(t *testing.T) {
	differences, err := LoadDifferences()
	if err != nil {
		t.Fatal(err)
	}
	cases, err := LoadCases()
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := LoadScripts()
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, script := range scripts {
		commands += len(script.Commands)
	}
	if len(cases) < 400 || commands < 100 {
		t.Errorf("%d cases and %d command lines are fewer than there were", len(cases), commands)
	}
	want := differences.Document(len(cases), commands)
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/parity.md is not what differences.yaml says; write it with `go test ./test/parity -run TestDocument -update`:\n%s", diff)
	}
}
