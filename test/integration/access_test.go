package integration

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

// allow lets bob do what rules say in the workspace at path.
func allow(t *testing.T, s *annex.Server, path string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	typed, _ := annex.Clients(t, s.Workspace(path))
	name := uniqueName("allow")
	if _, err := typed.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := typed.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: bob}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func rule(group string, resources, verbs []string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
}

var enter = rbacv1.PolicyRule{NonResourceURLs: []string{"/"}, Verbs: []string{"access"}}

func userClient(t *testing.T, s *annex.Server, user, path string) kubernetes.Interface {
	t.Helper()
	typed, _ := annex.Clients(t, s.As(token(user), path))
	return typed
}

func TestAccess_RulesCountOnlyForWhoMayEnter(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	allow(t, s, path, rule("", []string{"configmaps"}, []string{"list"}))
	client := userClient(t, s, bob, path)
	probe := func(ctx context.Context) error {
		_, err := client.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
		return err
	}
	if err := probe(t.Context()); !apierrors.IsForbidden(err) {
		t.Errorf("without access: %v", err)
	}
	allow(t, s, path, enter)
	eventually(t, "bob may list", func(ctx context.Context) (bool, error) { return probe(ctx) == nil, nil })
	if _, err := client.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing what no rule names: %v", err)
	}
	// RBAC of the parent says nothing about the child.
	child, _ := newWorkspace(t, s, path, "child")
	if _, err := userClient(t, s, bob, child).CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("in a child: %v", err)
	}
}

func TestAccess_TokensAndGroups(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	typed, _ := annex.Clients(t, s.Workspace(path))
	if _, err := typed.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "devs"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:kcp:workspace:access"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "devs"}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the group may enter", func(ctx context.Context) (bool, error) {
		review, err := userClient(t, s, alice, path).AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if apierrors.IsForbidden(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if u := review.Status.UserInfo; u.Username != alice || !slices.Contains(u.Groups, "devs") || !slices.Contains(u.Groups, "system:authenticated") {
			t.Errorf("alice is %v", u)
		}
		return true, nil
	})
	if code := annex.Status(t, s.As("no-such-token", path), http.MethodGet, "/api"); code != http.StatusUnauthorized {
		t.Errorf("an unknown token: %d", code)
	}
	if code := annex.Status(t, s.As("no-such-token", "root:nobody"), http.MethodGet, "/api"); code != http.StatusUnauthorized {
		t.Errorf("an unknown token in an unknown workspace: %d", code)
	}
	if code := annex.Status(t, s.As("", path), http.MethodGet, "/api"); code != http.StatusForbidden && code != http.StatusUnauthorized {
		t.Errorf("nobody: %d", code)
	}
	// The file is the operator's, and may name administrators of the server.
	if code := annex.Status(t, s.As(token("operator"), workspace(t, s)), http.MethodGet, "/api/v1/secrets"); code != http.StatusOK {
		t.Errorf("a static token of group system:masters: %d", code)
	}
}

func TestAccess_CreatorBecomesAdministrator(t *testing.T) {
	s := start(t)
	parent := workspace(t, s)
	allow(t, s, parent, enter, rule("tenancy.kcp.io", []string{"workspaces"}, []string{"create", "get", "delete"}))
	useless := func(ctx context.Context) (bool, error) {
		_, client := annex.Clients(t, s.As(token(bob), parent))
		_, err := client.Resource(workspaces).Get(ctx, "none", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	}
	eventually(t, "bob may look", useless)
	path, _ := makeWorkspace(t, s.As(token(bob), parent), parent, "his")
	client := userClient(t, s, bob, path)
	eventually(t, "bob is its administrator", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	got, err := client.RbacV1().ClusterRoleBindings().Get(t.Context(), "workspace-admin", metav1.GetOptions{})
	if err != nil || got.RoleRef.Name != "cluster-admin" || len(got.Subjects) != 1 || got.Subjects[0].Name != bob {
		t.Errorf("the binding is %v, %v", got, err)
	}
	if _, err := userClient(t, s, bob, parent).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("in the parent: %v", err)
	}
	if _, err := userClient(t, s, alice, path).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("somebody else: %v", err)
	}
}

