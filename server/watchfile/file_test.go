package watchfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFile_Poll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if _, err := Open(path); err == nil {
		t.Fatal("a missing file was opened")
	}
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	poll := func(want string, wantChanged, wantErr bool) {
		t.Helper()
		changed, err := f.Poll()
		if changed != wantChanged || (err != nil) != wantErr || string(f.Content()) != want {
			t.Errorf("Poll() = %t, %v with content %q; want %t, %q", changed, err, f.Content(), wantChanged, want)
		}
	}
	poll("one", false, false)
	// A file that is still being written is not used.
	write("tw")
	poll("one", false, false)
	write("two")
	poll("one", false, false)
	poll("two", true, false)
	poll("two", false, false)
	// A change that is taken back is none.
	write("one")
	poll("two", false, false)
	write("two")
	poll("two", false, false)
	poll("two", false, false)
	// The reason is told once.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	poll("two", false, true)
	poll("two", false, false)
	write("three")
	poll("two", false, false)
	poll("three", true, false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	poll("three", false, true)
	// What kubelet does with ConfigMaps: the file is a link to another file.
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("four"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, path); err != nil {
		t.Fatal(err)
	}
	poll("three", false, false)
	poll("four", true, false)
}
