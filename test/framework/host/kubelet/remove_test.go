package kubelet

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestRemoveAll_OpensWhatIsClosed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volume")
	closed := filepath.Join(dir, "closed")
	if err := os.MkdirAll(filepath.Join(closed, "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	if err := makeRemovable(dir); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(closed); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the closed directory is %v, %v, want it open to its owner", info, err)
	}
	if err := removeAll(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking for it gives %v", err)
	}
	if err := removeAll(dir); err != nil {
		t.Errorf("removing it again gives %v", err)
	}
}
