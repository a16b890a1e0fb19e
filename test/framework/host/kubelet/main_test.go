package kubelet_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/framework/host"
	"github.com/annex-dev/annex/test/framework/host/kubelet"
)

// toolName is the name of this program in the image of these tests.
const toolName = "/tool"

// Shared by all tests: a host takes some seconds to start.
var (
	node    *kubelet.Kubelet
	client  kubernetes.Interface
	outside string // address of a server on the machine
)

func TestMain(m *testing.M) {
	kubelet.Main()
	if os.Args[0] == toolName {
		if err := tool(os.Args[1:]); err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "annex-kubelet-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "outside") }))
	defer server.Close()
	outside = server.Listener.Addr().String()

	h, err := host.Run(ctx, filepath.Join(dir, "host"), host.WithoutFsync(), host.WithControllerManager(), host.WithPodNetwork())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = h.Stop() }()
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	image := kubelet.Image{Files: map[string]string{toolName: program}, Entrypoint: []string{toolName}, Env: []string{"PATH=/", "FROM=image"}, User: 65532, Group: 65532}
	node, err = kubelet.Run(ctx, filepath.Join(dir, "node"), h, kubelet.WithImageOf("tool", image), kubelet.WithOutside(outside))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = node.Stop() }()
	if client, err = kubernetes.NewForConfig(h.Config()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// namespace makes one for the test. When the test failed, the pods are logged.
func namespace(t *testing.T, name string, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace has a ServiceAccount", func() error {
		_, err := client.CoreV1().ServiceAccounts(name).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the pods of the node:\n%s", node.Describe())
		}
	})
	return name
}

// eventually tries until it succeeds, or fails with the last error.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		last = try()
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("waiting until %s: %v", what, last)
	}
}

// apply creates an object from YAML at a path of the API.
func apply(t *testing.T, path, manifest string) {
	t.Helper()
	body, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatalf("reading %s: %v", manifest, err)
	}
	err = client.Discovery().RESTClient().Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(body).Do(t.Context()).Error()
	if err != nil {
		t.Fatalf("creating %s: %v", manifest, err)
	}
}

// ask sends a request to a pod or Service through kube-apiserver: kind is
// "pods" or "services", and the name is followed by the port.
func ask(t *testing.T, namespace, kind, name, path string) (string, error) {
	t.Helper()
	path, query, _ := strings.Cut(path, "?")
	request := client.CoreV1().RESTClient().Get().AbsPath("/api/v1/namespaces", namespace, kind, "https:"+name, "proxy", path)
	for pair := range strings.SplitSeq(query, "&") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			request.Param(key, value)
		}
	}
	text, err := request.DoRaw(t.Context())
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, text)
	}
	return string(text), nil
}

func mustAsk(t *testing.T, namespace, kind, name, path string) string {
	t.Helper()
	text, err := ask(t, namespace, kind, name, path)
	if err != nil {
		t.Fatalf("asking %s %s for %s: %v", kind, name, path, err)
	}
	return text
}

func pod(t *testing.T, namespace, name string) *corev1.Pod {
	t.Helper()
	p, err := client.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func waitReady(t *testing.T, namespace, name string) {
	t.Helper()
	eventually(t, "pod "+name+" is ready", func() error {
		p, err := client.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range p.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil {
				return nil
			}
		}
		return fmt.Errorf("status is %+v", p.Status)
	})
}
