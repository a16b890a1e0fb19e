package sync

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/framework/annex"
	hostframework "github.com/annex-dev/annex/test/framework/host"
	"github.com/annex-dev/annex/test/framework/host/process"
	"github.com/annex-dev/annex/test/framework/projects"
)

const (
	configuration = "../../../examples/sync/sync.yaml"
	chartDir      = "../../../charts/annex-sync"
	// agentName is that of the release, and of its namespace.
	agentName = "annex-sync"
	// home is the namespace of the stock controllers on the host.
	home = "cert-manager"
	// lease is short, because the successor of a killed agent waits for its end.
	lease = "4s"
)

var (
	certificates = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	issuers      = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "issuers"}
	bundles      = schema.GroupVersionResource{Group: "trust.cert-manager.io", Version: "v1alpha1", Resource: "bundles"}
	trustBundles = schema.GroupVersionResource{Group: "trust.cert-manager.io", Version: "v1alpha1", Resource: "trustbundles"}
	bindings     = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apibindings"}
	definitions  = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	apiServices  = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
)

// at is a cluster or a workspace with clients of an administrator.
type at struct {
	t       *testing.T
	config  *rest.Config
	path    string // of a workspace
	cluster string
	typed   kubernetes.Interface
	dynamic.Interface
}

func newAt(t *testing.T, config *rest.Config) *at {
	t.Helper()
	typed, untyped := annex.Clients(t, config)
	return &at{t: t, config: config, typed: typed, Interface: untyped}
}

// world is a host with Annex, cert-manager and trust-manager in it, and a provider's workspace.
type world struct {
	*annex.Server
	t        *testing.T
	host     *at
	provider *at
	// kubeconfig is that of the agent's ServiceAccount on the host.
	kubeconfig string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	host := hostframework.Start(t)
	w := &world{t: t, host: newAt(t, host.Config())}
	w.grantAnnex()
	config, err := host.ConfigFor("annex")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "annex.kubeconfig")
	writeKubeconfig(t, kubeconfig, config)
	w.Server = annex.Start(t, "--tls-san", "annex.annex-system.svc", "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig)
	w.register()
	path, cluster := w.NewWorkspace("root", "certificates", "")
	w.provider = newAt(t, w.Workspace(path))
	w.provider.path, w.provider.cluster = path, cluster

	w.host.create("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + home + "}")
	for _, name := range []string{"cert-manager", "trust-manager"} {
		for _, definition := range projects.Named(t, name).Definitions(t) {
			data, err := yaml.Marshal(definition)
			if err != nil {
				t.Fatal(err)
			}
			w.host.create(string(data))
		}
	}
	w.host.create("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + agentName + "}")
	w.host.create(w.chart("service"))
	w.provider.create(w.chart("workspace"))
	token, err := w.host.typed.CoreV1().ServiceAccounts(agentName).CreateToken(t.Context(), agentName, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account := rest.AnonymousClientConfig(w.host.config)
	account.BearerToken = token.Status.Token
	w.kubeconfig = filepath.Join(t.TempDir(), "agent.kubeconfig")
	writeKubeconfig(t, w.kubeconfig, account)
	return w
}

// chart returns what a part of the chart renders for the configuration of the example.
func (w *world) chart(part string) string {
	w.t.Helper()
	binary, err := annex.Program("helm")
	if err != nil {
		w.t.Fatal(err)
	}
	command := exec.CommandContext(w.t.Context(), binary, "template", agentName, chartDir, "--namespace", agentName, "--set-file", "configuration="+configuration, "--set", "part="+part)
	command.Env = append(os.Environ(), "HOME="+w.t.TempDir())
	out, err := command.CombinedOutput()
	if err != nil {
		w.t.Fatalf("rendering the part %s of the chart: %v\n%s", part, err, out)
	}
	return string(out)
}

// grantAnnex gives Annex the rights that it needs on the host.
func (w *world) grantAnnex() {
	w.t.Helper()
	subject := "subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: annex}]\n"
	role := func(kind, name string) string {
		return "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: " + kind + ", name: \"" + name + "\"}\n"
	}
	binding := "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: %s}\n"
	if _, err := w.host.typed.RbacV1().ClusterRoles().Create(w.t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "annex-apiservices"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{apiServices.Group}, Resources: []string{apiServices.Resource}, Verbs: []string{"get", "list", "watch", "create", "update", "delete"},
	}}}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.host.create(fmt.Sprintf(binding, "annex-apiservices") + role("ClusterRole", "annex-apiservices") + subject)
	w.host.create(fmt.Sprintf(binding, "annex-delegator") + role("ClusterRole", "system:auth-delegator") + subject)
	w.host.create("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: annex-reader, namespace: kube-system}\n" +
		role("Role", "extension-apiserver-authentication-reader") + subject)
}

