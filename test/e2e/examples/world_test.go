package examples

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host/process"
)

// Resources of the examples.
var (
	databases = schema.GroupVersionResource{Group: "postgresql.example.com", Version: "v1", Resource: "databases"}
	routes    = schema.GroupVersionResource{Group: "routes.example.com", Version: "v1", Resource: "routes"}
	apps      = schema.GroupVersionResource{Group: "apps.example.com", Version: "v1", Resource: "apps"}
	bindings  = apisv1alpha2.SchemeGroupVersion.WithResource("apibindings")
	exports   = apisv1alpha2.SchemeGroupVersion.WithResource("apiexports")
)

// offer installs what an example offers in the provider's workspace, as its page says, unless it is there.
func offer(t *testing.T, example string, sets ...string) {
	t.Helper()
	server := world.server.For(t)
	_, root := annex.Clients(t, server.Workspace("root"))
	if _, err := annex.NewWorkspace(t.Context(), root, "provider", ""); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	args := []string{"upgrade", "--install", example, filepath.Join(sources, example, "provider"), "--set", "operator=" + example}
	for _, set := range sets {
		args = append(args, "--set", set)
	}
	server.Helm(provider, args...)
}

// operator is a program that runs.
type operator struct {
	*process.Process
	t    *testing.T
	args []string
	name string
}

// operate runs an example until the test ends.
func operate(t *testing.T, example string, args ...string) *operator {
	t.Helper()
	dir := t.TempDir()
	at := world.server.For(t).As(tokenOf(example), provider)
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"a": {Server: at.Host, CertificateAuthorityData: at.CAData, CertificateAuthority: at.CAFile}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"a": {Token: at.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"a": {Cluster: "a", AuthInfo: "a"}},
		CurrentContext: "a",
	}, kubeconfig); err != nil {
		t.Fatal(err)
	}
	o := &operator{t: t, name: example, args: append([]string{"--kubeconfig", kubeconfig}, args...)}
	o.start()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s printed:\n%s", example, o.Tail())
		}
		o.Kill()
	})
	return o
}

// start runs the program, again after Kill.
func (o *operator) start() {
	o.t.Helper()
	binary, err := annex.Program(o.name)
	if err != nil {
		o.t.Fatal(err)
	}
	if o.Process, err = process.Start(binary, o.args, filepath.Join(o.t.TempDir(), "log")); err != nil {
		o.t.Fatal(err)
	}
}

// consumer is a workspace, with the rights of its administrator.
type consumer struct {
	dynamic.Interface
	t             *testing.T
	typed         kubernetes.Interface
	path, cluster string
}

// newConsumer makes a workspace.
func newConsumer(t *testing.T, name string) *consumer {
	t.Helper()
	path, cluster := world.server.For(t).NewWorkspace("root", name, "")
	return enter(t, path, cluster)
}

func enter(t *testing.T, path, cluster string) *consumer {
	t.Helper()
	c := &consumer{t: t, path: path, cluster: cluster}
	c.typed, c.Interface = annex.Clients(t, world.server.For(t).Workspace(path))
	return c
}

// leave deletes workspaces, and waits until they are gone.
func leave(t *testing.T, consumers ...*consumer) {
	t.Helper()
	_, root := annex.Clients(t, world.server.For(t).Workspace("root"))
	workspaces := root.Resource(tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces"))
	for _, gone := range []bool{false, true} {
		for _, c := range consumers {
			_, name, _ := strings.Cut(c.path, ":")
			annex.Eventually(t, func(ctx context.Context) error {
				err := workspaces.Delete(ctx, name, metav1.DeleteOptions{})
				if apierrors.IsNotFound(err) {
					return nil
				}
				if err == nil && gone {
					err = fmt.Errorf("the workspace %s is being deleted", name)
				}
				return err
			})
		}
	}
}

func parse(t *testing.T, document string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(document), &obj.Object); err != nil {
		t.Fatal(err)
	}
	return obj
}

// bind binds an export and waits until it is bound. Each claim is an entry of YAML without its state.
func (c *consumer) bind(export, state string, claims ...string) {
	c.t.Helper()
	var list strings.Builder
	for _, claim := range claims {
		fmt.Fprintf(&list, "  - {%s, state: %s}\n", claim, state)
	}
	binding := parse(c.t, "apiVersion: apis.kcp.io/v1alpha2\nkind: APIBinding\nmetadata: {name: "+export+
		"}\nspec:\n  reference: {export: {path: "+`"`+provider+`"`+", name: "+export+"}}\n  permissionClaims:\n"+list.String())
	if _, err := c.Resource(bindings).Create(c.t.Context(), binding, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	annex.Eventually(c.t, func(ctx context.Context) error {
		got, err := c.Resource(bindings).Get(ctx, export, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if phase, _, _ := unstructured.NestedString(got.Object, "status", "phase"); phase != "Bound" {
			return fmt.Errorf("the APIBinding %s is %q: %v", export, phase, got.Object["status"])
		}
		return nil
	})
}

// create makes an object in the namespace default, when its API is served.
func (c *consumer) create(resource schema.GroupVersionResource, document string) {
	c.t.Helper()
	obj := parse(c.t, document)
	annex.Eventually(c.t, func(ctx context.Context) error {
		_, err := c.Resource(resource).Namespace("default").Create(ctx, obj, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
}

// says waits until a condition of an object has a status and a reason, for its current generation.
func (c *consumer) says(resource schema.GroupVersionResource, name, condition, status, reason string) *unstructured.Unstructured {
	c.t.Helper()
	var found *unstructured.Unstructured
	annex.Eventually(c.t, func(ctx context.Context) (err error) {
		if found, err = c.Resource(resource).Namespace("default").Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		return checkCondition(found, condition, status, reason)
	})
	return found
}

func checkCondition(obj *unstructured.Unstructured, condition, status, reason string) error {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, each := range conditions {
		is, ok := each.(map[string]any)
		if !ok || is["type"] != condition {
			continue
		}
		if is["status"] == status && is["reason"] == reason && is["observedGeneration"] == obj.GetGeneration() {
			return nil
		}
	}
	return fmt.Errorf("%s of %s is not %s by %s at generation %d: %v", condition, obj.GetName(), status, reason, obj.GetGeneration(), conditions)
}

// eventually is annex.Eventually for conditions that run a program.
func eventually(t *testing.T, condition func(ctx context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 250*time.Millisecond, 3*time.Minute, true, func(ctx context.Context) (bool, error) {
		last = condition(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%v: %v", err, last)
	}
}

// gone waits until an object does not exist.
func (c *consumer) gone(resource schema.GroupVersionResource, name string) {
	c.t.Helper()
	annex.Eventually(c.t, func(ctx context.Context) error {
		_, err := c.Resource(resource).Namespace("default").Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, fmt.Errorf("%s %s is there", resource.Resource, name))
	})
}

// told waits until the users were told something about an object.
func (c *consumer) told(name, reason string) {
	c.t.Helper()
	annex.Eventually(c.t, func(ctx context.Context) error {
		events, err := c.typed.CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason + ",involvedObject.name=" + name})
		if err == nil && len(events.Items) == 0 {
			err = fmt.Errorf("no Event %s about %s", reason, name)
		}
		return err
	})
}

func (c *consumer) secret(name string) *corev1.Secret {
	c.t.Helper()
	secret, err := c.typed.CoreV1().Secrets("default").Get(c.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return secret
}
