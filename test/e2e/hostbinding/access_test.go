package hostbinding

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

const accessManifest = `
apiVersion: annex.dev/v1alpha1
kind: WorkspaceAccess
metadata: {name: %s}
spec:
  workspace: {path: %q}
  role: {clusterRole: edit}
  format: ArgoCD
`

// access is a workspace whose administrator is a user of the host, who may do everything with annex.dev in a namespace of the host.
type access struct {
	*world
	host      kubernetes.Interface
	namespace string
	team      string // path of the workspace
	owner     *user
}

func newAccess(t *testing.T, name string) *access {
	t.Helper()
	a := &access{world: &world{Server: installed.annex.For(t), t: t}, namespace: name}
	a.host, _ = annex.Clients(t, installed.host.Config())
	a.team, _ = a.NewWorkspace("root", name+"-team", "")
	a.world.namespace(name)
	a.owner = newUser(t, name+"-owner", "annex.dev", name)
	a.Kubectl(a.team, "", "create", "clusterrolebinding", "owner", "--clusterrole=cluster-admin", "--user="+name+"-owner")
	a.allow("get", "namespaces", "")
	a.allow("list", "resourcequotas", "")
	a.allow("update", "resourcequotas/status", "")
	return a
}

// allow lets Annex do something on the host, as the chart does.
func (a *access) allow(verbs, what, namespace string) {
	a.t.Helper()
	name := "annex-" + a.namespace + "-" + strings.ReplaceAll(what, "/", "-")
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{what}, Verbs: strings.Split(verbs, ",")}}}
	subjects, ref := []rbacv1.Subject{{Kind: "User", Name: "annex", APIGroup: rbacv1.GroupName}}, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
	_, err := a.host.RbacV1().ClusterRoles().Create(a.t.Context(), role, metav1.CreateOptions{})
	if err == nil && namespace == "" {
		_, err = a.host.RbacV1().ClusterRoleBindings().Create(a.t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: subjects, RoleRef: ref}, metav1.CreateOptions{})
	} else if err == nil {
		_, err = a.host.RbacV1().RoleBindings(namespace).Create(a.t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: subjects, RoleRef: ref}, metav1.CreateOptions{})
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// client returns who uses the Secret called name, as Argo CD does.
func (a *access) client(name string) kubernetes.Interface {
	a.t.Helper()
	secret, err := a.host.CoreV1().Secrets(a.namespace).Get(a.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		a.t.Fatal(err)
	}
	var config struct {
		BearerToken     string `json:"bearerToken"`
		TLSClientConfig struct {
			CAData []byte `json:"caData"`
		} `json:"tlsClientConfig"`
	}
	if err := json.Unmarshal(secret.Data["config"], &config); err != nil {
		a.t.Fatal(err)
	}
	if secret.Labels["argocd.argoproj.io/secret-type"] != "cluster" || string(secret.Data["name"]) != a.team {
		a.t.Errorf("Secret %v", secret.ObjectMeta)
	}
	client, _ := annex.Clients(a.t, &rest.Config{Host: string(secret.Data["server"]), BearerToken: config.BearerToken, TLSClientConfig: rest.TLSClientConfig{CAData: config.TLSClientConfig.CAData}})
	return client
}

// wantCondition waits until a WorkspaceAccess has a condition, "<type>=<status> <reason>".
func (a *access) wantCondition(name, want string) {
	a.t.Helper()
	condition, state, _ := strings.Cut(want, "=")
	a.eventually(want, func() error {
		out, _ := a.owner.try("", "get", "workspaceaccess", name, "-n", a.namespace, "-o", fmt.Sprintf(`jsonpath={range .status.conditions[?(@.type==%q)]}{.status} {.reason}{end}`, condition))
		if strings.TrimSpace(out) != state {
			return fmt.Errorf("%s is %s", name, out)
		}
		return nil
	})
}

// wantRevoked waits until a token is nobody's and a Secret is gone.
func (a *access) wantRevoked(client kubernetes.Interface, name string) {
	a.t.Helper()
	a.eventually("the token is refused", func() error {
		if _, err := client.CoreV1().ConfigMaps("default").List(a.t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
			return fmt.Errorf("the answer is %w", err)
		}
		return nil
	})
	a.eventually("the Secret is gone", func() error {
		if _, err := a.host.CoreV1().Secrets(a.namespace).Get(a.t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the answer is %w", err)
		}
		return nil
	})
}

