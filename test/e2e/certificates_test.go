package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

// The key that signs serving certificates is for system:masters alone.
func TestServingCA_IsOutOfReach(t *testing.T) {
	tokens := filepath.Join(t.TempDir(), "tokens.csv")
	if err := os.WriteFile(tokens, []byte("secret,alice,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t, "-v", "8", "--token-auth-file", tokens)
	server.Kubectl("root", "", "create", "clusterrolebinding", "alice", "--clusterrole=cluster-admin", "--user=alice")
	alice := server.As("secret", "root")
	alice.Host = server.URL()
	const secret = "/api/v1/namespaces/kube-system/secrets/annex-serving-ca"
	for _, path := range []string{
		"/clusters/system:admin" + secret, "/clusters/system:admin/api/v1/secrets", "/clusters/*/api/v1/secrets",
		"/clusters/*" + secret, "/clusters/root/clusters/system:admin" + secret,
	} {
		for name, config := range map[string]*rest.Config{"the administrator of all workspaces": server.Config(annex.ContextBase), "the administrator of root": alice} {
			if code := annex.Status(t, config, http.MethodGet, path); code < 400 {
				t.Errorf("%s may read %s: %d", name, path, code)
			}
		}
	}
	if code := annex.Status(t, server.Config(annex.ContextBase), http.MethodGet, "/clusters/root"+secret); code != http.StatusNotFound {
		t.Errorf("the Secret in root: %d", code)
	}
	if code := annex.Status(t, server.Config(annex.ContextShardBase), http.MethodGet, "/clusters/system:admin"+secret); code != http.StatusOK {
		t.Errorf("system:masters: %d", code)
	}
	if server.Printed("PRIVATE KEY") {
		t.Error("the log holds a key")
	}
	files, err := os.ReadDir(server.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file.IsDir() {
			continue
		}
		if content, err := os.ReadFile(filepath.Join(server.Dir(), file.Name())); err != nil || bytes.Contains(content, []byte("PRIVATE KEY")) {
			t.Errorf("%s holds a key, or %v", file.Name(), err)
		}
	}
}

func TestServingCA_SharedByServersOnOneEtcd(t *testing.T) {
	etcd := annex.StartEtcd(t)
	servers := make([]*annex.Server, 2)
	errs := make([]error, len(servers))
	var starting sync.WaitGroup
	for i := range servers {
		starting.Go(func() {
			servers[i], errs[i] = annex.Launch(t.Context(), filepath.Join(t.TempDir(), "annex"), "--etcd-servers", etcd.URL())
		})
	}
	starting.Wait()
	for _, server := range servers {
		if server != nil {
			defer server.Kill()
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	one, two := servers[0].For(t), servers[1].For(t)
	if !bytes.Equal(one.Config(annex.ContextBase).CAData, two.Config(annex.ContextBase).CAData) {
		t.Error("each has its own CA")
	}
	crossed := one.Config(annex.ContextBase)
	crossed.Host = two.URL()
	if code := annex.Status(t, crossed, http.MethodGet, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz of one with the CA of the other: %d", code)
	}
}

// Files that are given are followed while the server runs, and everybody learns the new CA.
func TestCertificates_GivenFilesAreFollowed(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, caFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "ca.crt")
	put := func(ca *authority) {
		t.Helper()
		cert, key := ca.issueServer(t)
		for path, content := range map[string][]byte{keyFile: key, certFile: cert, caFile: ca.certificate} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	before, after := newAuthority(t, "before"), newAuthority(t, "after")
	put(before)
	server := annex.Start(t, "--tls-cert-file", certFile, "--tls-private-key-file", keyFile, "--serving-ca-file", caFile)
	path, _ := server.NewWorkspace("root", "one", "")
	holds := func(ca *authority) {
		t.Helper()
		annex.Eventually(t, func(ctx context.Context) error {
			config := server.Config(annex.ContextBase)
			if !bytes.Equal(config.CAData, ca.certificate) {
				return errors.New("the kubeconfig has another CA")
			}
			for _, workspace := range []string{"root", path} {
				client, _ := annex.Clients(t, server.Workspace(workspace))
				cm, err := client.CoreV1().ConfigMaps("default").Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
				if err != nil {
					return err
				}
				if cm.Data["ca.crt"] != string(ca.certificate) {
					return fmt.Errorf("the ConfigMap in %s has another CA", workspace)
				}
			}
			return nil
		})
	}
	holds(before)
	token := server.Config(annex.ContextBase).BearerToken
	put(after)
	holds(after)
	if server.Config(annex.ContextBase).BearerToken != token {
		t.Error("the token changed")
	}
	if mode := modeOf(t, server.Kubeconfig()); mode != 0o600 {
		t.Errorf("the kubeconfig has mode %o", mode)
	}
}
