package kubeconfig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/cmd/configfile"
)

// WriteTo merges the context into the kubeconfig in file, and creates the file if it is missing. The context becomes the current
// context if setCurrent is true or the file had no content. If the user of the source was read from the same file, the context refers to
// that user. The warning is not empty if the context is not the current one although setCurrent is true.
func (e *Entry) WriteTo(ctx context.Context, file string, setCurrent bool) (warning string, err error) {
	target, err := configfile.Target(file)
	if err != nil {
		return "", err
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
	unlock, err := configfile.Lock(ctx, target)
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
	if err := configfile.Replace(target, after); err != nil {
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
	for _, list := range configfile.Lists {
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
