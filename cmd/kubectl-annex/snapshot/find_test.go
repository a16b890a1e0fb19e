package snapshot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// named returns the manifest of a definition.
func named(plural string) string {
	return strings.NewReplacer("widgets", plural).Replace(widgets)
}

const other = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"

// write makes files, and returns the folder that has them.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	chart := map[string]string{
		"Chart.yaml": "name: a\n", "values.yaml": "a: b\n", "templates/crd.yaml": "{{ .Values }}",
		"crds/b.yaml": named("bolts") + other, "crds/more/a.yml": named("axles"), "crds/README.md": "text",
		"charts/below/Chart.yaml": "name: below\n", "charts/below/crds/nuts.yaml": named("nuts"),
		"charts/packed-1.0.tgz": "", "charts/folder/crds/ignored.yaml": named("ignored"),
	}
	for name, test := range map[string]struct {
		files  map[string]string
		at     string
		want   string // names, in their order
		others int
		packed int
	}{
		"a file":             {map[string]string{"crd.yaml": named("bolts") + named("axles")}, "crd.yaml", "bolts axles", 0, 0},
		"a file with others": {map[string]string{"all.yaml": other + named("bolts") + other}, "all.yaml", "bolts", 2, 0},
		"a folder": {map[string]string{"b.yaml": named("bolts"), "a.json": `{"apiVersion":"v1","kind":"List"}`, "c.yml": named("axles"), "d.txt": "a: [",
			"below/x.yaml": named("below"), "kustomization.yaml": "resources: []\n"}, "", "bolts axles", 2, 0},
		"a chart":                     {chart, "", "bolts axles nuts", 1, 1},
		"the folder crds of a chart":  {chart, "crds", "bolts", 1, 0},
		"a chart without definitions": {map[string]string{"Chart.yaml": "name: a\n", "templates/a.yaml": other}, "", "", 0, 0},
		"an empty folder":             {map[string]string{"text": ""}, "", "", 0, 0},
	} {
		dir := write(t, test.files)
		found, err := Find(filepath.Join(dir, test.at))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var names []string
		for _, manifest := range found.Manifests {
			names = append(names, manifest.Definition.Spec.Names.Plural)
		}
		if strings.Join(names, " ") != test.want || found.Others != test.others || len(found.Packed) != test.packed {
			t.Errorf("%s: %q, %d others, packed %q, want %q, %d and %d", name, names, found.Others, found.Packed, test.want, test.others, test.packed)
		}
		if advice := found.Advice(); (advice != "") != slices.Contains([]string{"a chart", "a chart without definitions"}, name) {
			t.Errorf("%s: the advice is %q", name, advice)
		}
	}
}

func TestFind_Faults(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		at    string
		want  []string
	}{
		"nothing":               {nil, "none", []string{"none", "no such file"}},
		"no YAML":               {map[string]string{"a.yaml": named("bolts"), "b.yaml": "a: ["}, "", []string{"b.yaml", "document 1", "reading YAML"}},
		"a template":            {map[string]string{"a.yaml": "{{- if .Values.crds }}\n" + named("bolts") + "{{- end }}\n"}, "", []string{"a.yaml", "reading YAML"}},
		"a text":                {map[string]string{"a.yaml": "text"}, "", []string{"a.yaml", "it is no object"}},
		"an old version":        {map[string]string{"a.yaml": other + strings.Replace(named("bolts"), "io/v1\n", "io/v1beta1\n", 1)}, "", []string{"a.yaml", "document", "v1beta1"}},
		"the same in two files": {map[string]string{"a.yaml": named("bolts"), "b.yaml": named("bolts")}, "", []string{"b.yaml", `"bolts.example.com"`, "a.yaml, too"}},
	} {
		found, err := Find(filepath.Join(write(t, test.files), test.at))
		if err == nil {
			t.Errorf("%s: %d are found", name, len(found.Manifests))
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", name, err, want)
			}
		}
	}
	if _, err := FindIn(strings.NewReader(named("bolts")+named("bolts")), "stdin"); err == nil || !strings.Contains(err.Error(), "stdin, too") {
		t.Errorf("the same twice in stdin: %v", err)
	}
}
