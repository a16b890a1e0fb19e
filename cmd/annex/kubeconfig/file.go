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

// WriteTo merges the context into the kubeconfig in a file, which is made when it is missing, and becomes its current context
// when setCurrent says so or the file had none at all. The context refers to the user of the source when the file is where
// that user was read from. The warning says why the context is not the current one in spite of setCurrent.
func (e *Entry) WriteTo(ctx context.Context, file string, setCurrent bool) (warning string, err error) {
	// What a link leads to is written, not the link.
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
		warning = fmt.Sprintf("%s stands before %s in KUBECONFIG and says which context is the current one", first, file)
	}
	return warning, nil
}

// configFor returns the entries for a file.
func (e *Entry) configFor(file string) *clientcmdapi.Config {
	config := e.Config()
	if e.source.UserName != "" && same(e.source.User.LocationOfOrigin, file) {
		// Credentials that are renewed there are renewed for this context, too.
		delete(config.AuthInfos, e.Name)
		config.Contexts[e.Name].AuthInfo = e.source.UserName
	}
	return config
}

// shadowed returns an error when another file of the list in KUBECONFIG has an entry of the same name, for that would win or
// be lost.
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
			return fmt.Errorf("%s: %q stands in %s already, which is in KUBECONFIG, too; give another --name", list, e.Name, origin)
		}
	}
	return nil
}

// firstWithCurrent returns the file of the list in KUBECONFIG that names the current context although it is not this one;
// empty for none, and when this file is not in the list.
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

// same reports whether two names are of one file.
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

// lock takes the lock that kubectl and other users of clientcmd take, too: a file beside the kubeconfig.
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
		return nil, fmt.Errorf("another program is writing %s; if that is not so, remove %s", file, name)
	}
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", file, err)
	}
	return func() { _ = os.Remove(name) }, nil
}

// replace writes the file so that it is there whole, or as before. Others may not read a new one.
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
