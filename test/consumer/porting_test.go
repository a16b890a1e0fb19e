package consumer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The diff in docs/operators.md makes the one operator of the other, both compile, and it is short.
func TestPorting(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "operators.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, shown, found := strings.Cut(string(page), "<!-- tested by TestPorting -->\n```diff\n")
	shown, _, closed := strings.Cut(shown, "```\n")
	if !found || !closed {
		t.Fatal("the page shows no diff")
	}
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join("testdata", "porting", name, "operator.go"))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	ported, changed := read("before"), 0
	for hunk := range strings.SplitSeq(shown, "@@\n") {
		var old, made strings.Builder
		for line := range strings.Lines(hunk) {
			rest := line[1:]
			switch line[0] {
			case '-':
				old.WriteString(rest)
				changed++
			case '+':
				made.WriteString(rest)
				changed++
			case ' ':
				old.WriteString(rest)
				made.WriteString(rest)
			default:
				t.Fatalf("the diff has the line %q", line)
			}
		}
		if hunk == "" {
			continue
		}
		if strings.Count(ported, old.String()) != 1 {
			t.Fatalf("the operator has these lines %d times:\n%s", strings.Count(ported, old.String()), old.String())
		}
		ported = strings.Replace(ported, old.String(), made.String(), 1)
	}
	if ported != read("after") {
		t.Error("the diff does not make testdata/porting/after of testdata/porting/before")
	}
	if changed == 0 || changed >= 20 {
		t.Errorf("%d lines change, want less than 20", changed)
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "./testdata/porting/before", "./testdata/porting/after").CombinedOutput()
	if err != nil {
		t.Errorf("compiling: %v\n%s", err, out)
	}
}
