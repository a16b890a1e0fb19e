package lint

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// goMod is what `go mod edit -json` prints, as far as it matters here.
type goMod struct {
	Module  struct{ Path string }
	Go      string
	Require []struct {
		Path, Version string
		Indirect      bool
	}
	Replace []struct {
		Old struct{ Path string }
		New struct{ Path, Version string }
	}
}

func readMod(t *testing.T, folder string) goMod {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
	command.Dir = filepath.Join("../..", folder)
	out, err := command.Output()
	if err != nil {
		t.Fatalf("reading go.mod in %q: %v", folder, err)
	}
	var mod goMod
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	return mod
}

// Our modules are released together, with the charts, and pin the same libraries. What they need indirectly may be older than in the server. Only folders of this repository replace modules, which is
// nothing to whoever requires ours. The generator is not in go.work, because nothing of ours imports what it needs.
func TestModules_AreInStep(t *testing.T) {
	var chart struct{ Version, AppVersion string }
	for _, name := range []string{"annex-sync", "annex"} {
		manifest, err := os.ReadFile("../../charts/" + name + "/Chart.yaml")
		if err != nil {
			t.Fatal(err)
		}
		before := chart
		if err := yaml.Unmarshal(manifest, &chart); err != nil {
			t.Fatal(err)
		}
		if before.Version != "" && before != chart {
			t.Errorf("the chart %s is %+v, another one %+v", name, chart, before)
		}
	}
	server := readMod(t, "")
	pinned := map[string]string{}
	for _, r := range server.Require {
		pinned[r.Path] = r.Version
	}
	ours := 0
	for _, folder := range []string{"", "apis", "generated", "client", "examples", "codegen"} {
		mod := readMod(t, folder)
		if mod.Go != server.Go {
			t.Errorf("%s is for Go %s, the server for %s", mod.Module.Path, mod.Go, server.Go)
		}
		for _, r := range mod.Require {
			if r.Path == "k8s.io/code-generator" && r.Version != pinned["k8s.io/apimachinery"] {
				t.Errorf("%s requires %s %s, the server is built with the libraries of %s", mod.Module.Path, r.Path, r.Version, pinned["k8s.io/apimachinery"])
			}
			if strings.HasPrefix(r.Path, module) {
				ours++
				if want := "v" + chart.AppVersion; r.Version != want {
					t.Errorf("%s requires %s %s, the chart is that of %s", mod.Module.Path, r.Path, r.Version, want)
				}
			} else if want, both := pinned[r.Path]; both && !r.Indirect && r.Version != want {
				t.Errorf("%s requires %s %s, the server %s", mod.Module.Path, r.Path, r.Version, want)
			}
		}
		for _, r := range mod.Replace {
			if !strings.HasPrefix(r.Old.Path, module) || r.New.Version != "" || filepath.Join(folder, r.New.Path) != strings.TrimPrefix(r.Old.Path, module) {
				t.Errorf("%s replaces %s by %s", mod.Module.Path, r.Old.Path, r.New.Path)
			}
		}
	}
	if ours < 3 {
		t.Errorf("our modules require each other %d times only", ours)
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	if want := []string{strings.TrimSuffix(module, "/"), module + "apis", module + "client", module + "examples", module + "generated"}; !slices.Equal(got, want) {
		t.Errorf("go.work uses %v, want %v", got, want)
	}
}
