package contexts

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// fresh has the context root, and one of somebody else.
const fresh = `# my clusters
apiVersion: v1
kind: Config
current-context: root
contexts:
- name: work # do not touch
  context: {cluster: work, user: me}
- name: root
  context:
    cluster: root
    user: kcp-admin
    namespace: mine
clusters:
- {name: work, cluster: {server: "https://work:6443"}}
- name: root
  cluster:
    server: https://h:6443/clusters/root
    proxy-url: http://proxy:3128
users:
- name: kcp-admin
  user: {token: secret}
- name: me
  user: {token: other}
`

// entries returns "context -> cluster server user namespace" for each context, and the current one.
func entries(config *clientcmdapi.Config) []string {
	out := []string{"current " + config.CurrentContext}
	for _, name := range slices.Sorted(maps.Keys(config.Contexts)) {
		c := config.Contexts[name]
		out = append(out, strings.Join([]string{name, "->", c.Cluster, config.Clusters[c.Cluster].Server, c.AuthInfo, c.Namespace}, " "))
	}
	return out
}

func TestMoves(t *testing.T) {
	const (
		root = "root -> root https://h:6443/clusters/root kcp-admin mine"
		work = "work -> work https://work:6443 me "
	)
	enter := func(path string) func(*clientcmdapi.Config) error {
		return func(config *clientcmdapi.Config) error {
			return Enter(config, Start{}, "https://h:6443/clusters/"+path)
		}
	}
	back := func(config *clientcmdapi.Config) error {
		_, err := Back(config, Start{})
		return err
	}
	create := func(name Name) func(*clientcmdapi.Config) error {
		return func(config *clientcmdapi.Config) error {
			_, _, err := Create(config, Start{}, name)
			return err
		}
	}
	for name, test := range map[string]struct {
		moves   []func(*clientcmdapi.Config) error
		want    []string
		wantErr string
	}{
		"the first move leaves the named context alone": {
			moves: []func(*clientcmdapi.Config) error{enter("root:org")},
			want: []string{
				"current workspace.kcp.io/current", root, work,
				"workspace.kcp.io/current -> workspace.kcp.io/current https://h:6443/clusters/root:org kcp-admin mine",
				"workspace.kcp.io/previous -> root https://h:6443/clusters/root kcp-admin mine",
			},
		},
		"the second move saves the cluster": {
			moves: []func(*clientcmdapi.Config) error{enter("root:org"), enter("root:org:a")},
			want: []string{
				"current workspace.kcp.io/current", root, work,
				"workspace.kcp.io/current -> workspace.kcp.io/current https://h:6443/clusters/root:org:a kcp-admin mine",
				"workspace.kcp.io/previous -> workspace.kcp.io/previous https://h:6443/clusters/root:org kcp-admin mine",
			},
		},
		"to where one is": {
			moves: []func(*clientcmdapi.Config) error{enter("root:org"), enter("root:org")},
			want: []string{
				"current workspace.kcp.io/current", root, work,
				"workspace.kcp.io/current -> workspace.kcp.io/current https://h:6443/clusters/root:org kcp-admin mine",
				"workspace.kcp.io/previous -> workspace.kcp.io/previous https://h:6443/clusters/root:org kcp-admin mine",
			},
		},
		"back": {
			moves: []func(*clientcmdapi.Config) error{enter("root:org"), back},
			want: []string{
				"current workspace.kcp.io/current", root, work,
				"workspace.kcp.io/current -> workspace.kcp.io/current https://h:6443/clusters/root kcp-admin mine",
				"workspace.kcp.io/previous -> workspace.kcp.io/previous https://h:6443/clusters/root:org kcp-admin mine",
			},
		},
		"back twice": {
			moves: []func(*clientcmdapi.Config) error{enter("root:org"), enter("root:b"), back, back},
			want: []string{
				"current workspace.kcp.io/current", root, work,
				"workspace.kcp.io/current -> workspace.kcp.io/current https://h:6443/clusters/root:b kcp-admin mine",
				"workspace.kcp.io/previous -> workspace.kcp.io/previous https://h:6443/clusters/root:org kcp-admin mine",
			},
		},
		"a context of a name": {
			moves: []func(*clientcmdapi.Config) error{create(Name{Context: "org", Server: "https://h:6443/clusters/root:org"})},
			want:  []string{"current root", "org -> org https://h:6443/clusters/root:org kcp-admin mine", root, work},
		},
		"a context of a name, entered": {
			moves: []func(*clientcmdapi.Config) error{enter("root:org"), create(Name{Context: "org", Enter: true}), enter("root")},
			want: []string{
				"current workspace.kcp.io/current", "org -> org https://h:6443/clusters/root:org kcp-admin mine", root, work,
				"workspace.kcp.io/current -> workspace.kcp.io/current https://h:6443/clusters/root kcp-admin mine",
				"workspace.kcp.io/previous -> org https://h:6443/clusters/root:org kcp-admin mine",
			},
		},
		"no previous workspace": {moves: []func(*clientcmdapi.Config) error{back}, wantErr: "no previous workspace found in kubeconfig"},
		"a name that is taken": {
			moves:   []func(*clientcmdapi.Config) error{create(Name{Context: "work", Enter: true})},
			wantErr: `context "work" already exists in kubeconfig, use --overwrite to update it`,
		},
		"a cluster that another context uses": {
			moves: []func(*clientcmdapi.Config) error{func(config *clientcmdapi.Config) error {
				config.Contexts["alias"] = &clientcmdapi.Context{Cluster: "work"}
				delete(config.Contexts, "work")
				return Free(config, "work", true)
			}},
			wantErr: `context "alias" uses the cluster "work" in kubeconfig`,
		},
		"a context that does not exist": {
			moves: []func(*clientcmdapi.Config) error{func(config *clientcmdapi.Config) error {
				return Enter(config, Start{Context: "none"}, "https://h:6443/clusters/root")
			}},
			wantErr: `context "none" not found in kubeconfig`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(file, []byte(fresh), 0o640); err != nil {
				t.Fatal(err)
			}
			access := &clientcmd.ClientConfigLoadingRules{ExplicitPath: file}
			var err error
			for _, move := range test.moves {
				if err = Modify(t.Context(), access, move); err != nil {
					break
				}
			}
			data, readErr := os.ReadFile(file)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) || string(data) != fresh {
					t.Errorf("%v, want %q; the file is\n%s", err, test.wantErr, data)
				}
				return
			}
			config, loadErr := clientcmd.Load(data)
			if err != nil || loadErr != nil {
				t.Fatal(err, loadErr)
			}
			if diff := cmp.Diff(test.want, entries(config)); diff != "" {
				t.Error(diff)
			}
			for _, line := range []string{"# my clusters\n", "- name: work # do not touch\n  context: {cluster: work, user: me}\n", "- {name: work, cluster: {server: \"https://work:6443\"}}\n"} {
				if !strings.Contains(string(data), line) {
					t.Errorf("what others wrote has changed: %q is not in\n%s", line, data)
				}
			}
			for name, cluster := range config.Clusters {
				if cluster.ProxyURL == "" && name != "work" {
					t.Errorf("cluster %q has lost the proxy", name)
				}
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("mode: %v, %v", info, err)
			}
			if left, _ := filepath.Glob(file + ".lock"); len(left) > 0 {
				t.Error("the lock is left behind")
			}
		})
	}
}

