package records

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	mock "k8s.io/apiserver/pkg/storage/value/encrypt/envelope/testing/v2"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

// rootless returns the credentials of system:masters for what is in no workspace.
func rootless(s *annex.Server) *rest.Config {
	config := s.Config(annex.ContextShardBase)
	config.Host = s.URL()
	return config
}

// Keys are in a plugin, which may be away for a time: when the server starts, too.
func TestEncryption_KMS(t *testing.T) {
	socket := fmt.Sprintf("annex-kms-%d.sock", os.Getpid()) // sockets have short names
	plugin := mock.NewBase64Plugin(t, "@"+socket)
	etcd := annex.StartEtcd(t)
	file := write(t, "encryption.yaml", fmt.Sprintf(`
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: ["*.*"]
  providers:
  - kms: {apiVersion: v2, name: vault, endpoint: "unix:///@%s", timeout: 3s}
`, socket))
	s := annex.Start(t, "--etcd-servers", etcd.URL(), "--encryption-provider-config", file, "--encryption-provider-config-automatic-reload")
	path, _ := s.NewWorkspace("root", "kms", "")
	must(t, s.Workspace(path), 201, http.MethodPost, secrets, secret("one", "plaintext"))
	if _, values := etcd.Mentions("plaintext"); len(values) > 0 {
		t.Errorf("not encrypted: %q", values)
	}
	if keys, _ := etcd.Mentions("/secrets/"); len(keys) > 0 {
		if _, sealed := etcd.Mentions("k8s:enc:kms:v2:vault:"); len(sealed) < len(keys) {
			t.Errorf("of %d Secrets, %d values are encrypted by the plugin", len(keys), len(sealed))
		}
	}
	if ready := must(t, rootless(s), 200, http.MethodGet, "/readyz?verbose", ""); !strings.Contains(ready, "[+]kms-providers ok") {
		t.Errorf("ready: %s", ready)
	}
	must(t, rootless(s), 200, http.MethodGet, "/livez", "")

	plugin.EnterFailedState()
	s.Kill()
	restarted := make(chan struct{})
	go func() {
		defer close(restarted)
		s.Start() // until it is ready
	}()
	annex.Eventually(t, func(context.Context) error {
		if !s.Printed("--encryption-provider-config cannot be had") {
			return errNotYet
		}
		return nil
	})
	select {
	case <-restarted:
		t.Error("the server is ready without its keys")
	default:
	}
	plugin.ExitFailedState()
	<-restarted
	if answer := must(t, s.Workspace(path), 200, http.MethodGet, secrets, ""); !strings.Contains(answer, `"one"`) {
		t.Errorf("after the plugin has come back: %s", answer)
	}
	must(t, s.Workspace(path), 201, http.MethodPost, secrets, secret("two", "plaintext"))
}
