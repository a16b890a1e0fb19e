package integration

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/test/framework/annex"
)

// What docs/concepts.md shows, from the binding in an organization to the workspaces below it.
func TestInheritance_Documented(t *testing.T) {
	s := start(t)
	org, _ := newWorkspace(t, s, "root", uniqueName("org"))
	team, _ := newWorkspace(t, s, org, "team")
	below, _ := newWorkspace(t, s, team, "below")
	beside := workspace(t, s)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "concepts.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, documents, found := strings.Cut(string(text), "<!-- tested by TestInheritance_Documented -->\n```yaml\n")
	documents, _, ended := strings.Cut(documents, "```")
	if !found || !ended {
		t.Fatal("docs/concepts.md does not show what is inherited")
	}
	code := func(path, resource string) int {
		return annex.Status(t, s.As(token(alice), path), http.MethodGet, resource)
	}
	const configMaps, secrets = "/api/v1/configmaps", "/api/v1/secrets"
	if got := code(below, configMaps); got != http.StatusForbidden {
		t.Fatalf("before: %d", got)
	}
	apply(t, s.Workspace(org), strings.Replace(documents, "kind: Group, name: support}", "kind: User, name: alice}", 1))
	for _, path := range []string{org, team, below} {
		if got := code(path, configMaps); got != http.StatusOK { // at once: before a refusal, the server catches up
			t.Errorf("%s: %d", path, got)
		}
		if got := code(path, secrets); got != http.StatusForbidden {
			t.Errorf("secrets in %s: %d", path, got)
		}
	}
	if got := code(beside, configMaps); got != http.StatusForbidden {
		t.Errorf("%s: %d", beside, got)
	}

	typed, _ := annex.Clients(t, s.As(token(alice), below))
	asked := &authorizationv1.ResourceAttributes{Verb: "list", Resource: "configmaps"}
	self, err := typed.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: asked}}, metav1.CreateOptions{})
	if err != nil || !self.Status.Allowed {
		t.Errorf("a review of alice: %+v, %v", self, err)
	}
	rules, err := typed.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"}}, metav1.CreateOptions{})
	if err != nil || !strings.Contains(fmt.Sprint(rules.Status.ResourceRules), "events") {
		t.Errorf("rules of alice: %+v, %v", rules, err)
	}
	operator, _ := annex.Clients(t, s.Workspace(below))
	about, err := operator.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: alice, Groups: []string{"system:authenticated"}, ResourceAttributes: asked}}, metav1.CreateOptions{})
	if want := fmt.Sprintf("ClusterRoleBinding %q of workspace %s", "support", org); err != nil || !strings.Contains(about.Status.Reason, want) {
		t.Errorf("a review about alice: %+v, %v, want %s", about, err, want)
	}

	// A user who is impersonated in a workspace inherits nothing there.
	admit(t, s, below, bob)
	as := s.As(token(bob), below)
	as.Impersonate.UserName = alice
	if got := annex.Status(t, as, http.MethodGet, configMaps); got != http.StatusForbidden {
		t.Errorf("impersonated: %d", got)
	}

	mark(t, s, team, clusters, "cluster", "false")
	for path, want := range map[string]int{org: http.StatusOK, team: http.StatusForbidden, below: http.StatusForbidden} {
		gets(t, s, path, want)
	}
	mark(t, s, team, clusters, "cluster", "")
	gets(t, s, below, http.StatusOK)
	mark(t, s, org, clusterRoleBindings, "support", "")
	for path, want := range map[string]int{org: http.StatusOK, team: http.StatusForbidden, below: http.StatusForbidden} {
		gets(t, s, path, want)
	}
}

// gets waits until alice gets a code: a right is given at once, and taken back within milliseconds.
func gets(t *testing.T, s *annex.Server, path string, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("alice gets %d in %s", want, path), func(context.Context) (bool, error) {
		return annex.Status(t, s.As(token(alice), path), http.MethodGet, "/api/v1/configmaps") == want, nil
	})
}

var clusterRoleBindings = rbacv1.SchemeGroupVersion.WithResource("clusterrolebindings")

// patchOf returns a patch that sets the annotation; empty to remove it.
func patchOf(value string) []byte {
	quoted := "null"
	if value != "" {
		quoted = fmt.Sprintf("%q", value)
	}
	return []byte(fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, inheritance.AnnotationKey, quoted))
}

