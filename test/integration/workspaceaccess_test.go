package integration

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/annex-dev/annex/test/framework/annex"
)

var workspaceAccesses = schema.GroupVersionResource{Group: "annex.dev", Version: "v1alpha1", Resource: "workspaceaccesses"}

// newAccess is a WorkspaceAccess for the workspace at path.
func newAccess(name, path, role, format string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "annex.dev/v1alpha1", "kind": "WorkspaceAccess", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"workspace": map[string]any{"path": path}, "role": map[string]any{"clusterRole": role}, "format": format},
	}}
}

func createAccess(t *testing.T, client dynamic.Interface, access *unstructured.Unstructured) error {
	t.Helper()
	_, err := client.Resource(workspaceAccesses).Namespace("default").Create(t.Context(), access, metav1.CreateOptions{})
	return err
}

// argoConfig returns the client that Argo CD makes of a Secret.
func argoConfig(t *testing.T, secret *corev1.Secret) *rest.Config {
	t.Helper()
	var config struct {
		BearerToken     string `json:"bearerToken"`
		TLSClientConfig struct {
			CAData []byte `json:"caData"`
		} `json:"tlsClientConfig"`
	}
	if err := json.Unmarshal(secret.Data["config"], &config); err != nil {
		t.Fatal(err)
	}
	return &rest.Config{Host: string(secret.Data["server"]), BearerToken: config.BearerToken, TLSClientConfig: rest.TLSClientConfig{CAData: config.TLSClientConfig.CAData}}
}

