package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun_WritesTheReference(t *testing.T) {
	out := filepath.Join(t.TempDir(), "docs", "reference.md")
	if err := run("testdata", out, []string{"demo/v1"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/want.md")
	if err != nil {
		t.Fatal(err)
	}
	if body := strings.TrimPrefix(string(got), head); body != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", body, want)
	}
}

func TestRun_RefusesAPackageWithoutTypes(t *testing.T) {
	if err := run("testdata", filepath.Join(t.TempDir(), "x.md"), []string{"demo/v2"}); err == nil {
		t.Error("no error")
	}
}