// register makes the Service and the anchor of Annex, and waits until the host reaches workspaces and exports.
func (w *world) register() {
	w.t.Helper()
	address, err := url.Parse(w.URL())
	if err != nil {
		w.t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		w.t.Fatal(err)
	}
	w.host.create(fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: annex-system}
---
apiVersion: v1
kind: Service
metadata: {name: annex, namespace: annex-system}
spec: {type: ExternalName, externalName: localhost, ports: [{port: %[1]d}]}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1alpha1.tenancy.kcp.io}
spec: {group: tenancy.kcp.io, version: v1alpha1, groupPriorityMinimum: 1000, versionPriority: 100, service: {namespace: annex-system, name: annex, port: %[1]d}}
`, port))
	for _, name := range []string{"v1alpha1.tenancy.kcp.io", "v1alpha2.apis.kcp.io"} {
		annex.Eventually(w.t, func(ctx context.Context) error {
			got, err := w.host.Resource(apiServices).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			return condition(got, "Available")
		})
	}
}

// condition returns an error unless a condition of obj is True.
func condition(obj *unstructured.Unstructured, name string) error {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range conditions {
		if c, ok := item.(map[string]any); ok && c["type"] == name && c["status"] == "True" {
			return nil
		}
	}
	return fmt.Errorf("%s %s is not %s: %v", obj.GetKind(), obj.GetName(), name, conditions)
}

// operate runs the stock controllers on the host until the test ends.
func (w *world) operate(names ...string) {
	w.t.Helper()
	binary, err := annex.Program("ecosystem-controllers")
	if err != nil {
		w.t.Fatal(err)
	}
	kubeconfig := filepath.Join(w.t.TempDir(), "host.kubeconfig")
	writeKubeconfig(w.t, kubeconfig, w.host.config)
	for _, name := range names {
		child, err := process.Start(binary, []string{name, "--kubeconfig", kubeconfig, "--namespace", home, "--lease", "60s"}, filepath.Join(w.t.TempDir(), name))
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() {
			child.Kill()
			if w.t.Failed() {
				w.t.Logf("%s: %s", name, child.Tail())
			}
		})
	}
}

// startAgent runs `annex sync` with the configuration of the example until the test ends, or is killed.
func (w *world) startAgent() *process.Process {
	w.t.Helper()
	return w.run(readFile(w.t, configuration) + "service: {kubeconfig: " + w.kubeconfig + "}\n")
}

// run runs `annex sync` with a configuration.
func (w *world) run(configuration string) *process.Process {
	w.t.Helper()
	binary, err := annex.Program("annex")
	if err != nil {
		w.t.Fatal(err)
	}
	dir := w.t.TempDir()
	file := filepath.Join(dir, "sync.yaml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		w.t.Fatal(err)
	}
	args := []string{"sync", "--config", file, "--leader-election-namespace", agentName, "--leader-election-lease-duration", lease, "-v", "1"}
	agent, err := process.Start(binary, args, filepath.Join(dir, "log"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		agent.Kill()
		if w.t.Failed() {
			w.t.Logf("annex sync: %s", agent.Tail())
		}
	})
	return agent
}

// consumer makes a workspace that binds the export of certificates.
func (w *world) consumer(name string) *at {
	w.t.Helper()
	path, cluster := w.NewWorkspace("root", name, "")
	c := newAt(w.t, w.Workspace(path))
	c.path, c.cluster = path, cluster
	c.bind(w.provider, "certificates", "configmaps", "events", "secrets")
	return c
}

// bind binds an export and accepts its claims.
func (a *at) bind(provider *at, export string, claims ...string) {
	a.t.Helper()
	manifest := fmt.Sprintf(`
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: %[2]s}
spec:
  reference: {export: {path: %[1]q, name: %[2]s}}
  permissionClaims:
