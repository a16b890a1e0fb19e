package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// chart returns a copy of a chart in testdata.
func chart(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRun_WritesTheTable(t *testing.T) {
	dir := chart(t, "good")
	// The second time there is a table to replace.
	for range 2 {
		if err := run(dir); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(dir, "want.md"))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	}
}

func TestRun_RefusesValuesWithoutDescription(t *testing.T) {
	err := run(chart(t, "undescribed"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"line 5: b.c has no description", "line 6: d has no description"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

func TestRun_RefusesAReadmeWithoutAPlace(t *testing.T) {
	dir := chart(t, "good")
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("# A chart\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(dir); err == nil || !strings.Contains(err.Error(), "to write between") {
		t.Errorf("error %v", err)
	}
}
