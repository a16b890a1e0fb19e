package resilience

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host/process"
)

// launched is a server that is being started.
type launched struct {
	server *annex.Server
	err    error
}

// await fails the test unless the server becomes ready.
func await(t *testing.T, ready <-chan launched) *annex.Server {
	t.Helper()
	l := <-ready
	if l.err != nil {
		t.Fatal(l.err)
	}
	t.Cleanup(l.server.Kill)
	return l.server.For(t)
}

// says waits until the server has printed that it waits for etcd.
func says(t *testing.T, log string) {
	t.Helper()
	annex.Eventually(t, func(context.Context) error {
		printed, err := os.ReadFile(log)
		if err != nil || !bytes.Contains(printed, []byte("check that etcd is running")) {
			return fmt.Errorf("the server does not say what it waits for: %w\n%s", err, printed)
		}
		if n := bytes.Count(printed, []byte("\n")); n != 1 {
			t.Errorf("it prints %d lines, want one:\n%s", n, printed)
		}
		return nil
	})
}

func TestStart_WaitsForEtcd(t *testing.T) {
	etcd := annex.StartEtcd(t)
	url := etcd.URL()
	etcd.Stop()
	dir := filepath.Join(t.TempDir(), "annex")
	ready := make(chan launched, 1)
	go func() {
		server, err := annex.Launch(t.Context(), dir, "--etcd-servers", url)
		ready <- launched{server, err}
	}()
	says(t, dir+".log")
	etcd.Start()
	server := await(t, ready)
	typed, _ := annex.Clients(t, server.Workspace("root"))
	if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "works"}}, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
}

func TestStart_ServesWhatItCanBeforeEtcdIsThere(t *testing.T) {
	etcd := annex.StartEtcd(t)
	url := etcd.URL()
	etcd.Stop()
	directory := t.TempDir()
	certificate, key, err := cert.GenerateSelfSignedCertKey("localhost", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key")
	for file, data := range map[string][]byte{certFile: certificate, keyFile: key} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port, err := process.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	dir := filepath.Join(directory, "annex")
	ready := make(chan launched, 1)
	go func() {
		server, err := annex.LaunchReplica(t.Context(), "annex", address, dir, "--etcd-servers", url, "--tls-cert-file", certFile, "--tls-private-key-file", keyFile)
		ready <- launched{server, err}
	}()
	says(t, dir+".log")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // it is asked for nothing secret
	answers := func(path string, want func(code int) bool) {
		t.Helper()
		annex.Eventually(t, func(ctx context.Context) error {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+path, nil)
			if err != nil {
				return err
			}
			response, err := client.Do(request)
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }()
			if !want(response.StatusCode) {
				return fmt.Errorf("%s: %s", path, response.Status)
			}
			return nil
		})
	}
	answers("/livez/ping", func(code int) bool { return code == http.StatusOK })
	answers("/readyz", func(code int) bool { return code >= http.StatusInternalServerError })
	if _, err := os.Stat(filepath.Join(dir, "admin.kubeconfig")); err == nil {
		t.Error("there is a kubeconfig although nobody knows its tokens")
	}
	etcd.Start()
	await(t, ready)
}
