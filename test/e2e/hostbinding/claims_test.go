package hostbinding

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/annex-dev/annex/test/framework/annex"
)

const claimManifest = `
apiVersion: annex.dev/v1alpha1
kind: WorkspaceClaim
metadata: {name: %s}
spec: {workspaceClassName: %s}
`

// withSecret returns the manifest of a claim that also asks for a Secret.
func withSecret(manifest, name string) string {
	return strings.Replace(manifest, "spec: {", "spec: {secret: {name: "+name+"}, ", 1)
}

// claims is a class, and a namespace of the host in which users have edit.
type claims struct {
	*world
	host             kubernetes.Interface
	class, namespace string
	alice, bob       *user
}

// newClaims makes a class called name, with more in its spec, and a namespace in which the users <name>-alice and <name>-bob have edit.
func newClaims(t *testing.T, name, more string) *claims {
	t.Helper()
	c := &claims{world: &world{Server: installed.annex.For(t), t: t}, class: name, namespace: name}
	c.host, _ = annex.Clients(t, installed.host.Config())
	c.teams, _ = c.NewWorkspace("root", name+"-teams", "")
	c.world.namespace(name)
	c.grant()
	c.Kubectl("root", fmt.Sprintf("apiVersion: annex.dev/v1alpha1\nkind: WorkspaceClass\nmetadata: {name: %s}\nspec:\n  parent: %s\n  %s\n", name, c.teams, more), "apply", "-f", "-")
	c.alice, c.bob = c.editor(name+"-alice", name), c.editor(name+"-bob", name)
	return c
}

// grant gives Annex and the users of the host what the chart gives them.
func (c *claims) grant() {
	c.t.Helper()
	of := func(name string, labels map[string]string, rules ...rbacv1.PolicyRule) {
		_, err := c.host.RbacV1().ClusterRoles().Create(c.t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Rules: rules}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			c.t.Fatal(err)
		}
	}
	of("annex-claims", nil,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"resourcequotas"}, Verbs: []string{"list"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"resourcequotas/status"}, Verbs: []string{"update"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "create", "update", "delete"}})
	of("annex-claims-edit", map[string]string{"rbac.authorization.k8s.io/aggregate-to-edit": "true"},
		rbacv1.PolicyRule{APIGroups: []string{"annex.dev"}, Resources: []string{"workspaceclaims"}, Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}})
	_, err := c.host.RbacV1().ClusterRoleBindings().Create(c.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "annex-claims"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "annex", APIGroup: rbacv1.GroupName}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "annex-claims"},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		c.t.Fatal(err)
	}
}