`, provider.path, export)
	for _, claim := range claims {
		manifest += "  - {resource: " + claim + ", verbs: [\"*\"], state: Accepted, selector: {matchAll: true}}\n"
	}
	// The export appears when the definitions are published.
	a.create(manifest)
	annex.Eventually(a.t, func(ctx context.Context) error {
		got, err := a.Resource(bindings).Get(ctx, export, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return condition(got, "InitialBindingCompleted")
	})
}

// create creates the objects of a manifest.
func (a *at) create(manifest string) {
	a.t.Helper()
	client, err := rest.HTTPClientFor(a.config)
	if err != nil {
		a.t.Fatal(err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(a.config, client)
	if err != nil {
		a.t.Fatal(err)
	}
	for document := range bytes.SplitSeq([]byte(manifest), []byte("\n---\n")) {
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &obj.Object); err != nil {
			a.t.Fatalf("%v in %s", err, document)
		}
		if len(obj.Object) == 0 {
			continue // what a template leaves of a file
		}
		annex.Eventually(a.t, func(ctx context.Context) error {
			mapping, err := mapper.RESTMapping(obj.GroupVersionKind().GroupKind(), obj.GroupVersionKind().Version)
			if err != nil {
				return err
			}
			_, err = a.Resource(mapping.Resource).Namespace(obj.GetNamespace()).Create(ctx, obj, metav1.CreateOptions{})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("creating %s: %w", document, err)
			}
			return nil
		})
	}
}

// secret returns a Secret in the namespace default of a consumer, once it has a key.
func (a *at) secret(name, key string) (secret *corev1.Secret) {
	a.t.Helper()
	annex.Eventually(a.t, func(ctx context.Context) (err error) {
		secret, err = a.typed.CoreV1().Secrets("default").Get(ctx, name, metav1.GetOptions{})
		if err == nil && len(secret.Data[key]) == 0 {
			return fmt.Errorf("Secret %s of %s has no %s", name, a.path, key)
		}
		return err
	})
	return secret
}

// gone waits until there is no object of a name.
func (a *at) gone(resource schema.GroupVersionResource, namespace, name string) {
	a.t.Helper()
	annex.Eventually(a.t, func(ctx context.Context) error {
		got, err := a.Resource(resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err == nil:
			return fmt.Errorf("%s %s/%s is there: %v", resource.Resource, namespace, name, got.Object["metadata"])
		}
		return err
	})
}

// told waits for an Event in the namespace default of a consumer.
func (a *at) told(reason, about, what string) {
	a.t.Helper()
	annex.Eventually(a.t, func(ctx context.Context) error {
		list, err := a.typed.CoreV1().Events("default").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if e := &list.Items[i]; e.Reason == reason && e.InvolvedObject.Name == about && strings.Contains(e.Message, what) {
				return nil
			}
		}
		return fmt.Errorf("no Event %s about %s", reason, about)
	})
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeKubeconfig(t *testing.T, path string, c *rest.Config) {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["host"] = &clientcmdapi.Cluster{Server: c.Host, CertificateAuthority: c.CAFile, CertificateAuthorityData: c.CAData}
	config.AuthInfos["user"] = &clientcmdapi.AuthInfo{
		ClientCertificate: c.CertFile, ClientCertificateData: c.CertData, ClientKey: c.KeyFile, ClientKeyData: c.KeyData, Token: c.BearerToken,
	}
	config.Contexts["host"] = &clientcmdapi.Context{Cluster: "host", AuthInfo: "user"}
	config.CurrentContext = "host"
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
}