func TestAccess_UseOfTypes(t *testing.T) {
	s := start(t)
	parent := workspace(t, s)
	apply(t, s.Workspace(parent), "apiVersion: tenancy.kcp.io/v1alpha1\nkind: WorkspaceType\nmetadata: {name: closed}\nspec: {extend: {with: [{name: universal, path: root}]}}")
	allow(t, s, parent, enter, rule("tenancy.kcp.io", []string{"workspaces"}, []string{"create", "get"}))
	object := fmt.Sprintf(`{"apiVersion":"tenancy.kcp.io/v1alpha1","kind":"Workspace","metadata":{"name":"a"},"spec":{"type":{"name":"closed","path":%q}}}`, parent)
	at := "/clusters/" + parent + "/apis/tenancy.kcp.io/v1alpha1/workspaces"
	user := as(t, s, bob)
	eventually(t, "bob may create, but not use the type", func(context.Context) (bool, error) {
		a := user.send(request{method: http.MethodPost, path: at, body: object})
		return a.code == http.StatusForbidden && strings.Contains(a.status().Message, "use"), nil
	})
	allow(t, s, parent, rbacv1.PolicyRule{APIGroups: []string{"tenancy.kcp.io"}, Resources: []string{"workspacetypes"}, ResourceNames: []string{"closed"}, Verbs: []string{"use"}})
	eventually(t, "bob may use the type", func(context.Context) (bool, error) {
		return user.send(request{method: http.MethodPost, path: at, body: object}).code == http.StatusCreated, nil
	})
}

// A name of a system role means that role, whatever a workspace stores, creates or deletes.
func TestAccess_NamesOfSystemRolesAreReserved(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	admit(t, s, path, alice)
	for who, config := range map[string]*rest.Config{"an administrator": s.As(token(alice), path), "an operator": s.Workspace(path)} {
		client, _ := annex.Clients(t, config)
		for _, role := range []string{"cluster-admin", "admin", "system:kcp:workspace:access", "system:new"} {
			manifest := fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":%q}}`, role)
			for verb, try := range map[string]func() error{
				"create": func() error {
					_, err := client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: role}}, metav1.CreateOptions{})
					return err
				},
				"apply": func() error {
					_, err := client.RbacV1().ClusterRoles().Patch(t.Context(), role, types.ApplyPatchType, []byte(manifest), metav1.PatchOptions{FieldManager: "x"})
					return err
				},
			} {
				if err := try(); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "reserved for a role of the system") {
					t.Errorf("%s: %s %s: %v", who, verb, role, err)
				}
			}
		}
	}
	if _, err := userClient(t, s, alice, path).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("the administrator is locked out: %v", err)
	}
}

