package kubelet

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReplaceFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(files map[string]file) string {
		t.Helper()
		if err := replaceFiles(dir, files); err != nil {
			t.Fatal(err)
		}
		target, err := os.Readlink(filepath.Join(dir, dataLink))
		if err != nil {
			t.Fatal(err)
		}
		return target
	}
	first := map[string]file{"a": {[]byte("1"), 0o444}, "deep/b": {[]byte("2"), 0o400}}
	one := write(first)
	if got := write(first); got != one {
		t.Errorf("the same files are written again")
	}
	// A reader that has the old ones open keeps them.
	open, err := os.Open(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if two := write(map[string]file{"a": {[]byte("3"), 0o444}, "c": {[]byte("4"), 0o444}}); two == one {
		t.Error("other files are in the same place")
	}
	for path, want := range map[string]string{"a": "3", "c": "4"} {
		if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v, want %q", path, got, err, want)
		}
	}
	old := make([]byte, 1)
	if _, err := open.Read(old); err != nil || string(old) != "1" {
		t.Errorf("the open file reads %q, %v, want what it was", old, err)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "..") {
			names = append(names, e.Name())
		}
	}
	if want := []string{"a", "c"}; !slices.Equal(names, want) || len(entries) != 4 {
		t.Errorf("the names are %v of %d entries, want %v, %s and one directory", names, len(entries), want, dataLink)
	}
}
