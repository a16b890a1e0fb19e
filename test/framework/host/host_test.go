package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

func TestStart_ServesClientsAndKubectl(t *testing.T) {
	h := Start(t)

	client, err := dynamic.NewForConfig(h.Config())
	if err != nil {
		t.Fatalf("making a client: %v", err)
	}
	_, err = client.Resource(configMaps).Namespace("default").Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "hello"},
		"data":     map[string]any{"greeting": "good morning"},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating a ConfigMap: %v", err)
	}

	if got, want := kubectl(t, h, "get", "configmap", "hello", "-o", "jsonpath={.data.greeting}"), "good morning"; got != want {
		t.Errorf("kubectl reads %q, want %q", got, want)
	}
	if got, want := kubectl(t, h, "version", "-o", "yaml"), "gitVersion: v1.36."; strings.Count(got, want) != 2 {
		t.Errorf("kubectl version says\n%s\nwant %q for client and server", got, want)
	}

	t.Run("an ordinary user is refused", func(t *testing.T) {
		config, err := h.ConfigFor("jane", "developers")
		if err != nil {
			t.Fatalf("making credentials: %v", err)
		}
		jane, err := dynamic.NewForConfig(config)
		if err != nil {
			t.Fatalf("making a client: %v", err)
		}
		_, err = jane.Resource(configMaps).Namespace("default").Get(t.Context(), "hello", metav1.GetOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `"jane"`) {
			t.Errorf("reading as jane gives %v, want Forbidden that names jane", err)
		}
	})
}

func TestRun_KeepsDataInItsDirectory(t *testing.T) {
	dir := t.TempDir()
	namespaceUID := func() string {
		h, err := Run(t.Context(), dir, WithoutFsync())
		if err != nil {
			t.Fatalf("running a host: %v", err)
		}
		uid := kubectl(t, h, "get", "namespace", "default", "-o", "jsonpath={.metadata.uid}")
		if err := h.Stop(); err != nil {
			t.Fatalf("stopping the host: %v", err)
		}
		if err := h.Stop(); err != nil {
			t.Fatalf("stopping the host again: %v", err)
		}
		return uid
	}
	first, second := namespaceUID(), namespaceUID()
	if first == "" || first != second {
		t.Errorf("uid of namespace default is %q, then %q, want the same", first, second)
	}
}

func TestBinary_MissingNamesTheMakeTarget(t *testing.T) {
	t.Setenv(assetsVariable, "")
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(moduleLine+"\n\ngo 1.26.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)

	_, err := Binary("kube-apiserver")
	if err == nil || !strings.Contains(err.Error(), "make bin/kube-apiserver") {
		t.Errorf("error is %v, want one that names `make bin/kube-apiserver`", err)
	}
}

func TestBinary_TakesAssetsFirst(t *testing.T) {
	assets := t.TempDir()
	t.Setenv(assetsVariable, assets)
	want := filepath.Join(assets, "kube-apiserver")
	if _, err := Binary("kube-apiserver"); err == nil || !strings.Contains(err.Error(), assetsVariable) {
		t.Errorf("error for an empty directory is %v, want one that names %s", err, assetsVariable)
	}
	if err := os.WriteFile(want, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := Binary("kube-apiserver")
	if err != nil {
		t.Fatalf("finding the binary: %v", err)
	}
	if got != want {
		t.Errorf("binary is %s, want %s", got, want)
	}
}

// kubectl runs bin/kubectl against the host and returns its trimmed output.
func kubectl(t *testing.T, h *Host, args ...string) string {
	t.Helper()
	binary, err := Binary("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"--kubeconfig=" + h.Kubeconfig()}, args...)...)
	// kubectl keeps a discovery cache in the home directory otherwise, where
	// it would meet that of another server on the same port.
	cmd.Env = append(os.Environ(), "KUBECACHEDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