func TestAccess_NobodyEscalates(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	all := []string{"*"}
	allow(t, s, path, enter, rule(rbacv1.GroupName, []string{"roles", "rolebindings", "clusterroles", "clusterrolebindings"}, []string{"get", "list", "create", "update", "patch"}),
		rule("", []string{"configmaps"}, all))
	client := userClient(t, s, bob, path)
	ctx := t.Context()
	eventually(t, "bob may look at roles", func(ctx context.Context) (bool, error) {
		_, err := client.RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	role := func(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
		return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	}
	bound := func(name, ref string) *rbacv1.ClusterRoleBinding {
		return &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: ref},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: bob}}}
	}
	own, err := client.RbacV1().ClusterRoles().Create(ctx, role("his", rule("", []string{"configmaps"}, []string{"get"})), metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("a role of what he has: %v", err)
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, bound("his", "his"), metav1.CreateOptions{}); err != nil {
		t.Errorf("binding what he has: %v", err)
	}
	for name, try := range map[string]func() error{
		"a role of more": func() error {
			_, err := client.RbacV1().ClusterRoles().Create(ctx, role("more", rule("", []string{"secrets"}, []string{"get"})), metav1.CreateOptions{})
			return err
		},
		"a namespaced role of more": func() error {
			_, err := client.RbacV1().Roles("default").Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Rules: []rbacv1.PolicyRule{rule("", []string{"secrets"}, []string{"get"})}}, metav1.CreateOptions{})
			return err
		},
		"adding to a role": func() error {
			more := own.DeepCopy()
			more.Rules = append(more.Rules, rule(all[0], all, all))
			_, err := client.RbacV1().ClusterRoles().Update(ctx, more, metav1.UpdateOptions{})
			return err
		},
		"patching a role": func() error {
			_, err := client.RbacV1().ClusterRoles().Patch(ctx, "his", types.MergePatchType, []byte(`{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`), metav1.PatchOptions{})
			return err
		},
		"applying a role": func() error {
			_, err := client.RbacV1().ClusterRoles().Patch(ctx, "applied", types.ApplyPatchType, []byte(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"applied"},"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}`), metav1.PatchOptions{FieldManager: "x"})
			return err
		},
		"aggregating": func() error {
			aggregated := role("aggregated")
			aggregated.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{}}}
			_, err := client.RbacV1().ClusterRoles().Create(ctx, aggregated, metav1.CreateOptions{})
			return err
		},
		"binding cluster-admin": func() error {
			_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, bound("more", "cluster-admin"), metav1.CreateOptions{})
			return err
		},
		"binding cluster-admin in a namespace": func() error {
			_, err := client.RbacV1().RoleBindings("default").Create(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "more"}, RoleRef: bound("", "cluster-admin").RoleRef, Subjects: bound("", "").Subjects}, metav1.CreateOptions{})
			return err
		},
		"impersonating": func() error {
			config := s.As(token(bob), path)
			config.Impersonate.UserName = alice
			typed, _ := annex.Clients(t, config)
			_, err := typed.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
			return err
		},
	} {
		if err := try(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Who administers a workspace still may not be the server, or the administrator of others.
	admit(t, s, path, alice)
	for _, group := range []string{"system:masters", "system:kcp:admin", "system:kcp:logical-cluster-admin"} {
		config := s.As(token(alice), path)
		config.Impersonate.UserName, config.Impersonate.Groups = alice, []string{group}
		typed, _ := annex.Clients(t, config)
		if _, err := typed.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("impersonating group %s: %v", group, err)
		}
	}
}

func TestAccess_StatusIsTheServers(t *testing.T) {
	s := start(t)
	producer, path := workspace(t, s), ""
	apply(t, s.Workspace(producer), widgetSchema)
	apply(t, s.Workspace(producer), widgetExport)
	path = workspace(t, s)
	apply(t, s.Workspace(path), binding("widgets", producer, "widgets"))
	newWorkspace(t, s, path, "child")
	admit(t, s, path, alice)
	admit(t, s, producer, alice)
	_, client := annex.Clients(t, s.Workspace(path))
	waitCondition(t, client.Resource(bindings), "widgets", "Ready", "True", "")
	admin, master, user := asAdmin(t, s), asMaster(t, s), as(t, s, alice)
	for at, body := range map[string]string{
		"/clusters/" + path + "/apis/tenancy.kcp.io/v1alpha1/workspaces/child":     `{"status":{"phase":"Initializing"}}`,
		"/clusters/" + path + "/apis/core.kcp.io/v1alpha1/logicalclusters/cluster": `{"status":{"phase":"Initializing"}}`,
		"/clusters/" + path + "/apis/apis.kcp.io/v1alpha2/apibindings/widgets":     `{"status":{"phase":"Binding"}}`,
		"/clusters/" + path + "/apis/apis.kcp.io/v1alpha1/apibindings/widgets":     `{"status":{"phase":"Binding"}}`,
		"/clusters/" + producer + "/apis/apis.kcp.io/v1alpha2/apiexports/widgets":  `{"status":{"identityHash":"0000"}}`,
		"/clusters/" + producer + "/apis/apis.kcp.io/v1alpha1/apiexports/widgets":  `{"status":{"identityHash":"0000"}}`,
	} {
		before := admin.get(at)
		for name, sender := range map[string]*wire{"an administrator": admin, "the owner": user} {
			for method, contentType := range map[string]string{http.MethodPatch: "application/merge-patch+json", http.MethodPut: "application/json"} {
				r := request{method: method, path: at + "/status", body: body, headers: http.Header{"Content-Type": {contentType}}}
				if method == http.MethodPut {
					r.body = string(before.body)
				}
				if a := sender.send(r); a.code != http.StatusForbidden {
					t.Errorf("%s %s/status as %s: %d %.300s", method, at, name, a.code, a.body)
				}
			}
			// Through the main resource it is ignored.
			sender.send(request{method: http.MethodPatch, path: at, body: body, headers: http.Header{"Content-Type": {"application/merge-patch+json"}}})
		}
		if after := admin.get(at); strings.Contains(string(after.body), `"0000"`) || strings.Contains(string(after.body), `"phase":"Initializing"`) || strings.Contains(string(after.body), `"phase":"Binding"`) {
			t.Errorf("%s has the status %s", at, after.body)
		}
		if a := master.send(request{method: http.MethodPatch, path: at + "/status", body: `{"status":{}}`, headers: http.Header{"Content-Type": {"application/merge-patch+json"}}}); a.code != http.StatusOK {
			t.Errorf("%s/status as system:masters: %d %s", at, a.code, a.body)
		}
	}
}

