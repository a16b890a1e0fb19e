package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

// workspaceRule, everything about workspaces, is the one rule that a user of the host is given.
func workspaceRule(names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"tenancy.kcp.io"}, Resources: []string{"workspaces", "workspaces/proxy"}, ResourceNames: names}
}

// bindings is the path on the host of what only administrators of its workspace may list.
const bindings = "/apis/apis.kcp.io/v1alpha2/apibindings"

const workspaceManifest = `
apiVersion: tenancy.kcp.io/v1alpha1
kind: Workspace
metadata: {name: %s}
`

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {plural: widgets, singular: widget, kind: Widget}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {size: {type: integer, description: How big it is.}}
`

const widget = `
apiVersion: example.com/v1
kind: Widget
metadata: {name: w, namespace: default}
spec: {size: 3}
`

// ready is a condition: a workspace that u made on the host is Ready.
func ready(u *user, name string) func(context.Context) error {
	return func(context.Context) error {
		out, err := u.try("", "", "get", "workspace", name, "-o", "jsonpath={.status.phase}")
		if err == nil && out != "Ready" {
			err = errors.New("not ready yet")
		}
		if err != nil {
			return fmt.Errorf("workspace %s: %s: %w", name, out, err)
		}
		return nil
	}
}

func TestHost_WorkspacesThroughTheHost(t *testing.T) {
	dev := newUser(t, "dev", workspaceRule())
	dev.kubectl("", fmt.Sprintf(workspaceManifest, "team"), "create", "-f", "-")
	annex.Eventually(t, ready(dev, "team"))
	if out := dev.kubectl("", "", "get", "workspaces"); !strings.Contains(out, "PHASE") || !strings.Contains(out, "team") {
		t.Errorf("kubectl get workspaces on the host: %s", out)
	}
	annex.Eventually(t, func(context.Context) error {
		out, err := dev.try("", "", "explain", "workspaces.spec")
		if err == nil && !strings.Contains(out, "type") {
			err = errors.New("not explained")
		}
		if err != nil {
			return fmt.Errorf("kubectl explain workspaces on the host: %s: %w", out, err)
		}
		return nil
	})

	const team = "root:team"
	dev.kubectl(team, widgets, "apply", "-f", "-")
	dev.kubectl(team, "", "wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=120s")
	dev.kubectl(team, widget, "apply", "--server-side", "-f", "-")
	if out := dev.kubectl(team, "", "get", "widgets"); !strings.Contains(out, "SIZE") || !strings.Contains(out, "3") {
		t.Errorf("table of widgets: %s", out)
	}
	if out := dev.kubectl(team, "", "explain", "widgets.spec.size"); !strings.Contains(out, "How big it is.") {
		t.Errorf("kubectl explain widgets.spec.size: %s", out)
	}
	if out := dev.kubectl(team, "", "get", "--raw", "/openapi/v3"); !strings.Contains(out, "apis/example.com/v1") {
		t.Errorf("OpenAPI v3 through the host does not list example.com/v1")
	}
	// The name of a child of the host's workspace leads to the same place as its path.
	if out := dev.kubectl("team", "", "get", "widgets", "-o", "name"); !strings.Contains(out, "widget.example.com/w") {
		t.Errorf("widgets through the child's name: %s", out)
	}
	large := strings.Repeat("x", 900<<10)
	dev.kubectl(team, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large, namespace: default}\ndata: {x: "+large+"}", "create", "-f", "-")
	if out := dev.kubectl(team, "", "get", "configmap", "large", "-o", "jsonpath={.data.x}"); out != large {
		t.Errorf("a large ConfigMap came back with %d bytes", len(out))
	}
}

// The provider of an API works on its consumers through the host, too.
func TestHost_ProviderThroughTheHost(t *testing.T) {
	server := installed.annex.For(t)
	provider, _ := server.NewWorkspace("root", "provider", "")
	consumer, _ := server.NewWorkspace("root", "consumer", "")
	server.Kubectl(provider, export, "apply", "-f", "-")
	server.Kubectl(consumer, fmt.Sprintf(exportBinding, provider), "apply", "-f", "-")
	annex.Eventually(t, func(context.Context) error {
		_, stderr, err := server.TryKubectl(consumer, "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g}", "apply", "-f", "-")
		if err != nil {
			return fmt.Errorf("%s: %w", stderr, err)
		}
		return nil
	})
	const name = "author"
	author := newUser(t, name, rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"apis.kcp.io"}, Resources: []string{"apiexports/proxy"}})
	path := "/apis/apis.kcp.io/v1alpha2/apiexports/" + provider + ":gadgets/proxy/clusters/*/apis/example.com/v1/gadgets"
	if code := annex.Status(t, author.config, http.MethodGet, path); code != http.StatusForbidden {
		t.Errorf("the endpoint for somebody whom the provider does not know: %d", code)
	}
	server.Kubectl(provider, "", "create", "clusterrolebinding", name, "--clusterrole=cluster-admin", "--user="+name)
	annex.Eventually(t, func(context.Context) error {
		out, err := author.try("", "", "get", "--raw", path)
		if err == nil && !strings.Contains(out, `"name":"g"`) {
			err = errors.New("the gadget is missing")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		return nil
	})
}

// The controller of an initializer works through the host, too.
func TestHost_InitializerThroughTheHost(t *testing.T) {
	server := installed.annex.For(t)
	org, _ := server.NewWorkspace("root", "prepared", "")
	server.Kubectl(org, initializedType, "apply", "-f", "-")
	const name = "preparer"
	preparer := newUser(t, name, rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"tenancy.kcp.io"}, Resources: []string{"workspacetypes/proxy"}})
	endpoint := "/apis/tenancy.kcp.io/v1alpha1/workspacetypes/" + org + ":prepared/proxy/initializingworkspaces/clusters/"
	waiting := endpoint + "*/apis/core.kcp.io/v1alpha1/logicalclusters"
	if code := annex.Status(t, preparer.config, http.MethodGet, waiting); code != http.StatusForbidden {
		t.Errorf("the endpoint for somebody who may not initialize: %d", code)
	}
	server.Kubectl(org, initializerOf+name, "apply", "-f", "-")
	server.Kubectl(org, "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: child}\nspec: {type: {name: prepared}}", "create", "-f", "-")
	var cluster string
	annex.Eventually(t, func(context.Context) error {
		out, err := preparer.try("", "", "get", "--raw", waiting)
		if err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		_, after, found := strings.Cut(out, `"kcp.io/cluster":"`)
		if cluster, _, _ = strings.Cut(after, `"`); !found {
			return errors.New("the new workspace is missing")
		}
		return nil
	})
	if out, err := preparer.try("", "", "get", "--raw", endpoint+cluster+"/api/v1/namespaces/default"); err != nil || !strings.Contains(out, `"name":"default"`) {
		t.Errorf("the content of the workspace: %v: %s", err, out)
	}
	terminators := strings.Replace(endpoint, "initializing", "terminating", 1)
	if code := annex.Status(t, preparer.config, http.MethodGet, terminators+"*/apis/core.kcp.io/v1alpha1/logicalclusters"); code != http.StatusForbidden {
		t.Errorf("the endpoint of terminators for an initializer: %d", code)
	}
}

