package admin

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const file = "admin.kubeconfig"

// write does what a start of the server does.
func write(root, path, url string) (authenticator.Token, error) {
	files, err := Prepare(root, path)
	if err != nil {
		return nil, err
	}
	return files.Authenticator(), files.Write(url, []byte("ca"))
}

func ensure(t *testing.T, root, url string) (authenticator.Token, *clientcmdapi.Config) {
	t.Helper()
	auth, err := write(root, file, url)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return auth, config
}

func groupsOf(t *testing.T, auth authenticator.Token, token string) []string {
	t.Helper()
	resp, ok, err := auth.AuthenticateToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return nil
	}
	return resp.User.GetGroups()
}

func TestFiles_Contexts(t *testing.T) {
	root := filepath.Join(t.TempDir(), "new", "root")
	auth, config := ensure(t, root, "https://127.0.0.1:6443")
	if config.CurrentContext != "root" {
		t.Errorf("current context = %q, want root", config.CurrentContext)
	}
	for name, want := range map[string]struct{ server, user, group string }{
		"root":         {"https://127.0.0.1:6443/clusters/root", "kcp-admin", "system:kcp:admin"},
		"base":         {"https://127.0.0.1:6443", "kcp-admin", "system:kcp:admin"},
		"system:admin": {"https://127.0.0.1:6443/clusters/system:admin", "shard-admin", "system:masters"},
		"shard-base":   {"https://127.0.0.1:6443", "shard-admin", "system:masters"},
	} {
		context := config.Contexts[name]
		if context == nil {
			t.Errorf("context %s is missing", name)
			continue
		}
		cluster, info := config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo]
		if cluster.Server != want.server || string(cluster.CertificateAuthorityData) != "ca" || context.AuthInfo != want.user {
			t.Errorf("context %s leads to %s as %s", name, cluster.Server, context.AuthInfo)
		}
		if groups := groupsOf(t, auth, info.Token); !slices.Contains(groups, want.group) {
			t.Errorf("context %s is in the groups %v, want %s", name, groups, want.group)
		}
	}
	for _, name := range []string{file, StoreName} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	store, err := os.ReadFile(filepath.Join(root, StoreName))
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range config.AuthInfos {
		if strings.Contains(string(store), info.Token) {
			t.Error("the store holds a token")
		}
	}
	for _, token := range []string{"", "x", string(store)} {
		if groups := groupsOf(t, auth, token); groups != nil {
			t.Errorf("token %q is in %v", token, groups)
		}
	}
}

func TestFiles_Lifecycle(t *testing.T) {
	root := t.TempDir()
	kubeconfig, store := filepath.Join(root, file), filepath.Join(root, StoreName)
	_, first := ensure(t, root, "https://127.0.0.1:6443")
	tokensOf := func(c *clientcmdapi.Config) [2]string {
		return [2]string{c.AuthInfos["kcp-admin"].Token, c.AuthInfos["shard-admin"].Token}
	}
	remove := func(path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}

	auth, second := ensure(t, root, "https://127.0.0.1:7443")
	if tokensOf(second) != tokensOf(first) {
		t.Error("a restart changed the tokens")
	}
	if got := second.Clusters["root"].Server; got != "https://127.0.0.1:7443/clusters/root" {
		t.Errorf("after a restart on another port the URL is %s", got)
	}
	if groupsOf(t, auth, tokensOf(first)[0]) == nil {
		t.Error("a token did not survive the restart")
	}

	remove(kubeconfig)
	auth, third := ensure(t, root, "https://127.0.0.1:6443")
	for i, token := range tokensOf(third) {
		if token == tokensOf(second)[i] || token == "" {
			t.Error("a lost kubeconfig did not bring new tokens")
		}
		if groupsOf(t, auth, tokensOf(second)[i]) != nil {
			t.Error("a lost token still works")
		}
	}

	remove(store)
	_, fourth := ensure(t, root, "https://127.0.0.1:6443")
	if tokensOf(fourth) == tokensOf(third) {
		t.Error("tokens without a store were trusted")
	}

	// Somebody else's hashes: what stands in the kubeconfig counts for nothing.
	fourth.AuthInfos["shard-admin"].Token = "chosen"
	if err := clientcmd.WriteToFile(*fourth, kubeconfig); err != nil {
		t.Fatal(err)
	}
	auth, fifth := ensure(t, root, "https://127.0.0.1:6443")
	if groupsOf(t, auth, "chosen") != nil || tokensOf(fifth)[1] == "chosen" {
		t.Error("a token from the kubeconfig alone was trusted")
	}
}

func TestFiles_KeepsWhatOthersWrote(t *testing.T) {
	root := t.TempDir()
	_, config := ensure(t, root, "https://127.0.0.1:6443")
	config.Contexts["mine"] = &clientcmdapi.Context{Cluster: "root", AuthInfo: "kcp-admin", Namespace: "n"}
	config.CurrentContext = "mine"
	path := filepath.Join(root, file)
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, config = ensure(t, root, "https://127.0.0.1:6443")
	if config.CurrentContext != "mine" || config.Contexts["mine"] == nil || config.Contexts["mine"].Namespace != "n" {
		t.Errorf("the context of somebody else is gone: %v", config.Contexts)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFiles_RefusesForeignFiles(t *testing.T) {
	for name, content := range map[string]string{
		"another kubeconfig": "apiVersion: v1\nkind: Config\nusers:\n- name: me\n  user: {token: x}\n",
		"nonsense":           "a: [",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			root := t.TempDir()
			if _, err := write(root, path, "https://127.0.0.1:6443"); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("write() = %v, want an error that names the file", err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != content {
				t.Errorf("the file was changed: %s, %v", got, err)
			}
			if _, err := os.Stat(filepath.Join(root, StoreName)); err == nil {
				t.Error("something was written before the error")
			}
		})
	}
	t.Run("a broken store", func(t *testing.T) {
		root := t.TempDir()
		if err := os.WriteFile(filepath.Join(root, StoreName), []byte("nonsense\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := write(root, file, "https://127.0.0.1:6443"); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("write() = %v, want an error that says what to do", err)
		}
	})
}

func TestFiles_WithoutRootDirectory(t *testing.T) {
	auth, err := write("", file, "https://127.0.0.1:6443")
	if err != nil {
		t.Fatal(err)
	}
	if groups := groupsOf(t, auth, ""); groups != nil {
		t.Errorf("the empty token is in %v", groups)
	}
}

func TestRefresh(t *testing.T) {
	root := t.TempDir()
	files, err := Prepare(root, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Write("https://127.0.0.1:6443", []byte("ca")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, file)
	before, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Refresh("https://127.0.0.1:6443", []byte("another")); err != nil {
		t.Fatal(err)
	}
	after, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, info := range before.AuthInfos {
		if after.AuthInfos[name].Token != info.Token || info.Token == "" {
			t.Errorf("the token of %s changed", name)
		}
	}
	for name := range before.Clusters {
		if got := string(after.Clusters[name].CertificateAuthorityData); got != "another" {
			t.Errorf("the CA of %s is %q", name, got)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := files.Refresh("https://127.0.0.1:6443", []byte("third")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a kubeconfig that was taken away came back")
	}
}
