package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

const contextSystemAdmin = "system:admin"

func TestServe_IsQuietAndSaysWhatToTypeNext(t *testing.T) {
	binary, err := annex.Program("annex")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "new", "annex")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, binary, "serve", "--root-directory", dir, "--bind-address", "127.0.0.1", "--secure-port", "0")
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 2 * time.Minute
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	// The last line of the greeting.
	var greeting strings.Builder
	for buffer := make([]byte, 1024); !strings.Contains(greeting.String(), "Ctrl-C"); {
		n, err := stdout.Read(buffer)
		greeting.Write(buffer[:n])
		if err != nil {
			t.Fatalf("the server ended: %v\n%s%s", err, &greeting, &stderr)
		}
	}
	for _, want := range []string{"https://127.0.0.1:", filepath.Join(dir, "admin.kubeconfig"), "get workspaces"} {
		if !strings.Contains(greeting.String(), want) {
			t.Errorf("%q is not in the greeting:\n%s", want, &greeting)
		}
	}
	cancel()
	rest, _ := io.ReadAll(stdout)
	_ = command.Wait()
	if code := command.ProcessState.ExitCode(); code != 0 {
		t.Errorf("Ctrl-C ends with exit code %d", code)
	}
	if stderr.Len() > 0 || len(rest) > 0 {
		t.Errorf("a server that was only started and stopped prints:\n%s%s", rest, &stderr)
	}
}

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestRestart_KeepsTokensAndFilesClosed(t *testing.T) {
	server := annex.Start(t)
	contexts := []string{"root", annex.ContextBase, contextSystemAdmin, annex.ContextShardBase}
	tokens := map[string]string{}
	for _, name := range contexts {
		tokens[name] = server.Config(name).BearerToken
	}
	ca := server.Config(annex.ContextBase).CAData
	if tokens["root"] == tokens[contextSystemAdmin] {
		t.Error("both administrators have the same token")
	}
	server.Kubectl("root", "", "create", "configmap", "kept")
	server.Stop()
	if err := os.Chmod(server.Kubeconfig(), 0o644); err != nil {
		t.Fatal(err)
	}
	server.Start()
	for _, name := range contexts {
		if got := server.Config(name).BearerToken; got != tokens[name] {
			t.Errorf("context %s has another token after the restart", name)
		}
	}
	if !bytes.Equal(server.Config(annex.ContextBase).CAData, ca) {
		t.Error("the restart changed the CA")
	}
	for _, path := range []string{server.Kubeconfig(), filepath.Join(server.Dir(), ".admin-token-store")} {
		if mode := modeOf(t, path); mode != 0o600 {
			t.Errorf("%s has mode %o", path, mode)
		}
	}
	if mode := modeOf(t, server.Dir()); mode != 0o700 {
		t.Errorf("the root directory has mode %o", mode)
	}
	server.Kubectl("root", "", "get", "configmap", "kept")
	masters, _ := annex.Clients(t, server.Config(contextSystemAdmin))
	if _, err := masters.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("system:masters after the restart: %v", err)
	}

	lost := server.As(tokens["root"], "root")
	server.Stop()
	if err := os.Remove(server.Kubeconfig()); err != nil {
		t.Fatal(err)
	}
	server.Start()
	if mode := modeOf(t, server.Kubeconfig()); mode != 0o600 {
		t.Errorf("the new kubeconfig has mode %o", mode)
	}
	for _, name := range contexts {
		if server.Config(name).BearerToken == tokens[name] {
			t.Errorf("context %s has its old token although the kubeconfig was lost", name)
		}
	}
	server.Kubectl("root", "", "get", "configmap", "kept")
	lost.Host = server.URL() + "/clusters/root"
	if code := annex.Status(t, lost, http.MethodGet, "/api/v1/namespaces"); code != http.StatusUnauthorized {
		t.Errorf("a token of the lost kubeconfig is answered with %d", code)
	}
}

// slowBody gives what it holds only after it was told to go on, and tells when it is first asked.
type slowBody struct {
	asked chan struct{}
	goOn  chan struct{}
	text  io.Reader
	once  atomic.Bool
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.once.CompareAndSwap(false, true) {
		close(b.asked)
		<-b.goOn
	}
	return b.text.Read(p)
}

// endTime is much more than a server needs to end, also on a busy machine, and less than the minute for which open watches hold
// a stock server.
const endTime = 40 * time.Second

