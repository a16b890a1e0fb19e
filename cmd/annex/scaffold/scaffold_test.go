package scaffold

import (
	"bytes"
	"errors"
	"go/format"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
)

// checkout is this repository, as an absolute path.
func checkout(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProject_Validate(t *testing.T) {
	const released = "v0.2.0"
	for name, test := range map[string]struct {
		project Project
		binary  string
		want    []string
	}{
		"the least": {Project{Name: "account", Group: "shop.example.com"}, released, nil},
		"everything": {Project{Name: "db", Group: "example.com", Version: "v1", Kind: "Database", Plural: "databases",
			Module: "git.example.com/platform/db-operator", ClientVersion: "v0.3.0-rc.1"}, "", nil},
		"a checkout":            {Project{Name: "db", Group: "example.com", Replace: checkout(t)}, "99f6e86-dirty", nil},
		"nothing":               {Project{}, released, []string{`NAME "": `, `--domain "": `, `--kind "": `, `--plural "": `, `--module "/": `}},
		"names":                 {Project{Name: "Db_1", Group: "Example.com"}, released, []string{`NAME "Db_1": `, `--domain "Example.com": `, `--kind "Db_1": `, `--plural "db_1s": `, `--module "Example.com/Db_1": `}},
		"a long name":           {Project{Name: strings.Repeat("a", 41), Group: "example.com"}, released, []string{"at most 40 characters"}},
		"no domain":             {Project{Name: "db", Group: "example"}, released, []string{`--domain "example": must have at least two parts`, `--module "example/db"`}},
		"reserved domains":      {Project{Name: "db", Group: "apps.k8s.io"}, released, []string{`--domain "apps.k8s.io": k8s.io is reserved`}},
		"the domain of others":  {Project{Name: "db", Group: "kcp.io"}, released, []string{`--domain "kcp.io": kcp.io is reserved`}},
		"a version":             {Project{Name: "db", Group: "example.com", Version: "1.0"}, released, []string{`--api-version "1.0": `}},
		"a kind":                {Project{Name: "db", Group: "example.com", Kind: "database"}, released, []string{`--kind "database": `}},
		"a kind of the package": {Project{Name: "db", Group: "example.com", Kind: "GroupVersion"}, released, []string{`--kind "GroupVersion": the Go package`}},
		"a plural":              {Project{Name: "db", Group: "example.com", Plural: "Dbs"}, released, []string{`--plural "Dbs": `}},
		"modules":               {Project{Name: "db", Group: "example.com", Module: "../db"}, released, []string{`--module "../db": `}},
		"not a release":         {Project{Name: "db", Group: "example.com"}, "v0.2.0-3-g99f6e86", []string{`--client-version "v0.2.0-3-g99f6e86": is not the version of a release`}},
		"not a checkout":        {Project{Name: "db", Group: "example.com", Replace: "/nowhere", ReplaceFrom: "--replace"}, released, []string{`--replace "/nowhere": is not a checkout of Annex`}},
		"a line break":          {Project{Name: "db", Group: "example.com", Replace: "/no\nwhere", ReplaceFrom: "ANNEX_SOURCE"}, released, []string{`ANNEX_SOURCE "/no\nwhere": must be an absolute path`}},
	} {
		p := test.project
		p.Complete(test.binary)
		var faults []string
		if err := p.Validate(); err != nil {
			faults = strings.Split(err.Error(), "\n")
		}
		if len(faults) != len(test.want) {
			t.Errorf("%s: faults %q, want %q", name, faults, test.want)
			continue
		}
		for i := range faults {
			if !strings.Contains(faults[i], test.want[i]) {
				t.Errorf("%s: fault %q, want %q", name, faults[i], test.want[i])
			}
		}
	}
}

func TestProject_Complete(t *testing.T) {
	p := Project{Name: "key-store-operator", Group: "example.com"}
	p.Complete("v1.2.3")
	if want := (Project{Name: "key-store-operator", Group: "example.com", Version: "v1alpha1", Kind: "KeyStore", Plural: "keystores",
		Module: "example.com/key-store-operator", ClientVersion: "v1.2.3"}); p != want {
		t.Errorf("it is %+v, want %+v", p, want)
	}
}

// write renders a project and returns its files.
func write(t *testing.T, p Project) map[string]string {
	t.Helper()
	p.Complete("v0.2.0")
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "new", p.Name)
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(content)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// That it compiles, and that its tests pass, is for test/e2e/install.
func TestProject_Write(t *testing.T) {
	for name, p := range map[string]Project{
		"defaults": {Name: "account", Group: "shop.example.com"},
		"others":   {Name: "db-operator", Group: "example.com", Kind: "Policy", Version: "v1", Module: "git.example.com/platform/db-operator", Replace: checkout(t)},
	} {
		t.Run(name, func(t *testing.T) {
			files := write(t, p)
			p.Complete("v0.2.0")
			for _, want := range []string{
				"go.mod", "main.go", "Makefile", "Dockerfile", "README.md", ".gitignore", "api/" + p.Version + "/types.go", "internal/controller/reconciler_test.go",
				"config/crd/" + p.Group + "_" + p.Plural + ".yaml", "config/provider/export.yaml", "config/consumer/binding.yaml", "chart/Chart.yaml", "chart/templates/rbac.yaml",
			} {
				if files[want] == "" {
					t.Errorf("%s is missing", want)
				}
			}
			for file, content := range files {
				if strings.Contains(content, "[[.") || strings.Contains(content, "<no value>") || !strings.HasSuffix(content, "\n") {
					t.Errorf("%s is not rendered well:\n%s", file, content)
				}
				if p.Name != "account" && strings.Contains(strings.ToLower(content), "shop.example.com") {
					t.Errorf("%s has the group of another project", file)
				}
				switch {
				case strings.HasSuffix(file, ".go"):
					formatted, err := format.Source([]byte(content))
					if err != nil || !bytes.Equal(formatted, []byte(content)) {
						t.Errorf("%s is not formatted: %v", file, err)
					}
				case strings.HasSuffix(file, ".yaml") && !strings.HasPrefix(file, "chart/templates/"):
					for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(content), 4096); ; {
						var document map[string]any
						err := decoder.Decode(&document)
						if errors.Is(err, io.EOF) {
							break
						}
						if err != nil {
							t.Errorf("%s: %v", file, err)
							break
						}
					}
				}
			}
			if replaced := strings.Contains(files["go.mod"], "replace"); replaced != (p.Replace != "") {
				t.Errorf("go.mod is\n%s", files["go.mod"])
			}
		})
	}
}

func TestProject_WriteOverwritesNothing(t *testing.T) {
	p := Project{Name: "account", Group: "shop.example.com"}
	p.Complete("v0.2.0")
	dir := t.TempDir()
	mine := filepath.Join(dir, "main.go")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(dir); err == nil || !strings.Contains(err.Error(), "is not empty: it contains main.go") {
		t.Errorf("the error is %v", err)
	}
	if err := p.Write(mine); err == nil {
		t.Error("a file is taken for a directory")
	}
	entries, err := os.ReadDir(dir)
	content, readErr := os.ReadFile(mine)
	if err != nil || readErr != nil || len(entries) != 1 || string(content) != "mine" {
		t.Errorf("the directory has %v, %v, %v", entries, err, readErr)
	}
	if err := p.Write(t.TempDir()); err != nil {
		t.Errorf("into an empty directory: %v", err)
	}
}
