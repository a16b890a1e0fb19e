package chart

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
)

const (
	chartDir = "../../charts/annex"
	// release and namespace are what the examples of the documentation use.
	release   = "annex"
	namespace = "annex-system"
)

var update = flag.Bool("update", false, "write the golden files anew")

// helm runs bin/helm and returns what it printed on stdout, and on stderr.
func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	binary, err := annex.Program("helm")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), binary, args...)
	// Nothing of the user's own Helm.
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err = command.Run()
	return out.String(), errs.String(), err
}

// render returns what the chart renders.
func render(t *testing.T, args ...string) string {
	t.Helper()
	out, stderr, err := helm(t, append([]string{"template", release, chartDir, "--namespace", namespace}, args...)...)
	if err != nil {
		t.Fatalf("helm template %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return out
}

// eachValues runs a test for every file in charts/annex/ci.
func eachValues(t *testing.T, test func(t *testing.T, file, name string)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chartDir, "ci", "*-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 5 || !slices.ContainsFunc(files, func(f string) bool { return filepath.Base(f) == "default-values.yaml" }) {
		t.Fatalf("found only %q", files)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), "-values.yaml")
		t.Run(name, func(t *testing.T) { test(t, file, name) })
	}
}

func TestChart_Lint(t *testing.T) {
	eachValues(t, func(t *testing.T, file, _ string) {
		if out, stderr, err := helm(t, "lint", "--strict", chartDir, "--values", file); err != nil {
			t.Errorf("%v\n%s%s", err, out, stderr)
		}
	})
}

// What changes in a rendered object is seen in review. No value is random and nothing is looked up, so that `helm template`
// serves Argo CD and kubectl apply, too.
func TestChart_Golden(t *testing.T) {
	eachValues(t, func(t *testing.T, file, name string) {
		got := render(t, "--values", file)
		golden := filepath.Join("testdata", "golden", name+".yaml")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs from what is rendered; `go test ./test/chart -update` writes it anew, `git diff` shows how", golden)
		}
	})
}

// action is what stands between braces in a template; impure is what makes it render differently in a cluster, or each time.
var (
	action = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	impure = regexp.MustCompile(`\b(lookup|rand\w+|gen\w+|uuidv4|now|ago)\b|\.Capabilities|\.Release\.(IsUpgrade|IsInstall|Revision)`)
)

func TestChart_LooksNothingUp(t *testing.T) {
	err := filepath.WalkDir(filepath.Join(chartDir, "templates"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range action.FindAllString(string(content), -1) {
			if strings.HasPrefix(found, "{{/*") {
				continue
			}
			if word := impure.FindString(found); word != "" {
				t.Errorf("%s uses %s in %s", path, word, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