func TestSigterm_DrainsWithinSecondsWithoutLoss(t *testing.T) {
	server := annex.Start(t)
	client, _ := annex.Clients(t, server.Workspace("root"))
	watch, err := client.CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()

	// A write whose body arrives after the signal.
	slow := &slowBody{asked: make(chan struct{}), goOn: make(chan struct{}),
		text: strings.NewReader(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"in-flight"}}`)}
	config := server.Workspace("root")
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, config.Host+"/api/v1/namespaces/default/configmaps", slow)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answered := make(chan string, 1)
	go func() {
		response, err := httpClient.Do(request)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer func() { _ = response.Body.Close() }()
		answered <- response.Status
	}()
	<-slow.asked
	// The headers are on the way with the first bytes; a request that comes later shows that the server has them.
	var acknowledged []string
	for i := range 20 {
		name := fmt.Sprintf("before-%d", i)
		if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		acknowledged = append(acknowledged, name)
	}

	server.Terminate()
	// New requests are refused, or their connection is, but none is half done. The body comes when the server says that it ends.
	annex.Eventually(t, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL()+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := httpClient.Do(request)
		if err != nil {
			return nil // it takes no new requests
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return errors.New("the server is still ready after SIGTERM")
		}
		return nil
	})
	close(slow.goOn)
	if status := <-answered; status == "201 Created" {
		acknowledged = append(acknowledged, "in-flight")
	} else {
		t.Errorf("the request in flight ended with %s", status)
	}
	for range watch.ResultChan() {
	}
	select {
	case <-server.Done():
	case <-time.After(endTime):
		t.Fatalf("the server still runs %s after the last request has ended:\n%s", endTime, server.Log())
	}
	if !strings.HasSuffix(strings.TrimSpace(server.Log()), "Stop it with Ctrl-C.") {
		t.Errorf("an orderly stop prints:\n%s", server.Log())
	}

	server.Start()
	client, _ = annex.Clients(t, server.Workspace("root"))
	for _, name := range acknowledged {
		if _, err := client.CoreV1().ConfigMaps("default").Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			t.Errorf("acknowledged before the stop, now: %v", err)
		}
	}
}

func TestExternalEtcd_HoldsEverythingUnderItsPrefix(t *testing.T) {
	etcd := annex.StartEtcd(t)
	server := annex.Start(t, "--etcd-servers", etcd.URL(), "--etcd-prefix", "/rooms")
	path, cluster := server.NewWorkspace("root", "team", "")
	server.Kubectl(path, "", "create", "configmap", "kept")
	keys, _ := etcd.Mentions("/")
	for _, key := range keys {
		if !strings.HasPrefix(key, "/rooms/") {
			t.Errorf("key %s is outside of the prefix", key)
		}
	}
	if inKey, _ := etcd.Mentions("/rooms/core/configmaps/" + cluster + "/default/kept"); len(inKey) != 1 {
		t.Errorf("the ConfigMap is not where it belongs: %v", inKey)
	}
	if _, err := os.Stat(filepath.Join(server.Dir(), "etcd-server")); err == nil {
		t.Error("there is an embedded etcd beside the external one")
	}
	server.Stop()
	server.Start()
	server.Kubectl(path, "", "get", "configmap", "kept")
}

func TestUsers_ClientCertificatesAndStaticTokens(t *testing.T) {
	dir := t.TempDir()
	authority := newAuthority(t, "clients")
	ca := write(t, filepath.Join(dir, "ca.pem"), string(authority.certificate))
	tokens := write(t, filepath.Join(dir, "tokens.csv"), "wonderland,alice,1,\"readers,writers\"\n")
	server := annex.Start(t, "--client-ca-file", ca, "--token-auth-file", tokens)
	path, _ := server.NewWorkspace("root", "team", "")

	alice := server.As("wonderland", path)
	bob := rest.AnonymousClientConfig(server.Workspace(path))
	bob.CertData, bob.KeyData = authority.issue(t, "bob", "writers")
	stranger := rest.AnonymousClientConfig(server.Workspace(path))
	stranger.CertData, stranger.KeyData = newAuthority(t, "others").issue(t, "bob", "system:masters")
	forged := server.As("looking-glass", path)

	for name, user := range map[string]*rest.Config{"alice": alice, "bob": bob} {
		client, _ := annex.Clients(t, user)
		if _, err := client.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("%s without a role: %v, want 403", name, err)
		}
	}
	server.Kubectl(path, "", "create", "clusterrolebinding", "enter", "--clusterrole=system:kcp:workspace:access", "--group=writers")
	server.Kubectl(path, "", "create", "clusterrolebinding", "edit", "--clusterrole=edit", "--group=writers")
	for name, user := range map[string]*rest.Config{"alice": alice, "bob": bob} {
		client, _ := annex.Clients(t, user)
		annex.Eventually(t, func(ctx context.Context) error {
			_, err := client.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
			return err
		})
		if _, err := client.RbacV1().ClusterRoles().Create(t.Context(), clusterRoleAll(), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("%s as editor makes ClusterRoles: %v", name, err)
		}
	}
	for name, user := range map[string]*rest.Config{"a certificate of another CA": stranger, "an unknown token": forged} {
		if code := annex.Status(t, user, http.MethodGet, "/api/v1/namespaces"); code != http.StatusUnauthorized {
			t.Errorf("%s is answered with %d", name, code)
		}
	}
	if code := annex.Status(t, rest.AnonymousClientConfig(server.Workspace(path)), http.MethodGet, "/api/v1/namespaces"); code != http.StatusForbidden {
		t.Errorf("nobody is answered with %d", code)
	}
}
