package kubeconfig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// lockTimeout is how long another program may hold the lock of a kubeconfig.
const lockTimeout = 5 * time.Second

// WriteTo merges the context into the kubeconfig in file, and creates the file if it is missing. The context becomes the current
// context if setCurrent is true or the file had no content. If the user of the source was read from the same file, the context refers to
// that user. The warning is not empty if the context is not the current one although setCurrent is true.
func (e *Entry) WriteTo(ctx context.Context, file string, setCurrent bool) (warning string, err error) {
	// Write the target of a link, not the link itself.
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
	added := e.configFor(target)
	if err := e.shadowed(added, target); err != nil {
		return "", err
	}
	data, err := clientcmd.Write(*added)
	if err != nil {
		return "", fmt.Errorf("writing the context: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return "", fmt.Errorf("making the directory of %s: %w", target, err)
	}
	unlock, err := lock(ctx, target)
	if err != nil {
		return "", err
	}
	defer unlock()
	before, err := os.ReadFile(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	after, err := merge(before, data, setCurrent)
	if err != nil {
		return "", fmt.Errorf("merging into %s: %w", target, err)
	}
	if err := replace(target, after); err != nil {
		return "", err
	}
	if first := e.firstWithCurrent(target); setCurrent && first != "" {
		warning = fmt.Sprintf("%s comes before %s in KUBECONFIG and sets the current context", first, file)
	}
	return warning, nil
}

// configFor returns the entries for a file.
func (e *Entry) configFor(file string) *clientcmdapi.Config {
	config := e.Config()
	if e.source.UserName != "" && same(e.source.User.LocationOfOrigin, file) {
		// If the credentials are renewed there, they are renewed for this context, too.
		delete(config.AuthInfos, e.Name)
		config.Contexts[e.Name].AuthInfo = e.source.UserName
	}
	return config
}

// shadowed returns an error if another file of the list in KUBECONFIG has an entry of the same name, because one of the two entries
// would hide the other.
func (e *Entry) shadowed(added *clientcmdapi.Config, file string) error {
	if !slices.ContainsFunc(e.source.files, func(other string) bool { return same(other, file) }) {
		return nil
	}
	origins := map[string]string{}
	if context := e.source.merged.Contexts[e.Name]; context != nil {
		origins["contexts"] = context.LocationOfOrigin
	}
	if cluster := e.source.merged.Clusters[e.Name]; cluster != nil {
		origins["clusters"] = cluster.LocationOfOrigin
	}
	if user := e.source.merged.AuthInfos[e.Name]; user != nil && added.AuthInfos[e.Name] != nil {
		origins["users"] = user.LocationOfOrigin
	}
	for _, list := range lists {
		if origin := origins[list]; origin != "" && !same(origin, file) {
			return fmt.Errorf("%s: %q already exists in %s, which is also in KUBECONFIG; set another --name", list, e.Name, origin)
		}
	}
	return nil
}

// firstWithCurrent returns the file of the list in KUBECONFIG that comes before file and sets the current context. It returns the
// empty string if there is none, or if file is not in the list.
func (e *Entry) firstWithCurrent(file string) string {
	if !slices.ContainsFunc(e.source.files, func(other string) bool { return same(other, file) }) {
		return ""
	}
	for _, other := range e.source.files {
		if same(other, file) {
			return ""
		}
		if config, err := clientcmd.LoadFromFile(other); err == nil && config.CurrentContext != "" {
			return other
		}
	}
	return ""
}

// same reports whether two names refer to the same file.
func same(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return os.SameFile(infoA, infoB)
	}
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}

// lock takes the same lock as kubectl and other users of clientcmd: a file next to the kubeconfig.
func lock(ctx context.Context, file string) (unlock func(), err error) {
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

// replace writes the file atomically. Other users may not read a new file.
func replace(file string, data []byte) (err error) {
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