const initializedType = `
apiVersion: tenancy.kcp.io/v1alpha1
kind: WorkspaceType
metadata: {name: prepared}
spec:
  extend: {with: [{name: universal, path: root}]}
  initializer: true
  initializerPermissions: [{apiGroups: [""], resources: [namespaces], verbs: [get]}]
`

const initializerOf = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: initializer}
rules: [{apiGroups: [tenancy.kcp.io], resources: [workspacetypes], resourceNames: [prepared], verbs: [initialize]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: initializer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: initializer}
subjects:
- apiGroup: rbac.authorization.k8s.io
  kind: User
  name: `

const export = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.gadgets.example.com}
spec:
  group: example.com
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
  scope: Cluster
  versions:
  - name: v1
    served: true
    storage: true
    schema: {type: object}
---
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: gadgets}
spec:
  resources:
  - {group: example.com, name: gadgets, schema: v1.gadgets.example.com, storage: {crd: {}}}
`

const exportBinding = `
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: gadgets}
spec: {reference: {export: {path: %s, name: gadgets}}}
`

func TestHost_StrangersAreRefused(t *testing.T) {
	owner := newUser(t, "owner", workspaceRule())
	owner.kubectl("", fmt.Sprintf(workspaceManifest, "private"), "create", "-f", "-")
	annex.Eventually(t, ready(owner, "private"))

	// The host lets the stranger use every proxy; the workspace does not know them.
	stranger := newUser(t, "stranger", workspaceRule())
	if out, err := stranger.try("root:private", "", "get", "namespaces"); err == nil || !strings.Contains(out, "does not exist, or you may not enter it") {
		t.Errorf("a stranger in the workspace: %v: %s", err, out)
	}
	for _, path := range []string{proxy("root:private") + "/api/v1/namespaces", proxy("root:nowhere") + "/api/v1/namespaces", proxy("private") + "/apis/apps"} {
		if code := annex.Status(t, stranger.config, http.MethodGet, path); code != http.StatusForbidden {
			t.Errorf("%s for a stranger: %d", path, code)
		}
	}
	// Whom the host gives no rights reaches nothing at all.
	nobody := newUser(t, "nobody")
	for _, path := range []string{"/apis/tenancy.kcp.io/v1alpha1/workspaces", proxy("root:private") + "/api"} {
		if code := annex.Status(t, nobody.config, http.MethodGet, path); code != http.StatusForbidden {
			t.Errorf("%s for nobody: %d", path, code)
		}
	}
	// Names in the host's RBAC are the names in the URL.
	named := newUser(t, "named", workspaceRule("root:elsewhere"))
	if code := annex.Status(t, named.config, http.MethodGet, proxy("root:private")+"/version"); code != http.StatusForbidden {
		t.Errorf("a workspace that the host's rule does not name: %d", code)
	}
}

func TestHost_MastersAreNoMastersHere(t *testing.T) {
	admin := installed.host.Config()
	for path, want := range map[string]int{
		// The host's word counts for what the host shows as its own.
		bindings:                          http.StatusOK,
		proxy("root") + "/api/v1/secrets": http.StatusForbidden,
		proxy("root") + "/apis/rbac.authorization.k8s.io/v1/roles": http.StatusForbidden,
		proxy("system:admin") + "/api/v1/secrets":                  http.StatusForbidden,
		proxy("root:team-that-does-not-exist") + "/api/v1/secrets": http.StatusForbidden,
	} {
		if code := annex.Status(t, admin, http.MethodGet, path); code != want {
			t.Errorf("%s for system:masters of the host: %d, want %d", path, code, want)
		}
	}
}

func TestHost_MalformedAddresses(t *testing.T) {
	admin := installed.host.Config()
	nested := proxy("root:a") + proxy("root:b")
	for path, want := range map[string]int{
		nested + "/api": http.StatusBadRequest,
		proxy("root:a") + "/apis/apis.kcp.io/v1alpha2/apiexports/root:x/proxy/clusters/*/api": http.StatusBadRequest,
		proxy("Root:A") + "/api": http.StatusBadRequest,
		proxy("*") + "/api":      http.StatusBadRequest,
		"/apis/apis.kcp.io/v1alpha2/apiexports/root:a:x/proxy/clusters/*" + nested: http.StatusBadRequest,
		"/apis/apis.kcp.io/v1alpha2/apiexports/root:a:x/proxy/clusters/*/api":      http.StatusForbidden,
		"/apis/apis.kcp.io/v1alpha1/apiexports/tenancy.kcp.io/proxy/api":           http.StatusNotFound,
	} {
		if code := annex.Status(t, admin, http.MethodGet, path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	// The host refuses to follow redirects, so none may be answered.
	for _, path := range []string{proxy("root") + "//api", proxy("root") + "/api/", proxy("root"), "/apis/tenancy.kcp.io/v1alpha1/", "/apis/tenancy.kcp.io/"} {
		if code := annex.Status(t, admin, http.MethodGet, path); code >= 300 && code < 400 || code == http.StatusBadGateway {
			t.Errorf("%s: %d", path, code)
		}
	}
}

// forged are headers of somebody who would like to be somebody else.
type forged struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (f forged) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Remote-User", "owner")
	r.Header.Set("X-Remote-Uid", "1")
	r.Header["X-Remote-Group"] = []string{"system:masters", "system:kcp:admin", "system:authenticated"}
	r.Header.Set("X-Remote-Extra-Authentication.kcp.io%2fscopes", "cluster:root")
	return f.next.RoundTrip(r)
}

// direct returns credentials at Annex's own door.
func direct(t *testing.T, token string) *rest.Config {
	t.Helper()
	config := rest.AnonymousClientConfig(installed.annex.For(t).Config(annex.ContextBase))
	config.BearerToken = token
	return config
}

// token returns the token of a new ServiceAccount of the host.
func (c *cluster) token(t *testing.T, name string) string {
	t.Helper()
	client, _ := annex.Clients(t, c.host.Config())
	accounts := client.CoreV1().ServiceAccounts("default")
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

func TestHost_ForgedHeadersChangeNothing(t *testing.T) {
	token := installed.token(t, "forger")
	server := installed.annex.For(t)
	// A certificate that the host takes for its administrator is not one of its front proxy.
	certificate := rest.CopyConfig(direct(t, ""))
	masters := installed.host.Config()
	certificate.CertData, certificate.KeyData = masters.CertData, masters.KeyData
	for name, config := range map[string]*rest.Config{"nobody": direct(t, ""), "a user of the host": direct(t, token), "with a certificate of the host": certificate} {
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return forged{next} })
		for _, path := range []string{"/clusters/root/api/v1/secrets", "/clusters/*/api/v1/secrets", bindings, proxy("root") + "/api/v1/secrets"} {
			if code := annex.Status(t, config, http.MethodGet, path); code != http.StatusForbidden && code != http.StatusUnauthorized {
				t.Errorf("%s: %s with forged headers: %d", name, path, code)
			}
		}
	}
	administrator := server.Workspace("root")
	administrator.Wrap(func(next http.RoundTripper) http.RoundTripper { return forged{next} })
	client, _ := annex.Clients(t, administrator)
	who, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if who.Status.UserInfo.Username == "owner" || who.Status.UserInfo.UID == "1" {
		t.Errorf("forged headers made an administrator %+v", who.Status.UserInfo)
	}
}

func TestHost_TokensAtTheDirectDoor(t *testing.T) {
	token := installed.token(t, "robot")
	server := installed.annex.For(t)
	path, _ := server.NewWorkspace("root", "robots", "")
	config := direct(t, token)
	config.Host = server.Workspace(path).Host
	robot, _ := annex.Clients(t, config)
	if _, err := robot.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("a ServiceAccount of the host that nobody invited: %v", err)
	}
	admin, _ := annex.Clients(t, server.Workspace(path))
	bind := func(name string, subject rbacv1.Subject) {
		t.Helper()
		if _, err := admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: []rbacv1.Subject{subject},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// The workspace's own ServiceAccount of that name is somebody else.
	bind("namesake", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "default", Name: "robot"})
	bind("marker", rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName, Name: "host:serviceaccount:default:marker"})
	marker, _ := annex.Clients(t, func() *rest.Config {
		c := rest.CopyConfig(config)
		c.BearerToken = installed.token(t, "marker")
		return c
	}())
	annex.Eventually(t, func(ctx context.Context) error {
		_, err := marker.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		return err
	})
	if _, err := robot.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a ServiceAccount of the host as the workspace's namesake: %v", err)
	}
	// Without a prefix the host is asked, as for requests that it forwards.
	unprefixed := direct(t, token)
	if code := annex.Status(t, unprefixed, http.MethodGet, bindings); code != http.StatusForbidden {
		t.Errorf("what the host shows to a robot without rights there: %d", code)
	}
	grant(t, "robot", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "default", Name: "robot"},
		rbacv1.PolicyRule{Verbs: []string{"list"}, APIGroups: []string{"apis.kcp.io"}, Resources: []string{"apibindings"}})
	annex.Eventually(t, func(context.Context) error {
		if code := annex.Status(t, unprefixed, http.MethodGet, bindings); code != http.StatusOK {
			return fmt.Errorf("what the host shows to a robot with rights there: %d", code)
		}
		return nil
	})
	// The host's word is about its own workspace alone, and only where it shows it as its own.
	for _, prefix := range []string{"/clusters/root", proxy("root"), "/clusters/" + path} {
		if code := annex.Status(t, unprefixed, http.MethodGet, prefix+bindings); code != http.StatusForbidden {
			t.Errorf("%s%s: %d", prefix, bindings, code)
		}
	}
}