// A user of the host gets a Secret for Argo CD by kubectl apply, in one namespace. Nobody else does.
func TestWorkspaceAccess_UserOfTheHost(t *testing.T) {
	a := newAccess(t, "access")
	apply := func(u *user, name string) (string, error) {
		return u.try(fmt.Sprintf(accessManifest, name, a.team), "apply", "-n", a.namespace, "-f", "-")
	}
	if out, err := apply(a.owner, "team"); err != nil {
		t.Fatal(out)
	}
	// Before an operator says where, Annex writes no Secret.
	a.wantCondition("team", "SecretWritten=False Forbidden")
	a.allow("get,create,update,delete", "secrets", a.namespace)
	a.owner.kubectl("", "annotate", "workspaceaccess", "team", "-n", a.namespace, "look=again")
	a.owner.kubectl("", "wait", "--for=condition=Ready", "workspaceaccess/team", "-n", a.namespace, "--timeout=120s")
	if out := a.owner.kubectl("", "get", "workspaceaccesses", "-n", a.namespace); !strings.Contains(out, a.team) || !strings.Contains(out, "ArgoCD") {
		t.Errorf("kubectl get prints %s", out)
	}
	client := a.client("team")
	if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "delivered"}}, metav1.CreateOptions{}); err != nil {
		t.Errorf("with the Secret: %v", err)
	}
	if _, err := client.RbacV1().ClusterRoles().List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("beyond the role: %v", err)
	}

	// Somebody with the same rights on the host, and none in the workspace.
	other := newUser(t, "access-other", "annex.dev", a.namespace)
	if out, err := apply(other, "mine"); err == nil || !strings.Contains(out, "no permission to enter workspace "+a.team) {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := other.try("", "patch", "workspaceaccess", "team", "-n", a.namespace, "--type=merge", "-p", `{"spec":{"format":"Flux"}}`); err == nil {
		t.Errorf("somebody else changes what it is: %s", out)
	}
	// The host decides about the namespace, and knows what exists.
	if out, err := a.owner.try(fmt.Sprintf(accessManifest, "x", a.team), "apply", "-n", "default", "-f", "-"); err == nil || !strings.Contains(out, "orbidden") {
		t.Errorf("in another namespace: %v: %s", err, out)
	}
	if out, err := admin(t).try(fmt.Sprintf(accessManifest, "x", a.team), "apply", "-n", "nowhere", "-f", "-"); err == nil || !strings.Contains(out, `namespaces "nowhere" not found`) {
		t.Errorf("in a namespace that the host does not have: %v: %s", err, out)
	}
	// An administrator of the host is nobody in the workspace.
	if out, err := admin(t).try(fmt.Sprintf(accessManifest, "x", a.team), "apply", "-n", a.namespace, "-f", "-"); err == nil || !strings.Contains(out, "no permission to enter workspace") {
		t.Errorf("an administrator of the host: %v: %s", err, out)
	}

	// A Secret of somebody else is in the way.
	if _, err := a.host.CoreV1().Secrets(a.namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "taken"}, StringData: map[string]string{"mine": "1"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if out, err := apply(a.owner, "taken"); err != nil {
		t.Fatal(out)
	}
	a.wantCondition("taken", "SecretWritten=False Conflict")
	a.owner.kubectl("", "delete", "workspaceaccess", "taken", "team", "-n", a.namespace, "--timeout=120s")
	if secret, err := a.host.CoreV1().Secrets(a.namespace).Get(t.Context(), "taken", metav1.GetOptions{}); err != nil || string(secret.Data["mine"]) != "1" {
		t.Errorf("the Secret of somebody else is %v, %v", secret, err)
	}
	a.wantRevoked(client, "team")
}

// A quota of the host counts WorkspaceAccesses.
func TestWorkspaceAccess_Quota(t *testing.T) {
	a := newAccess(t, "access-quota")
	const counted = "count/workspaceaccesses.annex.dev"
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "accesses"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{counted: resource.MustParse("1")}}}
	if _, err := a.host.CoreV1().ResourceQuotas(a.namespace).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	create := func(name string) (string, error) {
		return a.owner.try(fmt.Sprintf(accessManifest, name, a.team), "create", "-n", a.namespace, "-f", "-")
	}
	a.eventually("the first one", func() error { // until kube-controller-manager has counted
		if out, err := create("one"); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if out, err := create("two"); err == nil || !strings.Contains(out, "exceeded quota: accesses, requested: "+counted+"=1, used: "+counted+"=1, limited: "+counted+"=1") {
		t.Errorf("the second one: %v: %s", err, out)
	}
	a.owner.kubectl("", "delete", "workspaceaccess", "one", "-n", a.namespace, "--timeout=120s")
	a.eventually("one after the first is gone", func() error {
		if out, err := create("two"); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// Only who comes through the host has asked it about the namespace.
func TestWorkspaceAccess_OnlyThroughTheHost(t *testing.T) {
	a := newAccess(t, "access-door")
	a.allow("get,create,update,delete", "secrets", a.namespace)
	a.Kubectl("root", "", "create", "clusterrolebinding", "access-door", "--clusterrole=cluster-admin", "--user=access-door-owner")
	if _, err := a.host.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "access-door-proxy"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "access-door-owner", APIGroup: rbacv1.GroupName}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "access-door-proxy"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.host.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "access-door-proxy"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"tenancy.kcp.io"}, Resources: []string{"workspaces/proxy"}, Verbs: []string{"*"}},
	}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	proxy := []string{"--server", a.owner.config.Host + "/apis/tenancy.kcp.io/v1alpha1/workspaces/root/proxy"}
	a.eventually("the owner enters root", func() error {
		if out, err := a.owner.try("", append(proxy, "get", "namespaces")...); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if out, err := a.owner.try(fmt.Sprintf(accessManifest, "x", a.team), append(proxy, "create", "-n", "default", "-f", "-")...); err == nil || !strings.Contains(out, "write it on the host") {
		t.Errorf("by the proxy URL of the host workspace: %v: %s", err, out)
	}
	if out, err := a.owner.try(fmt.Sprintf(accessManifest, "x", a.team), append(proxy, "apply", "--server-side", "-n", "default", "-f", "-")...); err == nil || !strings.Contains(out, "write it on the host") {
		t.Errorf("by server-side apply: %v: %s", err, out)
	}
	// A dry run stores nothing, not even the namespace in the host workspace.
	a.owner.kubectl(fmt.Sprintf(accessManifest, "x", a.team), "create", "--dry-run=server", "-n", a.namespace, "-f", "-")
	if out, stderr, err := a.TryKubectl("root", "", "get", "namespace", a.namespace); err == nil || !strings.Contains(stderr, "NotFound") {
		t.Errorf("%s%s", out, stderr)
	}
}

// The namespace of the host takes everything with it. A later one of the same name gets nothing of it.
func TestWorkspaceAccess_NamespaceGoes(t *testing.T) {
	a := newAccess(t, "access-gone")
	a.allow("get,create,update,delete", "secrets", a.namespace)
	a.owner.kubectl(fmt.Sprintf(accessManifest, "team", a.team), "apply", "-n", a.namespace, "-f", "-")
	a.owner.kubectl("", "wait", "--for=condition=Ready", "workspaceaccess/team", "-n", a.namespace, "--timeout=120s")
	client := a.client("team")
	if _, err := client.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	root := admin(t)
	if out, err := root.try("", "delete", "namespace", a.namespace, "--timeout=120s"); err != nil {
		status, _ := root.try("", "get", "namespace", a.namespace, "-o", "jsonpath={.status.conditions}")
		left, _ := root.try("", "get", "workspaceaccesses", "-n", a.namespace, "-o", "yaml")
		t.Fatalf("%v: %s\n%s\n%s", err, out, status, left)
	}
	a.wantRevoked(client, "team")
	if out := a.Kubectl(a.team, "", "get", "serviceaccounts", "-n", "kube-system", "-l", "annex.dev/workspaceaccess-uid", "-o", "name"); strings.TrimSpace(out) != "" {
		t.Errorf("left in the workspace: %s", out)
	}

	a.world.namespace(a.namespace)
	if out := a.Kubectl("root", "", "get", "workspaceaccesses", "-n", a.namespace, "-o", "name"); strings.TrimSpace(out) != "" {
		t.Errorf("the new namespace has %s", out)
	}
	// The namespace in the host workspace belonged to the first one, and is replaced.
	a.eventually("a WorkspaceAccess in the new namespace", func() error {
		if out, err := root.try(fmt.Sprintf(accessManifest, "team", a.team), "apply", "--as", "access-gone-owner", "--as-group", "system:masters", "-n", a.namespace, "-f", "-"); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	uid := root.kubectl("", "get", "namespace", a.namespace, "-o", "jsonpath={.metadata.uid}")
	if out := a.Kubectl("root", "", "get", "namespace", a.namespace, "-o", `jsonpath={.metadata.labels.annex\.dev/host-namespace}`); out != uid {
		t.Errorf("the namespace in the host workspace is that of %q, want %q", out, uid)
	}
	root.kubectl("", "delete", "namespace", a.namespace, "--timeout=120s")
}