func TestWorkspaceAccess_Lifecycle(t *testing.T) {
	t.Parallel()
	s := start(t)
	tools, toolsCluster := newWorkspace(t, s, "root", uniqueName("tools"))
	team, _ := newWorkspace(t, s, "root", uniqueName("team"))
	admit(t, s, tools, alice)
	admit(t, s, team, alice)
	typed, untyped := annex.Clients(t, s.As(token(alice), tools))
	for name, format := range map[string]string{"argo": "ArgoCD", "flux": "Flux", "plain": "Kubeconfig"} {
		if err := createAccess(t, untyped, newAccess(name, team, "edit", format)); err != nil {
			t.Fatal(err)
		}
	}
	configs := map[string]*rest.Config{}
	for _, name := range []string{"argo", "flux", "plain"} {
		waitCondition(t, untyped.Resource(workspaceAccesses).Namespace("default"), name, "Ready", "True", "")
		secret, err := typed.CoreV1().Secrets("default").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case "argo":
			configs[name] = argoConfig(t, secret)
		case "flux":
			configs[name], err = clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
		case "plain":
			configs[name], err = clientcmd.RESTConfigFromKubeConfig(secret.Data["kubeconfig"])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, config := range configs {
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Errorf("%s: with the role: %v", name, err)
		}
		if _, err := client.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("%s: beyond the role: %v", name, err)
		}
		config.Host = s.URL() + "/clusters/" + tools
		if client, err = kubernetes.NewForConfig(config); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("%s: in another workspace: %v", name, err)
		}
		config.Host = s.URL() + "/clusters/" + team
	}
	// Whoever administers the workspace sees for whom each ServiceAccount is.
	inTeam, _ := annex.Clients(t, s.As(token(alice), team))
	accounts, err := inTeam.CoreV1().ServiceAccounts("kube-system").List(t.Context(), metav1.ListOptions{LabelSelector: "annex.dev/workspaceaccess-uid"})
	if err != nil || len(accounts.Items) != 3 {
		t.Fatalf("%v, %v", accounts, err)
	}
	for _, account := range accounts.Items {
		if !strings.HasPrefix(account.Annotations["annex.dev/workspaceaccess"], toolsCluster+"/default/") {
			t.Errorf("annotations %v", account.Annotations)
		}
	}

	// Deleting one revokes it, and no other.
	if err := untyped.Resource(workspaceAccesses).Namespace("default").Delete(t.Context(), "argo", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	refused := func(name string) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			client, err := kubernetes.NewForConfig(configs[name])
			if err != nil {
				return false, err
			}
			_, err = client.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
			return apierrors.IsUnauthorized(err), nil
		}
	}
	eventually(t, "the token of argo is refused", refused("argo"))
	eventually(t, "the Secret of argo is gone", func(ctx context.Context) (bool, error) {
		_, err := typed.CoreV1().Secrets("default").Get(ctx, "argo", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if gone, err := refused("flux")(t.Context()); gone || err != nil {
		t.Errorf("the token of flux is refused, too: %v", err)
	}
	// An administrator of the workspace revokes another one.
	if err := inTeam.CoreV1().ServiceAccounts("kube-system").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "annex.dev/workspaceaccess-uid"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the token of flux is refused", refused("flux"))
	// A change that is none of the spec does not wake what is revoked.
	if _, err := untyped.Resource(workspaceAccesses).Namespace("default").Patch(t.Context(), "flux", "application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	waitCondition(t, untyped.Resource(workspaceAccesses).Namespace("default"), "flux", "AccessGranted", "False", "Revoked")
}

// Who cannot give a role in a workspace gets no Secret with it, whatever rights they have elsewhere.
func TestWorkspaceAccess_NeedsRights(t *testing.T) {
	t.Parallel()
	s := start(t)
	tools, _ := newWorkspace(t, s, "root", uniqueName("tools"))
	team, teamCluster := newWorkspace(t, s, "root", uniqueName("team"))
	admit(t, s, tools, bob)
	_, untyped := annex.Clients(t, s.As(token(bob), tools))
	for _, path := range []string{team, teamCluster, "root:nobody", "root", "system:admin"} {
		if err := createAccess(t, untyped, newAccess("x", path, "view", "Flux")); !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
			t.Errorf("for %s: %v", path, err)
		}
	}
	operator, _ := annex.Clients(t, s.Workspace(team))
	bind := func(role string) {
		t.Helper()
		if _, err := operator.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "bob-"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: bob}},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal := func(role, says string) {
		t.Helper()
		eventually(t, "the refusal says "+says, func(context.Context) (bool, error) {
			err := createAccess(t, untyped, newAccess("x", team, role, "Flux"))
			if !apierrors.IsForbidden(err) {
				t.Fatalf("a WorkspaceAccess with %s: %v", role, err)
			}
			return strings.Contains(err.Error(), says), nil
		})
	}
	bind("edit")
	wantRefusal("view", "no permission to enter workspace "+team)
	bind("system:kcp:workspace:access")
	wantRefusal("view", "create clusterrolebindings")
	if _, err := operator.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "binder"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterrolebindings"}, Verbs: []string{"create"}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	bind("binder")
	wantRefusal("cluster-admin", "attempting to grant RBAC permissions not currently held")
	if err := createAccess(t, untyped, newAccess("x", team, "none", "Flux")); !apierrors.IsInvalid(err) {
		t.Errorf("with a role that does not exist: %v", err)
	}
	// What bob holds, bob may give.
	if err := createAccess(t, untyped, newAccess("held", team, "view", "Flux")); err != nil {
		t.Fatal(err)
	}
	waitCondition(t, untyped.Resource(workspaceAccesses).Namespace("default"), "held", "Ready", "True", "")

	// Nobody writes what only the server writes.
	for _, patch := range []string{
		`{"metadata":{"annotations":{"annex.dev/workspace-cluster":"root","annex.dev/host-namespace-uid":"x"}}}`,
		`{"metadata":{"annotations":{"annex.dev/workspace-cluster":null}}}`,
		`{"status":{"serviceAccount":{"namespace":"kube-system","name":"other","uid":"1"}}}`,
	} {
		got, err := untyped.Resource(workspaceAccesses).Namespace("default").Patch(t.Context(), "held", "application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		account, _, _ := unstructured.NestedString(got.Object, "status", "serviceAccount", "name")
		if annotations := got.GetAnnotations(); annotations["annex.dev/workspace-cluster"] != teamCluster || annotations["annex.dev/host-namespace-uid"] != "" || account == "other" {
			t.Errorf("after %s: %v, ServiceAccount %s", patch, annotations, account)
		}
	}
	for _, patch := range []string{`{"spec":{"workspace":{"path":"root"}}}`, `{"spec":{"role":{"clusterRole":"cluster-admin"}}}`} {
		if _, err := untyped.Resource(workspaceAccesses).Namespace("default").Patch(t.Context(), "held", "application/merge-patch+json", []byte(patch), metav1.PatchOptions{}); !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", patch, err)
		}
	}
	// Who may write objects only: not the status.
	if _, err := untyped.Resource(workspaceAccesses).Namespace("default").Patch(t.Context(), "held", "application/merge-patch+json", []byte(`{"status":{"clusterName":"root"}}`), metav1.PatchOptions{}, "status"); !apierrors.IsForbidden(err) {
		t.Errorf("the status: %v", err)
	}
	// A ServiceAccount of the workspace is somebody else in the other one.
	robots := newRobots(t, s)
	asRobot := bearerConfig(s, robots.mint(t, authenticationv1.TokenRequestSpec{}), robots.path)
	_, untypedRobot := annex.Clients(t, asRobot)
	if err := createAccess(t, untypedRobot, newAccess("x", team, "view", "Flux")); !apierrors.IsForbidden(err) {
		t.Errorf("a ServiceAccount of another workspace: %v", err)
	}
	if err := createAccess(t, untypedRobot, newAccess("own", robots.path, "view", "Flux")); err != nil {
		t.Errorf("a ServiceAccount that administers its own workspace: %v", err)
	}
}

// The object stays until its credentials are revoked, whatever users do to it; and a field that there is not is refused, not ignored.
func TestWorkspaceAccess_WhatUsersCannotChange(t *testing.T) {
	t.Parallel()
	s := start(t)
	team, _ := newWorkspace(t, s, "root", uniqueName("team"))
	admit(t, s, team, alice)
	typed, untyped := annex.Clients(t, s.As(token(alice), team))
	at := untyped.Resource(workspaceAccesses).Namespace("default")
	if err := createAccess(t, untyped, newAccess("kept", team, "view", "Kubeconfig")); err != nil {
		t.Fatal(err)
	}
	waitCondition(t, at, "kept", "Ready", "True", "")
	for kind, patch := range map[types.PatchType]string{
		types.MergePatchType: `{"metadata":{"finalizers":null}}`, types.JSONPatchType: `[{"op":"remove","path":"/metadata/finalizers"}]`,
	} {
		if _, err := at.Patch(t.Context(), "kept", kind, []byte(patch), metav1.PatchOptions{}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "only the server removes the finalizer") {
			t.Errorf("%s: %v", patch, err)
		}
	}
	if err := at.Delete(t.Context(), "kept", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything is gone", func(ctx context.Context) (bool, error) {
		accounts, err := typed.CoreV1().ServiceAccounts("kube-system").List(ctx, metav1.ListOptions{LabelSelector: "annex.dev/workspaceaccess-uid"})
		if err != nil {
			return false, err
		}
		_, err = at.Get(ctx, "kept", metav1.GetOptions{})
		return apierrors.IsNotFound(err) && len(accounts.Items) == 0, nil
	})

	host := newAccess("host", team, "view", "Kubeconfig")
	if err := unstructured.SetNestedField(host.Object, "Host", "spec", "endpoint"); err != nil {
		t.Fatal(err)
	}
	if _, err := at.Create(t.Context(), host, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}); !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), `unknown field "spec.endpoint"`) {
		t.Errorf("with an endpoint of the host: %v", err)
	}
}
