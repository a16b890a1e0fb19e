package host

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/framework/annex"
)

const (
	// inPod begins the block of the page that runs in a pod.
	inPod = "annex kubeconfig --workspace root:org:team > /tmp/team.kubeconfig"
	// withPlugin begins the blocks with the plugin's commands, which TestHost_Plugin and TestPlugin_Scripts type.
	withPlugin = "kubectl annex "
)

// typed returns what the page asks the reader to type outside of a pod, without the plugin.
func typed(t *testing.T) string {
	t.Helper()
	all := slices.DeleteFunc(blocks(t, "sh"), func(block string) bool {
		return strings.HasPrefix(block, inPod) || strings.HasPrefix(block, withPlugin)
	})
	return strings.Join(all, "\n")
}

// programs is a directory with the programs that the page uses, and no others.
func programs(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	for _, name := range []string{"annex", "kubectl", "helm"} {
		path, err := annex.Program(name)
		if err != nil {
			t.Fatal(err)
		}
		if path, err = filepath.EvalSymlinks(path); err == nil {
			err = os.Symlink(path, filepath.Join(directory, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

func TestClients_ThePageWorksAsTyped(t *testing.T) {
	admin := bindAdministrator(t, "clients-admin")
	directory := t.TempDir()
	chart, err := filepath.Abs("../testdata/chart")
	if err == nil {
		err = os.Symlink(chart, filepath.Join(directory, "chart"))
	}
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "bash", "-euxo", "pipefail", "-c", typed(t))
	command.Dir = directory
	command.Env = append(os.Environ(), "HOME="+directory, "KUBECONFIG="+admin.kubeconfig, "PATH="+programs(t)+":"+os.Getenv("PATH"))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("argo", argo)
	t.Run("flux", flux)
	server := installed.annex.For(t)
	if out := server.Kubectl("root:org:team", "", "get", "secrets", "-o", "name"); !strings.Contains(out, "sh.helm.release.v1.app.v1") {
		t.Errorf("helm has left no release: %s", out)
	}
}

func secret(t *testing.T, namespace, name string) *corev1.Secret {
	t.Helper()
	client, _ := annex.Clients(t, installed.host.Config())
	found, err := client.CoreV1().Secrets(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// argo does with the Secret of a cluster what Argo CD does at first: it asks for the version and for all kinds, lists and
// watches each, and applies an object.
func argo(t *testing.T) {
	found := secret(t, "argocd", "root-org-team")
	config := struct {
		BearerToken     string `json:"bearerToken"`
		TLSClientConfig struct {
			CAData []byte `json:"caData"`
		} `json:"tlsClientConfig"`
	}{}
	if err := json.Unmarshal(found.Data["config"], &config); err != nil {
		t.Fatal(err)
	}
	client, untyped := annex.Clients(t, &rest.Config{
		Host: string(found.Data["server"]), BearerToken: config.BearerToken, TLSClientConfig: rest.TLSClientConfig{CAData: config.TLSClientConfig.CAData}, QPS: -1,
	})
	if _, err := client.Discovery().ServerVersion(); err != nil {
		t.Fatal(err)
	}
	lists, err := client.Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") || !slices.Contains(resource.Verbs, "watch") {
				continue
			}
			kinds++
			all, err := untyped.Resource(gv.WithResource(resource.Name)).List(t.Context(), metav1.ListOptions{Limit: 500})
			if err != nil {
				t.Errorf("listing %s: %v", resource.Name, err)
				continue
			}
			watch, err := untyped.Resource(gv.WithResource(resource.Name)).Watch(t.Context(), metav1.ListOptions{ResourceVersion: all.GetResourceVersion(), AllowWatchBookmarks: true})
			if err != nil {
				t.Errorf("watching %s: %v", resource.Name, err)
				continue
			}
			watch.Stop()
		}
	}
	if kinds < 15 {
		t.Errorf("%d kinds in the workspace", kinds)
	}
	config1 := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "delivered", "namespace": "default"}, "data": map[string]any{"by": "argo"},
	}}
	if _, err := untyped.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace("default").Apply(t.Context(), "delivered", config1, metav1.ApplyOptions{FieldManager: "argocd-controller"}); err != nil {
		t.Error(err)
	}
}

// flux uses the kubeconfig in the Secret that the manifests of the page name.
func flux(t *testing.T) {
	all := blocks(t, "yaml")
	at := slices.IndexFunc(all, func(block string) bool { return strings.Contains(block, "kubeConfig:") })
	if at < 0 {
		t.Fatal("the page has no manifests for flux")
	}
	for _, manifest := range strings.Split(all[at], "---\n") {
		object := struct {
			metav1.PartialObjectMetadata
			Spec struct {
				KubeConfig struct {
					SecretRef corev1.LocalObjectReference `json:"secretRef"`
				} `json:"kubeConfig"`
			} `json:"spec"`
		}{}
		if err := yaml.Unmarshal([]byte(manifest), &object); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "value")
		value := secret(t, object.Namespace, object.Spec.KubeConfig.SecretRef.Name).Data["value"]
		if err := os.WriteFile(file, value, 0o600); err != nil {
			t.Fatal(err)
		}
		reads(t, file)
		if out, err := kubectlWith(t, file, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"); err != nil || out != "host:serviceaccount:delivery:deployer" {
			t.Errorf("%s of the page acts as %s, %v", object.Kind, out, err)
		}
	}
}

// asPod is a shell script that runs its arguments with the files of a ServiceAccount, which $1 holds, where pods have them.
const asPod = `mount -t tmpfs none "$(readlink -f /var/run)" && mkdir -p /var/run/secrets/kubernetes.io/serviceaccount &&
cp "$1"/* /var/run/secrets/kubernetes.io/serviceaccount/ && cd / && shift && exec "$@"`

// A pod has nothing but two variables and three files.
func TestClients_InAPod(t *testing.T) {
	server := team(t)
	token := installed.token(t, "in-a-pod")
	grant(t, "in-a-pod", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "default", Name: "in-a-pod"}, workspaceRule("root:org:team"))
	server.Kubectl("root:org:team", "", "create", "clusterrolebinding", "in-a-pod", "--clusterrole=cluster-admin", "--user=host:serviceaccount:default:in-a-pod")
	host := installed.host.Config()
	address, port, found := strings.Cut(strings.TrimPrefix(host.Host, "https://"), ":")
	if !found {
		t.Fatal(host.Host)
	}
	files, bin := t.TempDir(), programs(t)
	for name, data := range map[string][]byte{"token": []byte(token), "ca.crt": host.CAData, "namespace": []byte("default")} {
		if err := os.WriteFile(filepath.Join(files, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var block string
	for _, candidate := range blocks(t, "sh") {
		if strings.HasPrefix(candidate, inPod) {
			block = strings.ReplaceAll(candidate, "/tmp/", t.TempDir()+"/")
		}
	}
	script := "set -eux\nannex check\n" + block
	run := func() (string, error) {
		command := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--mount", "sh", "-c", asPod, "sh", files, "bash", "-c", script)
		command.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=/", "KUBERNETES_SERVICE_HOST=" + address, "KUBERNETES_SERVICE_PORT=" + port}
		out, err := command.CombinedOutput()
		return string(out), err
	}
	var out string
	annex.Eventually(t, func(context.Context) (err error) {
		if out, err = run(); err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		return nil
	})
	for _, want := range []string{"Annex is served by", "kube-root-ca.crt"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
