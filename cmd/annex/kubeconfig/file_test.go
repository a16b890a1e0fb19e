package kubeconfig

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func write(t *testing.T, file, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// load returns the source that KUBECONFIG names.
func load(t *testing.T, files ...string) *Source {
	t.Helper()
	t.Setenv("KUBECONFIG", strings.Join(files, string(filepath.ListSeparator)))
	source, err := Load(clientcmd.NewDefaultClientConfigLoadingRules(), "")
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// made returns a context for a workspace with the source's credentials.
func made(t *testing.T, source *Source, name string) *Entry {
	t.Helper()
	e := &Entry{Name: name, cluster: source.Cluster.DeepCopy(), user: source.User.DeepCopy(), source: source}
	e.cluster.Server += "/clusters/" + name
	if err := e.finish(false); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestWriteTo_TheFileOfTheUser(t *testing.T) {
	directory := t.TempDir()
	file, link := filepath.Join(directory, "config"), filepath.Join(directory, "link")
	write(t, file, foreign, 0o640)
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	warning, err := made(t, load(t, link), "root:team").WriteTo(t.Context(), link, true)
	if err != nil || warning != "" {
		t.Fatal(warning, err)
	}
	config, err := clientcmd.LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if context := config.Contexts["root:team"]; config.CurrentContext != "root:team" || context.AuthInfo != "zoe" || config.AuthInfos["root:team"] != nil {
		t.Errorf("context %+v in %+v", context, config)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode: %v, %v", info, err)
	}
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestWriteTo_AnotherFile(t *testing.T) {
	directory := t.TempDir()
	from, to := filepath.Join(directory, "from"), filepath.Join(directory, "new", "to")
	write(t, from, foreign, 0o600)
	if _, err := made(t, load(t, from), "root:team").WriteTo(t.Context(), to, false); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(to)
	if err != nil || config.CurrentContext != "root:team" || config.AuthInfos["root:team"].Token != "secret" {
		t.Errorf("%+v, %v", config, err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v, %v", info, err)
	}
	if text, err := os.ReadFile(from); err != nil || string(text) != foreign {
		t.Errorf("the source has changed: %v\n%s", err, text)
	}
}

func TestWriteTo_Lists(t *testing.T) {
	directory := t.TempDir()
	first, second := filepath.Join(directory, "first"), filepath.Join(directory, "second")
	write(t, first, foreign, 0o600)
	source := load(t, first, second, filepath.Join(directory, "missing"))
	// The current context is the one that the first file names.
	warning, err := made(t, source, "root:team").WriteTo(t.Context(), second, true)
	if err != nil || !strings.Contains(warning, first+" comes before") {
		t.Errorf("warning %q, %v", warning, err)
	}
	merged := load(t, first, second)
	if merged.merged.Contexts["root:team"] == nil || merged.merged.Contexts["work"] == nil || merged.merged.CurrentContext != "work" {
		t.Errorf("merged: %+v", merged.merged)
	}
	// An entry in one file must not hide that in another.
	if _, err := made(t, load(t, first, second), "work").WriteTo(t.Context(), second, false); err == nil || !strings.Contains(err.Error(), first) {
		t.Errorf("a name that the first file has: %v", err)
	}
	if _, err := made(t, load(t, first, second), "root:team").WriteTo(t.Context(), first, false); err == nil || !strings.Contains(err.Error(), second) {
		t.Errorf("a name that the second file has: %v", err)
	}
}

func TestWriteTo_Locked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	write(t, file, foreign, 0o600)
	source := load(t, file)
	// Many at once lose nothing.
	var all sync.WaitGroup
	for _, name := range []string{"root:a", "root:b", "root:c", "root:d"} {
		all.Go(func() {
			if _, err := made(t, source, name).WriteTo(t.Context(), file, false); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	config, err := clientcmd.LoadFromFile(file)
	if err != nil || len(config.Contexts) != 6 {
		t.Errorf("%d contexts, %v", len(config.Contexts), err)
	}
	write(t, file+".lock", "", 0o600)
	if _, err := made(t, source, "root:e").WriteTo(t.Context(), file, false); err == nil || !strings.Contains(err.Error(), "remove "+file+".lock") {
		t.Errorf("while another holds the lock: %v", err)
	}
}

func TestLoad_Faults(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "config")
	write(t, file, strings.Replace(foreign, "current-context: work", "current-context: none", 1), 0o600)
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: file}
	for name, want := range map[string]string{"": `no context "none"`, "elsewhere": `no context "elsewhere"`} {
		if _, err := Load(rules, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	source, err := Load(rules, "home")
	if err != nil || source.Cluster.Server != "https://home.example.com" || source.UserName != "zoe" {
		t.Errorf("%+v, %v", source, err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := Load(&clientcmd.ClientConfigLoadingRules{}, ""); err == nil || !strings.Contains(err.Error(), "set --kubeconfig") {
		t.Errorf("nothing at all: %v", err)
	}
}

func TestPod(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	if _, err := pod(directory); err == nil {
		t.Error("a pod without a token has credentials")
	}
	write(t, filepath.Join(directory, "token"), "t", 0o600)
	write(t, filepath.Join(directory, "ca.crt"), "ca", 0o600)
	source, err := pod(directory)
	if err != nil || source.Cluster.Server != "https://[fd00::1]:443" || source.User.TokenFile != filepath.Join(directory, "token") || source.User.Token != "" {
		t.Errorf("%+v, %v", source, err)
	}
}