// editor returns a user with the ClusterRole edit in one namespace of the host, and nothing else.
func (c *claims) editor(name, namespace string) *user {
	c.t.Helper()
	config, err := installed.host.ConfigFor(name)
	if err != nil {
		c.t.Fatal(err)
	}
	u := withConfig(c.t, config)
	c.bindEdit(name, namespace)
	c.eventually("edit of "+name, func() error {
		if out, err := u.try("", "auth", "can-i", "create", "workspaceclaims.annex.dev", "-n", namespace); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	return u
}

func (c *claims) bindEdit(name, namespace string) {
	c.t.Helper()
	if _, err := c.host.RbacV1().RoleBindings(namespace).Create(c.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: []rbacv1.Subject{{Kind: "User", Name: name, APIGroup: rbacv1.GroupName}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
	}, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *claims) apply(u *user, name string) (string, error) {
	return u.try(fmt.Sprintf(claimManifest, name, c.class), "apply", "-n", c.namespace, "-f", "-")
}

// path waits until a claim is ready, and returns the path of its workspace.
func (c *claims) path(u *user, name string) string {
	c.t.Helper()
	if out, err := u.try("", "wait", "--for=condition=Ready", "workspaceclaim/"+name, "-n", c.namespace, "--timeout=60s"); err != nil {
		all, _ := u.try("", "get", "workspaceclaim", name, "-n", c.namespace, "-o", "yaml")
		c.t.Fatalf("%s\n%s\n%s", out, all, c.Log())
	}
	return u.kubectl("", "get", "workspaceclaim", name, "-n", c.namespace, "-o", "jsonpath={.status.workspace.path}")
}

// deleteAfter returns when the workspace at path is going to be deleted; empty for never.
func (c *claims) deleteAfter(path string) string {
	name := path[strings.LastIndex(path, ":")+1:]
	out, _, _ := c.TryKubectl(c.teams, "", "get", "workspace", name, "-o", `jsonpath={.metadata.annotations.annex\.dev/delete-after}`)
	return out
}

// A developer with edit in one namespace gets a workspace and a Secret by kubectl apply, and reaches nothing else.
func TestWorkspaceClaim_DeveloperOfOneNamespace(t *testing.T) {
	c := newClaims(t, "claims", "secret: {clusterRole: edit}")
	c.alice.kubectl(withSecret(fmt.Sprintf(claimManifest, "app", c.class), "app-cluster"), "apply", "-n", c.namespace, "-f", "-")
	path := c.path(c.alice, "app")
	if !strings.HasPrefix(path, c.teams+":claims-app-") {
		t.Errorf("the workspace is %s", path)
	}
	if out := c.alice.kubectl("", "get", "workspaceclaims", "-n", c.namespace, "-o", "wide"); !strings.Contains(out, "Bound") || !strings.Contains(out, "/clusters/"+path) {
		t.Errorf("kubectl get prints %s", out)
	}
	// The Secret is in the namespace, and leads into the workspace with the role of the class.
	secret, err := c.host.CoreV1().Secrets(c.namespace).Get(t.Context(), "app-cluster", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["kubeconfig"])
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "delivered"}}, metav1.CreateOptions{}); err != nil {
		t.Errorf("with the Secret: %v", err)
	}
	if _, err := client.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("beyond the role: %v", err)
	}
	// Alice owns the workspace; she has no right in its parent, and bob has none in either.
	if out := c.Kubectl(path, "", "get", "clusterrolebinding", "workspace-admin", "-o", "jsonpath={.subjects[*].name}"); out != "claims-alice" {
		t.Errorf("the administrator is %q", out)
	}
	for who, u := range map[string]*user{"alice": c.alice, "bob": c.bob} {
		if out, err := u.try("", "get", "workspaces"); err == nil || !strings.Contains(out, "Forbidden") {
			t.Errorf("%s lists workspaces: %s", who, out)
		}
		if out, err := u.try("", "get", "workspaceclaims", "-A"); err == nil || !strings.Contains(out, "Forbidden") {
			t.Errorf("%s sees the claims of all namespaces: %s", who, out)
		}
		if out, err := u.try(fmt.Sprintf("apiVersion: annex.dev/v1alpha1\nkind: WorkspaceClass\nmetadata: {name: mine-%s}\nspec: {parent: root}", who), "create", "-f", "-"); err == nil {
			t.Errorf("%s writes classes: %s", who, out)
		}
	}
	// What the server records cannot be changed, and neither can the spec.
	for _, annotation := range []string{"annex.dev/owner={\"username\":\"bob\"}", "annex.dev/host-namespace-uid=other"} {
		key, _, _ := strings.Cut(annotation, "=")
		before := c.alice.kubectl("", "get", "workspaceclaim", "app", "-n", c.namespace, "-o", "jsonpath={.metadata.annotations}")
		_, _ = c.alice.try("", "annotate", "--overwrite", "workspaceclaim", "app", "-n", c.namespace, annotation)
		if after := c.alice.kubectl("", "get", "workspaceclaim", "app", "-n", c.namespace, "-o", "jsonpath={.metadata.annotations}"); after != before {
			t.Errorf("%s was changed: %s, before %s", key, after, before)
		}
	}
	if out, err := c.alice.try("", "patch", "workspaceclaim", "app", "-n", c.namespace, "--type=merge", "-p", `{"spec":{"workspaceName":"other"}}`); err == nil || !strings.Contains(out, "the spec must not be changed") {
		t.Errorf("the spec was changed: %s", out)
	}
	if out, err := admin(t).try("", "patch", "workspaceclaim", "app", "-n", c.namespace, "--subresource=status", "--type=merge", "-p", `{"status":{"phase":"Lost"}}`); err == nil {
		t.Errorf("an administrator of the host wrote the status: %s", out)
	}
	// The Secret goes with the claim, and the workspace stays for the grace period.
	c.alice.kubectl("", "delete", "workspaceclaim", "app", "-n", c.namespace, "--timeout=60s")
	c.eventually("the Secret is revoked", func() error {
		if _, err := c.host.CoreV1().Secrets(c.namespace).Get(t.Context(), "app-cluster", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the Secret: %w", err)
		}
		if _, err := client.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
			return fmt.Errorf("with the token: %w", err)
		}
		return nil
	})
	c.eventually("a time is noted", func() error {
		if c.deleteAfter(path) == "" {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	// Bob does not get it by its name. Alice takes it back.
	if out, err := c.apply(c.bob, "app"); err != nil {
		t.Fatal(out)
	}
	c.eventually("bob waits", func() error {
		if out := c.bob.kubectl("", "get", "workspaceclaim", "app", "-n", c.namespace, "-o", "jsonpath={.status.phase} {.status.conditions[?(@.type=='WorkspaceBound')].reason}"); out != "Pending Conflict" {
			return fmt.Errorf("it is %s", out)
		}
		return nil
	})
	c.bob.kubectl("", "delete", "workspaceclaim", "app", "-n", c.namespace, "--timeout=60s")
	if out, err := c.apply(c.alice, "app"); err != nil {
		t.Fatal(out)
	}
	if again := c.path(c.alice, "app"); again != path || c.deleteAfter(path) != "" {
		t.Errorf("taken back: %s, to be deleted at %q", again, c.deleteAfter(path))
	}
	c.Kubectl(path, "", "get", "configmap", "delivered", "-n", "default")
}

// A quota of the host counts claims, and its refusal has both numbers. Without a class, and where the class says no, nothing is claimed.
func TestWorkspaceClaim_Refused(t *testing.T) {
	c := newClaims(t, "claim-quota", "maxWorkspacesPerNamespace: 1")
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "workspaces"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
		"count/workspaceclaims.annex.dev": resource.MustParse("2"),
	}}}
	if _, err := c.host.CoreV1().ResourceQuotas(c.namespace).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.eventually("the first claim", func() error { // until kube-controller-manager has counted
		if out, err := c.apply(c.alice, "one"); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	c.path(c.alice, "one")
	if out, err := c.apply(c.alice, "two"); err != nil {
		t.Fatal(out)
	}
	c.eventually("the limit of the class", func() error {
		if out := c.alice.kubectl("", "get", "workspaceclaim", "two", "-n", c.namespace, "-o", "jsonpath={.status.conditions[?(@.type=='WorkspaceBound')].message}"); !strings.Contains(out, "permits 1 workspaces for a namespace, and there are 1") {
			return fmt.Errorf("the condition says %q", out)
		}
		return nil
	})
	want := "exceeded quota: workspaces, requested: count/workspaceclaims.annex.dev=1, used: count/workspaceclaims.annex.dev=2, limited: count/workspaceclaims.annex.dev=2"
	for _, dryRun := range []string{"none", "server"} {
		if out, err := c.alice.try(fmt.Sprintf(claimManifest, "three", c.class), "create", "--dry-run="+dryRun, "-n", c.namespace, "-f", "-"); err == nil || !strings.Contains(out, want) {
			t.Errorf("the third, dry run %s: %s", dryRun, out)
		}
	}
	if out, err := c.alice.try(fmt.Sprintf(claimManifest, "other", "missing"), "create", "-n", c.namespace, "-f", "-"); err == nil || !strings.Contains(out, `WorkspaceClass "missing" not found`) {
		t.Errorf("without a class: %s", out)
	}
	if out, err := c.alice.try(withSecret(fmt.Sprintf(claimManifest, "other", c.class), "s"), "create", "-n", c.namespace, "-f", "-"); err == nil || !strings.Contains(out, "does not permit Secrets") {
		t.Errorf("with a Secret: %s", out)
	}
	// Annex's own endpoint is no way around RBAC and quotas of the host.
	if _, stderr, err := c.TryKubectl("root", fmt.Sprintf(claimManifest, "direct", c.class), "create", "-n", c.namespace, "-f", "-"); err == nil {
		t.Errorf("an administrator of Annex exceeds the quota of the host: %s", stderr)
	}
}

// A namespace that is deleted takes its claims with it, without waiting for anything. A new one of the same name gets nothing of the old one.
func TestWorkspaceClaim_NamespaceOfTheHostGoes(t *testing.T) {
	c := newClaims(t, "claim-gone", "gracePeriodSeconds: 3600")
	if out, err := c.apply(c.alice, "app"); err != nil {
		t.Fatal(out)
	}
	path := c.path(c.alice, "app")
	admin(t).kubectl("", "delete", "namespace", c.namespace, "--timeout=120s")
	c.eventually("a time is noted", func() error {
		if c.deleteAfter(path) == "" {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	c.world.namespace(c.namespace)
	c.bindEdit("claim-gone-alice", c.namespace)
	c.eventually("the claim of the new namespace", func() error {
		if out, err := c.apply(c.alice, "app"); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	next := c.path(c.alice, "app")
	if next == path || c.deleteAfter(path) == "" {
		t.Errorf("the new namespace has %s, the old one had %s", next, path)
	}
}