// mark sets the annotation of an object, as the administrator.
func mark(t *testing.T, s *annex.Server, path string, resource schema.GroupVersionResource, name, value string) {
	t.Helper()
	_, client := annex.Clients(t, s.Workspace(path))
	if _, err := client.Resource(resource).Patch(t.Context(), name, types.MergePatchType, patchOf(value), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Whoever may write all RBAC of a workspace, but not inherit, changes nothing below it, however the request is sent.
func TestInheritance_ThroughTheServer(t *testing.T) {
	s := start(t)
	org, _ := newWorkspace(t, s, "root", uniqueName("org"))
	team, _ := newWorkspace(t, s, org, "team")
	apply(t, s.Workspace(org), fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: writer}
rules:
- {apiGroups: [rbac.authorization.k8s.io], resources: ["*"], verbs: [get, list, watch, create, update, patch, delete, bind, escalate]}
- {apiGroups: [""], resources: [configmaps], verbs: [list]}
- {nonResourceURLs: ["/", "/api", "/api/*", "/apis", "/apis/*"], verbs: [access, get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: writer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: writer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: given, annotations: {rbac.annex.dev/inherit: "true"}}
rules: [{nonResourceURLs: ["/"], verbs: [access]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: given, annotations: {rbac.annex.dev/inherit: "true"}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: given}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]
`, alice))
	_, client := annex.Clients(t, s.As(token(alice), org))
	bindings, roles := client.Resource(clusterRoleBindings), client.Resource(clusterRoles)
	binding := func(name, role string) *unstructured.Unstructured {
		return parse(t, fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %s, annotations: {rbac.annex.dev/inherit: "true"}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %s}]`, name, role, alice))
	}
	const rules = `{"rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["list"]}]}`
	patch := func(on dynamic.ResourceInterface, name string, how types.PatchType, body string) error {
		_, err := on.Patch(t.Context(), name, how, []byte(body), metav1.PatchOptions{})
		return err
	}
	for what, err := range map[string]error{
		"a new binding": func() error {
			_, err := bindings.Create(t.Context(), binding("mine", "cluster-admin"), metav1.CreateOptions{})
			return err
		}(),
		"a new binding by apply": func() error {
			_, err := bindings.Apply(t.Context(), "mine", binding("mine", "cluster-admin"), metav1.ApplyOptions{FieldManager: "m", Force: true})
			return err
		}(),
		"the annotation by a patch":      patch(bindings, "writer", types.MergePatchType, string(patchOf("true"))),
		"the annotation by a JSON patch": patch(bindings, "writer", types.JSONPatchType, `[{"op":"add","path":"/metadata/annotations/rbac.annex.dev~1inherit","value":"true"}]`),
		"the annotation by apply": func() error {
			_, err := bindings.Apply(t.Context(), "writer", binding("writer", "writer"), metav1.ApplyOptions{FieldManager: "m", Force: true})
			return err
		}(),
		"the annotation of a role":       patch(roles, "writer", types.MergePatchType, string(patchOf("true"))),
		"the rules of an inherited role": patch(roles, "given", types.MergePatchType, rules),
		"a subject of an inherited binding": patch(bindings, "given", types.JSONPatchType,
			`[{"op":"add","path":"/subjects/-","value":{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"bob"}}]`),
	} {
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), inheritance.Verb) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// The role with the name of an inherited one, made anew, is not inherited.
	if err := roles.Delete(t.Context(), "given", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	again := parse(t, "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: given}\nrules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]")
	if _, err := roles.Create(t.Context(), again, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	gets(t, s, team, http.StatusForbidden)
	if got := annex.Status(t, s.As(token(alice), org), http.MethodGet, "/api/v1/secrets"); got != http.StatusOK {
		t.Errorf("in the workspace itself, the role counts: %d", got)
	}
}

// A type refuses for all workspaces of it, and of the types that extend it. Whoever has all permissions above cannot change that from there.
func TestInheritance_ATypeRefuses(t *testing.T) {
	s := start(t)
	org, _ := newWorkspace(t, s, "root", uniqueName("org"))
	offering, _ := newWorkspace(t, s, "root", uniqueName("types"))
	apply(t, s.Workspace(offering), fmt.Sprintf(`
apiVersion: tenancy.kcp.io/v1alpha1
kind: WorkspaceType
metadata: {name: vault, annotations: {rbac.annex.dev/inherit: "false"}}
spec: {extend: {with: [{name: universal, path: root}]}}
---
apiVersion: tenancy.kcp.io/v1alpha1
kind: WorkspaceType
metadata: {name: deposit, annotations: {rbac.annex.dev/inherit: "true"}}
spec: {extend: {with: [{name: vault, path: %q}]}}
`, offering))
	apply(t, s.Workspace(org), fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: everything, annotations: {rbac.annex.dev/inherit: "true"}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %s}]
`, alice))
	open, _ := newWorkspace(t, s, org, "open")
	_, client := annex.Clients(t, s.Workspace(org))
	for _, typ := range []string{"vault", "deposit"} {
		apply(t, s.Workspace(org), fmt.Sprintf("apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: %[1]s}\nspec: {type: {name: %[1]s, path: %[2]q}}\n", typ, offering))
		if _, err := annex.WaitWorkspace(t.Context(), client, typ); err != nil {
			t.Fatal(err)
		}
	}
	vault, deposit := org+":vault", org+":deposit"
	below, _ := newWorkspace(t, s, vault, "below")
	for path, want := range map[string]int{org: http.StatusOK, open: http.StatusOK, vault: http.StatusForbidden, deposit: http.StatusForbidden, below: http.StatusForbidden} {
		gets(t, s, path, want)
	}

	// Neither she nor whoever may only update the LogicalCluster makes the workspace accept.
	accept := func(who string) error {
		_, client := annex.Clients(t, s.As(token(who), vault))
		_, err := client.Resource(clusters).Patch(t.Context(), "cluster", types.MergePatchType, patchOf(""), metav1.PatchOptions{})
		return err
	}
	if err := accept(alice); !apierrors.IsForbidden(err) {
		t.Errorf("an administrator of the workspace above: %v", err)
	}
	apply(t, s.Workspace(vault), fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: keeper}
rules:
- {apiGroups: [core.kcp.io], resources: [logicalclusters], verbs: [get, update, patch]}
- {nonResourceURLs: ["/"], verbs: [access]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: keeper}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: keeper}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %s}]
`, bob))
	if err := accept(bob); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), inheritance.Verb) {
		t.Errorf("a user of the workspace without the verb: %v", err)
	}
	gets(t, s, vault, http.StatusForbidden)
	mark(t, s, vault, clusters, "cluster", "")
	gets(t, s, vault, http.StatusOK)
	gets(t, s, below, http.StatusOK)
	gets(t, s, deposit, http.StatusForbidden)
}