// Flags change the copies, and not the context that is left.
func TestEnter_Flags(t *testing.T) {
	config, err := clientcmd.Load([]byte(fresh))
	if err != nil {
		t.Fatal(err)
	}
	start := Start{Context: "work", ClusterName: "root", User: "kcp-admin", Cluster: func(c *clientcmdapi.Cluster) { c.TLSServerName = "annex" }}
	if err := Enter(config, start, "https://h:6443/clusters/root:org"); err != nil {
		t.Fatal(err)
	}
	current, previous := config.Contexts[Current], config.Contexts[Previous]
	if current.AuthInfo != "kcp-admin" || config.Clusters[Current].TLSServerName != "annex" || config.Clusters[Current].ProxyURL == "" {
		t.Errorf("current: %+v, %+v", current, config.Clusters[Current])
	}
	if previous.AuthInfo != "me" || previous.Cluster != "work" || config.Clusters["root"].TLSServerName != "" || config.Contexts["work"].AuthInfo != "me" {
		t.Errorf("previous: %+v, root: %+v", previous, config.Clusters["root"])
	}
}

// With a list in KUBECONFIG, each entry stays in its file, and files that need no change are not touched.
func TestModify_Lists(t *testing.T) {
	directory := t.TempDir()
	first, second := filepath.Join(directory, "first"), filepath.Join(directory, "second")
	const empty = "apiVersion: v1\nkind: Config\ncontexts: []\n"
	for file, text := range map[string]string{first: empty, second: fresh} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: []string{first, second}}
	if err := Modify(t.Context(), rules, func(config *clientcmdapi.Config) error {
		return Enter(config, Start{}, "https://h:6443/clusters/root:org")
	}); err != nil {
		t.Fatal(err)
	}
	merged, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	if merged.CurrentContext != Current || merged.Contexts[Current] == nil {
		t.Errorf("merged: %v", entries(merged))
	}
	if data, err := os.ReadFile(second); err != nil || !strings.Contains(string(data), "current-context: "+Current) {
		t.Errorf("the current context is not in the file that sets it: %v\n%s", err, data)
	}
	before, _ := os.ReadFile(first)
	if err := Modify(t.Context(), rules, func(config *clientcmdapi.Config) error {
		config.Contexts["work"].Namespace = "x"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(first); string(after) != string(before) {
		t.Errorf("a file without a change was written:\n%s", after)
	}
}

// Nothing that another program writes at the same time is lost.
func TestModify_Locked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(fresh), 0o600); err != nil {
		t.Fatal(err)
	}
	access := &clientcmd.ClientConfigLoadingRules{ExplicitPath: file}
	names := []string{"a", "b", "c", "d", "e", "f"}
	failed := make(chan error, len(names))
	for _, name := range names {
		go func() {
			failed <- Modify(t.Context(), access, func(config *clientcmdapi.Config) error {
				_, _, err := Create(config, Start{}, Name{Context: name})
				return err
			})
		}()
	}
	for range names {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	config, err := clientcmd.LoadFromFile(file)
	if err != nil || len(config.Contexts) != len(names)+2 {
		t.Errorf("%d contexts, %v", len(config.Contexts), err)
	}
	if err := os.WriteFile(file+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = Modify(t.Context(), access, func(config *clientcmdapi.Config) error { return Enter(config, Start{}, "https://h:6443/clusters/root") })
	if err == nil || !strings.Contains(err.Error(), "remove "+file+".lock") {
		t.Errorf("while another program holds the lock: %v", err)
	}
}
