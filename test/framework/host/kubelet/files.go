package kubelet

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// dataLink is the symbolic link whose exchange changes all files of a volume at
// once. Programs that watch their files know this name.
const dataLink = "..data"

// replaceFiles makes the files of a volume these and no others, so that a reader
// sees all of the old ones or all of the new ones:
//
//	dir/tls.crt -> ..data/tls.crt
//	dir/..data  -> ..2841903
//	dir/..2841903/tls.crt
//
// When they are these already nothing is touched.
func replaceFiles(dir string, files map[string]file) error {
	link := filepath.Join(dir, dataLink)
	old, err := os.Readlink(link)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the volume: %w", err)
	}
	if old != "" && sameFiles(filepath.Join(dir, old), files) {
		return nil
	}
	// A kubelet is root and writes anywhere; here the directory is closed to
	// its owner, too, while the pod runs.
	restore, err := open(dir)
	if err != nil {
		return err
	}
	defer restore()
	fresh, err := os.MkdirTemp(dir, "..")
	if err != nil {
		return fmt.Errorf("making the new files of the volume: %w", err)
	}
	if err := writeFiles(fresh, files); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	temporary := link + "_tmp"
	if err := os.Symlink(filepath.Base(fresh), temporary); err != nil {
		return fmt.Errorf("linking the new files of the volume: %w", err)
	}
	if err := os.Rename(temporary, link); err != nil {
		return fmt.Errorf("exchanging the files of the volume: %w", err)
	}
	if err := linkNames(dir, files); err != nil {
		return err
	}
	if old != "" {
		if err := os.RemoveAll(filepath.Join(dir, old)); err != nil {
			return fmt.Errorf("removing the old files of the volume: %w", err)
		}
	}
	return nil
}

// open lets the owner write to a directory and returns what undoes that.
func open(dir string) (func(), error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("looking at the volume: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the volume: %w", err)
	}
	return func() { _ = os.Chmod(dir, info.Mode()) }, nil
}

func writeFiles(dir string, files map[string]file) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("opening the new files of the volume: %w", err)
	}
	for name, f := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("making a directory of the volume: %w", err)
		}
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
			return fmt.Errorf("writing a file of the volume: %w", err)
		}
		if err := os.Chmod(path, f.mode); err != nil {
			return fmt.Errorf("setting the rights of a file of the volume: %w", err)
		}
	}
	return nil
}

// sameFiles reports whether dir has these files and no others.
func sameFiles(dir string, files map[string]file) bool {
	count := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		count++
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		wanted, ok := files[name]
		if !ok {
			return fs.ErrNotExist
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != wanted.mode.Perm() || info.Size() != int64(len(wanted.data)) {
			return fs.ErrInvalid
		}
		data, err := os.ReadFile(path)
		if err == nil && !bytes.Equal(data, wanted.data) {
			err = fs.ErrInvalid
		}
		return err
	})
	return err == nil && count == len(files)
}

// linkNames makes the names that users of the volume see.
func linkNames(dir string, files map[string]file) error {
	wanted := map[string]bool{}
	for name := range files {
		first, _, _ := strings.Cut(name, "/")
		wanted[first] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the volume: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, "..") {
			continue
		}
		if wanted[name] {
			delete(wanted, name)
		} else if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("removing a name of the volume: %w", err)
		}
	}
	for name := range wanted {
		if err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("making a name of the volume: %w", err)
		}
	}
	return nil
}
