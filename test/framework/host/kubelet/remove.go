package kubelet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// makeRemovable opens all directories of a tree to their owner. Volumes are
// closed to the user of a pod who may not write there, which is the user of the
// test as well; root would not need this.
func makeRemovable(dir string) error {
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode()&0o700 == 0o700 {
			return nil
		}
		return os.Chmod(path, info.Mode()|0o700)
	})
	if err != nil {
		return fmt.Errorf("opening directories: %w", err)
	}
	return nil
}

// removeAll removes a tree with whatever a pod left in it.
func removeAll(dir string) error {
	if err := makeRemovable(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing a directory: %w", err)
	}
	return nil
}
