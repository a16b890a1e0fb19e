package hostbinding

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

const exportManifest = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.widgets.%[1]s}
spec:
  group: %[1]s
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    schema:
      type: object
      properties:
        spec: {type: object, properties: {size: {type: integer, description: How big it is.}}}
        status: {type: object, properties: {size: {type: integer}}}
---
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.planets.%[1]s}
spec:
  group: %[1]s
  names: {plural: planets, singular: planet, kind: Planet, listKind: PlanetList}
  scope: Cluster
  versions:
  - name: v1
    served: true
    storage: true
    schema: {type: object}
---
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: %[1]s}
spec:
  resources:
  - {group: %[1]s, name: widgets, schema: v1.widgets.%[1]s, storage: {crd: {}}}
`

const planetsToo = `
  - {group: %[1]s, name: planets, schema: v1.planets.%[1]s, storage: {crd: {}}}
`

const widgetManifest = `
apiVersion: %s/v1
kind: Widget
metadata: {name: %s, labels: {size: "%[3]d"}}
spec: {size: %[3]d}
`

// world is an API of its own, exported by a workspace of its own, beside a workspace below which teams have theirs.
type world struct {
	*annex.Server
	t *testing.T
	// group is the API group, and the name of the export and of the HostBinding.
	group           string
	provider, teams string
}

// newWorld makes a world called name; with planets, a cluster-scoped resource is exported, too.
func newWorld(t *testing.T, name string, planets bool) *world {
	t.Helper()
	w := &world{Server: installed.annex.For(t), t: t, group: name + ".example.com"}
	w.provider, _ = w.NewWorkspace("root", name+"-provider", "")
	w.teams, _ = w.NewWorkspace("root", name+"-teams", "")
	manifest := fmt.Sprintf(exportManifest, w.group)
	if planets {
		manifest += strings.TrimPrefix(fmt.Sprintf(planetsToo, w.group), "\n")
	}
	w.Kubectl(w.provider, manifest, "apply", "-f", "-")
	return w
}

// team makes a workspace that binds the API, with a namespace of the same name there and on the host.
func (w *world) team(name string) string {
	w.t.Helper()
	path, _ := w.NewWorkspace(w.teams, name, "")
	w.bind(path)
	w.Kubectl(path, "", "create", "namespace", name)
	w.namespace(name)
	return path
}

// bind binds the API in a workspace and waits until it is served there.
func (w *world) bind(path string) {
	w.t.Helper()
	w.Kubectl(path, fmt.Sprintf("apiVersion: apis.kcp.io/v1alpha2\nkind: APIBinding\nmetadata: {name: %[2]s}\nspec: {reference: {export: {path: %[1]s, name: %[2]s}}}", w.provider, w.group), "apply", "-f", "-")
	w.Kubectl(path, "", "wait", "--for=condition=InitialBindingCompleted", "apibinding/"+w.group, "--timeout=120s")
}

// namespace makes a namespace on the host, and removes it with the test.
func (w *world) namespace(name string) {
	w.t.Helper()
	client, _ := annex.Clients(w.t, installed.host.Config())
	if _, err := client.CoreV1().Namespaces().Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// project makes a HostBinding for the API, on the host, and waits until it is ready. more is what follows in its spec.
func (w *world) project(path, more string) {
	w.t.Helper()
	w.apply(path, more)
	admin(w.t).kubectl("", "wait", "--for=condition=Ready", "hostbinding/"+w.group, "--timeout=120s")
}

func (w *world) apply(path, more string) {
	w.t.Helper()
	// The host may make HostBindings, but has no say about exports and workspaces: that is the administrator of Annex.
	w.Kubectl("root", fmt.Sprintf("apiVersion: annex.dev/v1alpha1\nkind: HostBinding\nmetadata: {name: %[2]s}\nspec:\n  reference: {export: {path: %[1]s, name: %[2]s}}\n  workspace: {path: %[3]q%[4]s", w.provider, w.group, path, more), "apply", "-f", "-")
	w.t.Cleanup(func() {
		if _, stderr, err := w.TryKubectl("root", "", "delete", "hostbinding", w.group, "--ignore-not-found", "--timeout=120s"); err != nil {
			w.t.Errorf("%v: %s", err, stderr)
		}
	})
}

const (
	byHost      = "}\n  authorization: Host"
	byWorkspace = "}"
)

// template is the path that gives each namespace a workspace of its own.
func (w *world) template() string { return w.teams + ":{namespace}" }

// status returns a condition of the HostBinding as "status reason".
func (w *world) condition(name string) string {
	w.t.Helper()
	out, _, _ := w.TryKubectl("root", "", "get", "hostbinding", w.group, "-o", fmt.Sprintf(`jsonpath={range .status.conditions[?(@.type==%q)]}{.status} {.reason} {.message}{end}`, name))
	return out
}

func (w *world) eventually(what string, condition func() error) {
	w.t.Helper()
	annex.Eventually(w.t, func(context.Context) error {
		if err := condition(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// user is somebody with an account on the host and kubectl.
type user struct {
	t          *testing.T
	config     *rest.Config
	kubeconfig string
}

// admin is an administrator of the host, who is nobody special here.
func admin(t *testing.T) *user {
	t.Helper()
	return withConfig(t, installed.host.Config())
}

func withConfig(t *testing.T, config *rest.Config) *user {
	t.Helper()
	u := &user{t: t, config: config, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	if err := writeKubeconfig(u.kubeconfig, config); err != nil {
		t.Fatal(err)
	}
	return u
}

// newUser returns a user of the host who may do everything with an API group in namespaces, or everywhere when there are none.
func newUser(t *testing.T, name, group string, namespaces ...string) *user {
	t.Helper()
	config, err := installed.host.ConfigFor(name)
	if err != nil {
		t.Fatal(err)
	}
	client, _ := annex.Clients(t, installed.host.Config())
	role := name + "-" + group
	if _, err := client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: role}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"*"}, APIGroups: []string{group}, Resources: []string{"*"}},
	}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	subjects := []rbacv1.Subject{{Kind: "User", Name: name, APIGroup: rbacv1.GroupName}}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
	for _, namespace := range namespaces {
		if _, err := client.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: role}, Subjects: subjects, RoleRef: ref}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(namespaces) == 0 {
		if _, err := client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: role}, Subjects: subjects, RoleRef: ref}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return withConfig(t, config)
}

// command returns kubectl as the user, on the host.
func (u *user) command(args ...string) *exec.Cmd {
	u.t.Helper()
	binary, err := annex.Program("kubectl")
	if err != nil {
		u.t.Fatal(err)
	}
	home := filepath.Dir(u.kubeconfig)
	command := exec.CommandContext(u.t.Context(), binary, append([]string{"--kubeconfig", u.kubeconfig, "--cache-dir", filepath.Join(home, "cache")}, args...)...)
	command.Env = append(os.Environ(), "HOME="+home)
	return command
}

// try runs kubectl and returns all it printed.
func (u *user) try(stdin string, args ...string) (string, error) {
	u.t.Helper()
	command := u.command(args...)
	command.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}

// kubectl is try for what must succeed.
func (u *user) kubectl(stdin string, args ...string) string {
	u.t.Helper()
	out, err := u.try(stdin, args...)
	if err != nil {
		u.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}