func TestAccess_Reviews(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	admit(t, s, path, alice)
	allow(t, s, path, enter, rule("", []string{"configmaps"}, []string{"get"}))
	his, hers := userClient(t, s, bob, path), userClient(t, s, alice, path)
	ctx := t.Context()
	review := func(client kubernetes.Interface, verb, resource string) bool {
		t.Helper()
		got, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Resource: resource, Namespace: "default"}}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return got.Status.Allowed
	}
	eventually(t, "bob may enter", func(ctx context.Context) (bool, error) {
		_, err := his.CoreV1().ConfigMaps("default").Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		return err == nil, nil
	})
	if !review(his, "get", "configmaps") || review(his, "get", "secrets") || !review(hers, "delete", "secrets") {
		t.Error("reviews of oneself are wrong")
	}
	rules, err := his.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"}}, metav1.CreateOptions{})
	if err != nil || !slices.ContainsFunc(rules.Status.ResourceRules, func(r authorizationv1.ResourceRule) bool {
		return slices.Equal(r.Resources, []string{"configmaps"}) && slices.Equal(r.Verbs, []string{"get"})
	}) || rules.Status.Incomplete {
		t.Errorf("rules are %v, %v", rules, err)
	}
	about := func(user, resource string) *authorizationv1.SubjectAccessReview {
		return &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: resource, Namespace: "default"}}}
	}
	for resource, want := range map[string]bool{"configmaps": true, "secrets": false} {
		got, err := hers.AuthorizationV1().SubjectAccessReviews().Create(ctx, about(bob, resource), metav1.CreateOptions{})
		if err != nil || got.Status.Allowed != want {
			t.Errorf("review of %s for bob: %v, %v", resource, got, err)
		}
		local := &authorizationv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: "default"}, Spec: about(bob, resource).Spec}
		reviewed, err := hers.AuthorizationV1().LocalSubjectAccessReviews("default").Create(ctx, local, metav1.CreateOptions{})
		if err != nil || reviewed.Status.Allowed != want {
			t.Errorf("local review of %s for bob: %v, %v", resource, reviewed, err)
		}
	}
	if _, err := his.AuthorizationV1().SubjectAccessReviews().Create(ctx, about(alice, "secrets"), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("bob reviews alice: %v", err)
	}
	// What holds here says nothing about another workspace, and a review does not tell whether there is one.
	other := workspace(t, s)
	for _, elsewhere := range []string{other, "root:nobody"} {
		_, err := userClient(t, s, alice, elsewhere).AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "secrets"}}}, metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) {
			t.Errorf("a review in %s: %v", elsewhere, err)
		}
	}
	reviewer, err := hers.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{}, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) {
		t.Errorf("an empty review: %v, %v", reviewer, err)
	}
}
