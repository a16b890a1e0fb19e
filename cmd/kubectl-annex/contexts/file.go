package contexts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/cmd/configfile"
)

// Modify reads the kubeconfig, lets change work on it, and writes the contexts, clusters and the current context that differ, each
// to the file it is in; new ones to the file that kubectl writes new ones to. It writes nothing if change returns an error. The
// files are locked meanwhile, so that change sees what other programs have written, and loses none of it. change may be called twice.
func Modify(ctx context.Context, access clientcmd.ConfigAccess, change func(*clientcmdapi.Config) error) error {
	edits, err := plan(access, change)
	if err != nil {
		return err
	}
	for _, file := range slices.Sorted(maps.Keys(edits)) {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("making the directory of %s: %w", file, err)
		}
		unlock, err := configfile.Lock(ctx, file)
		if err != nil {
			return err
		}
		defer unlock()
	}
	locked := edits
	if edits, err = plan(access, change); err != nil {
		return err
	}
	written := map[string][]byte{}
	for file, edit := range edits {
		if locked[file] == nil {
			return fmt.Errorf("another program has changed the kubeconfig: try again")
		}
		if written[file], err = edit.apply(file); err != nil {
			return err
		}
	}
	for _, file := range slices.Sorted(maps.Keys(written)) {
		if err := configfile.Replace(file, written[file]); err != nil {
			return err
		}
	}
	return nil
}

// edit is what to write to one file.
type edit struct {
	// entries have the entries to add or to replace.
	entries *clientcmdapi.Config
	// current says that the current context of entries is to be written.
	current bool
}

// plan returns what change changes, by file.
func plan(access clientcmd.ConfigAccess, change func(*clientcmdapi.Config) error) (map[string]*edit, error) {
	before, err := access.GetStartingConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	after := before.DeepCopy()
	if err := change(after); err != nil {
		return nil, err
	}
	edits := map[string]*edit{}
	at := func(file string) (*edit, error) {
		if file == "" {
			file = access.GetDefaultFilename()
		}
		target, err := configfile.Target(file)
		if err != nil {
			return nil, err
		}
		if edits[target] == nil {
			edits[target] = &edit{entries: clientcmdapi.NewConfig()}
		}
		return edits[target], nil
	}
	for name, cluster := range after.Clusters {
		was := before.Clusters[name]
		if was != nil && same(*was, *cluster, func(c *clientcmdapi.Cluster) { c.LocationOfOrigin = "" }) {
			continue
		}
		e, err := at(origin(was, func(c *clientcmdapi.Cluster) string { return c.LocationOfOrigin }))
		if err != nil {
			return nil, err
		}
		e.entries.Clusters[name] = cluster
	}
	for name, context := range after.Contexts {
		was := before.Contexts[name]
		if was != nil && same(*was, *context, func(c *clientcmdapi.Context) { c.LocationOfOrigin = "" }) {
			continue
		}
		e, err := at(origin(was, func(c *clientcmdapi.Context) string { return c.LocationOfOrigin }))
		if err != nil {
			return nil, err
		}
		e.entries.Contexts[name] = context
	}
	if after.CurrentContext != before.CurrentContext {
		e, err := at(currentIn(access))
		if err != nil {
			return nil, err
		}
		e.entries.CurrentContext, e.current = after.CurrentContext, true
	}
	return edits, nil
}

// same compares two entries without what strip removes from them.
func same[T any](a, b T, strip func(*T)) bool {
	strip(&a)
	strip(&b)
	return reflect.DeepEqual(a, b)
}

// origin returns the file that an entry is in; empty if there is none.
func origin[T any](entry *T, of func(*T) string) string {
	if entry == nil {
		return ""
	}
	return of(entry)
}

// currentIn returns the file that sets the current context: the first one that does. It is empty if none does.
func currentIn(access clientcmd.ConfigAccess) string {
	files := access.GetLoadingPrecedence()
	if access.IsExplicitFile() {
		files = []string{access.GetExplicitFile()}
	}
	for _, file := range files {
		if config, err := clientcmd.LoadFromFile(file); err == nil && config.CurrentContext != "" {
			return file
		}
	}
	return ""
}

// apply returns the content of file with the edit.
func (e *edit) apply(file string) ([]byte, error) {
	for _, cluster := range e.entries.Clusters {
		// Files that the cluster names are written relative to the kubeconfig, as kubectl does.
		cluster.LocationOfOrigin = file
		if err := clientcmd.RelativizeClusterLocalPaths(cluster); err != nil {
			return nil, fmt.Errorf("writing the files of a cluster: %w", err)
		}
	}
	added, err := clientcmd.Write(*e.entries)
	if err != nil {
		return nil, fmt.Errorf("writing contexts: %w", err)
	}
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	document, err := configfile.Parse(before)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if document == nil {
		return added, nil
	}
	other, err := configfile.Parse(added)
	if err != nil {
		return nil, fmt.Errorf("writing contexts: %w", err)
	}
	for _, name := range configfile.Lists {
		entries := configfile.Value(other.Content[0], name)
		if entries == nil || len(entries.Content) == 0 {
			continue
		}
		list, err := configfile.List(document.Content[0], name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		for _, entry := range entries.Content {
			put(list, entry)
		}
	}
	if e.current {
		configfile.Set(document.Content[0], "current-context", e.entries.CurrentContext)
	}
	after, err := configfile.Render(document)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", file, err)
	}
	return after, nil
}

// put replaces the entry of the same name in a list, or appends it.
func put(list, entry *yaml.Node) {
	i := configfile.Index(list, configfile.Value(entry, "name").Value)
	if i < 0 {
		list.Content = append(list.Content, entry)
		return
	}
	// The style of the file is that of its first entry.
	entry.Column = list.Content[i].Column
	list.Content[i] = entry
}