// Users at Annex's own door go on while the host is gone, and readiness says that it is.
func TestHost_Unreachable(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	gone := installed.host.Config()
	gone.Host = "https://127.0.0.1:1"
	if err := writeKubeconfig(kubeconfig, gone); err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t, "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig)
	config := server.Config(annex.ContextBase)
	if code := annex.Status(t, config, http.MethodGet, "/readyz/host"); code != http.StatusInternalServerError {
		t.Errorf("/readyz/host: %d", code)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Get(config.Host + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK || !strings.Contains(response.Header.Get("Warning"), "host") {
		t.Errorf("/readyz: %d, Warning %q", response.StatusCode, response.Header.Get("Warning"))
	}
	server.NewWorkspace("root", "alone", "")
	if code := annex.Status(t, server.As("unknown", "root"), http.MethodGet, "/api"); code != http.StatusUnauthorized {
		t.Errorf("a token that only the host could know: %d", code)
	}
}

// Nothing of what the host asks for needs a user or storage.
func TestHost_DiscoveryAtTheDoor(t *testing.T) {
	config := direct(t, "")
	for _, gv := range groupVersions {
		if code := annex.Status(t, config, http.MethodGet, "/apis/"+gv.String()); code != http.StatusOK {
			t.Errorf("discovery of %s: %d", gv, code)
		}
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Get(config.Host + "/apis")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(body), "k8s.io") || !strings.Contains(string(body), "tenancy.kcp.io") {
		t.Errorf("/apis shows %s", body)
	}
	annex.Eventually(t, func(context.Context) error {
		if code := annex.Status(t, config, http.MethodGet, "/readyz/host"); code != http.StatusOK {
			return fmt.Errorf("/readyz/host: %d", code)
		}
		return nil
	})
}
