package annextest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

func TestBinary(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "annex")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	empty, folder := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "annex"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ assets, path, want, fault string }{
		"the directory of the variable":      {dir, empty, program, ""},
		"PATH":                               {"", dir, program, ""},
		"nowhere":                            {"", empty, "", "annex is not in PATH, and ANNEX_ASSETS is not set"},
		"a directory without it, PATH or no": {empty, dir, "", "is missing"},
		"a directory of that name":           {folder, dir, "", "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(AssetsVariable, test.assets)
			t.Setenv("PATH", test.path)
			got, err := Binary()
			if got != test.want || (err == nil) != (test.fault == "") || (err != nil && !strings.Contains(err.Error(), test.fault)) {
				t.Errorf("it is %q, %v, want %q, %q", got, err, test.want, test.fault)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	for file, content := range map[string]string{
		"b.yaml":     "# nothing\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: second}\n",
		"a/one.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"first"}}`,
		"notes.txt":  "not: an object",
		"broken":     "kind: ConfigMap\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := load(dir)
	if err != nil || len(found) != 2 || found[0].GetName() != "first" || found[1].GetName() != "second" {
		t.Errorf("found %v, %v", found, err)
	}
	for _, path := range []string{filepath.Join(dir, "broken"), filepath.Join(dir, "notes.txt"), filepath.Join(dir, "missing")} {
		if found, err := load(path); err == nil {
			t.Errorf("%s has %v", path, found)
		}
	}
}

func TestAnswer(t *testing.T) {
	claims := []apisv1alpha2.PermissionClaim{
		{GroupResource: apisv1alpha2.GroupResource{Resource: "secrets"}, Verbs: []string{"get"}}, {GroupResource: apisv1alpha2.GroupResource{Resource: "events"}},
		{GroupResource: apisv1alpha2.GroupResource{Resource: "configmaps"}},
		{GroupResource: apisv1alpha2.GroupResource{Resource: "leases"}, DefaultSelector: &apisv1alpha2.PermissionClaimSelector{LabelSelector: metav1.LabelSelector{MatchLabels: map[string]string{"c": "d"}}}},
	}
	got, err := answer(claims, []Answer{Accept("", "secrets", map[string]string{"a": "b"}), Reject("", "events")})
	if err != nil || len(got) != 4 {
		t.Fatalf("answers: %v, %v", got, err)
	}
	if got[0].State != apisv1alpha2.ClaimAccepted || got[0].Selector.MatchAll || got[0].Selector.MatchLabels["a"] != "b" || got[0].Verbs[0] != "get" {
		t.Errorf("the claim with labels: %+v", got[0])
	}
	if got[1].State != apisv1alpha2.ClaimRejected {
		t.Errorf("the rejected claim: %+v", got[1])
	}
	if got[2].State != apisv1alpha2.ClaimAccepted || !got[2].Selector.MatchAll {
		t.Errorf("the claim without an answer: %+v", got[2])
	}
	if got[3].State != apisv1alpha2.ClaimAccepted || got[3].Selector.MatchAll || got[3].Selector.MatchLabels["c"] != "d" || got[3].DefaultSelector != nil {
		t.Errorf("the claim with a default selector: %+v", got[3])
	}
	if got, err := answer(claims, []Answer{Reject("apps", "secrets")}); err == nil {
		t.Errorf("an answer to what is not claimed is accepted: %v", got)
	}
}
