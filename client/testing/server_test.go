package annextest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/annex-dev/annex/client/operator"
	annextest "github.com/annex-dev/annex/client/testing"
)

const export = `
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: widgets}
spec:
  permissionClaims:
  - {group: "", resource: secrets, verbs: ["*"]}
  - {group: "", resource: configmaps, verbs: ["*"]}
`

// definition returns a published CustomResourceDefinition, with a field.
func definition(fields ...string) string {
	var properties []string
	for _, field := range fields {
		properties = append(properties, field+": {type: string}")
	}
	return fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.example.com
  annotations: {annex.dev/publish: widgets}
spec:
  group: example.com
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {%s}}}
`, strings.Join(properties, ", "))
}

func newClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func configMap(name string) *corev1.ConfigMap {
	obj := &corev1.ConfigMap{}
	obj.Namespace, obj.Name = "default", name
	return obj
}

// One server serves all the tests below.
func TestServer(t *testing.T) {
	// The program of this checkout.
	t.Setenv(annextest.AssetsVariable, filepath.Join("..", "..", "bin"))
	began := time.Now()
	server := annextest.Start(t)
	t.Logf("the server was ready after %s", time.Since(began))

	provider := server.Workspace(t, "root:org:provider")
	manifests := t.TempDir()
	for name, content := range map[string]string{"crd.yaml": definition("color"), "export.yaml": export} {
		if err := os.WriteFile(filepath.Join(manifests, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	provider.Apply(t, manifests)
	consumer := server.Workspace(t, "root:consumer", annextest.Type("root", "universal"))
	consumer.Bind(t, provider, "widgets", annextest.Accept("", "secrets", map[string]string{"for": "widgets"}), annextest.Reject("", "configmaps"))

	t.Run("workspaces", func(t *testing.T) {
		again := server.Workspace(t, "root:org:provider")
		if again.Path != provider.Path || again.Name != provider.Name || provider.Name == consumer.Name || provider.Name == "" {
			t.Errorf("workspaces are %+v, %+v, %+v", provider, again, consumer)
		}
		if root := server.Workspace(t, "root"); root.Name != "root" {
			t.Errorf("root is %q", root.Name)
		}
	})
	t.Run("a bound API is there at once, and follows its schema", func(t *testing.T) {
		consumer.ApplyYAML(t, "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: default}, color: red}")
		provider.ApplyYAML(t, definition("color", "size"))
		provider.ApplyYAML(t, definition("color", "size"))
		other := server.Workspace(t, "root:other")
		other.Bind(t, provider, "widgets")
		other.ApplyYAML(t, "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: default}, size: big}")
		got := &unstructured.Unstructured{}
		got.SetAPIVersion("example.com/v1")
		got.SetKind("Widget")
		if err := other.Client(t, nil).Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "w"}, got); err != nil || got.Object["size"] != "big" {
			t.Errorf("the Widget is %v, %v", got, err)
		}
	})
	t.Run("claims are answered", func(t *testing.T) {
		mgr, err := operator.New(provider.Config(), operator.Options{EndpointSlice: "widgets", Uncached: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- mgr.Start(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		secret := &corev1.Secret{}
		secret.Namespace, secret.Name = "default", "s"
		annextest.Eventually(t, func(ctx context.Context) error {
			return client.IgnoreAlreadyExists(mgr.In(consumer.Name).Create(ctx, secret))
		})
		found := &corev1.Secret{}
		if err := consumer.Client(t, nil).Get(t.Context(), client.ObjectKeyFromObject(secret), found); err != nil || found.Labels["for"] != "widgets" {
			t.Errorf("the Secret has labels %v, %v", found.Labels, err)
		}
		if err := mgr.In(consumer.Name).Create(t.Context(), configMap("c")); !apierrors.IsForbidden(err) {
			t.Errorf("the provider uses a rejected claim: %v", err)
		}
	})
	t.Run("users", func(t *testing.T) {
		alice := newClient(t, consumer.User(t, "alice", "edit"))
		consumer.User(t, "alice", "edit") // again
		if err := alice.Create(t.Context(), configMap("alice")); err != nil {
			t.Error(err)
		}
		for name, config := range map[string]*rest.Config{"somebody without rights": consumer.As("bob"), "another workspace": provider.As("alice")} {
			clients, err := kubernetes.NewForConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := clients.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
				t.Errorf("%s: %v, want 403", name, err)
			}
		}
		if err := newClient(t, consumer.As("carol", "system:masters")).Create(t.Context(), configMap("carol")); err != nil {
			t.Errorf("a member of a group: %v", err)
		}
	})
	t.Run("kubeconfig", func(t *testing.T) {
		config, err := clientcmd.BuildConfigFromFlags("", annextest.WriteKubeconfig(t, consumer.User(t, "dave", "view")))
		if err != nil {
			t.Fatal(err)
		}
		if config.Host != consumer.Config().Host || !strings.HasPrefix(config.Host, server.URL()) {
			t.Errorf("it leads to %s", config.Host)
		}
		c := newClient(t, config)
		if err := c.List(t.Context(), &corev1.ConfigMapList{}, client.InNamespace("default")); err != nil {
			t.Error(err)
		}
		if err := c.Create(t.Context(), configMap("dave")); !apierrors.IsForbidden(err) {
			t.Errorf("somebody who may view writes: %v", err)
		}
	})
	t.Run("a second server on the same data", func(t *testing.T) {
		dir := t.TempDir()
		first, err := annextest.Launch(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		first.Workspace(t, "root:kept").ApplyYAML(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: kept, namespace: default}}")
		first.Stop()
		second, err := annextest.Launch(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer second.Stop()
		if err := second.Workspace(t, "root:kept").Client(t, nil).Get(t.Context(), client.ObjectKeyFromObject(configMap("kept")), configMap("")); err != nil {
			t.Error(err)
		}
	})
}

func TestLaunch_SaysWhyTheServerEnds(t *testing.T) {
	t.Setenv(annextest.AssetsVariable, filepath.Join("..", "..", "bin"))
	_, err := annextest.Launch(t.Context(), t.TempDir(), "--no-such-flag")
	if err == nil || !strings.Contains(err.Error(), "unknown flag: --no-such-flag") {
		t.Errorf("the error is %v", err)
	}
}
