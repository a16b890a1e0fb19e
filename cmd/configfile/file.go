package configfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// lockTimeout is how long another program may hold the lock of a kubeconfig.
const lockTimeout = 5 * time.Second

// Target returns the absolute name of the file to write: the target of a link, not the link itself.
func Target(file string) (string, error) {
	target, err := filepath.EvalSymlinks(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		target = file
	case err != nil:
		return "", fmt.Errorf("finding %s: %w", file, err)
	}
	if target, err = filepath.Abs(target); err != nil {
		return "", fmt.Errorf("finding %s: %w", file, err)
	}
	return target, nil
}

// Lock takes the same lock as kubectl and other users of clientcmd: a file next to the kubeconfig.
func Lock(ctx context.Context, file string) (unlock func(), err error) {
	name := file + ".lock"
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	err = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		held, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0)
		if errors.Is(err, fs.ErrExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return true, held.Close()
	})
	if wait.Interrupted(err) {
		return nil, fmt.Errorf("another program is writing %s; if no program is writing it, remove %s", file, name)
	}
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", file, err)
	}
	return func() { _ = os.Remove(name) }, nil
}

// Replace writes the file atomically. Other users may not read a new file.
func Replace(file string, data []byte) (err error) {
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	draft, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(draft.Name())
		}
	}()
	_, err = draft.Write(data)
	if err = errors.Join(err, draft.Chmod(mode), draft.Sync(), draft.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	if err = os.Rename(draft.Name(), file); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}
