package authorization

import (
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

// claimed is a workspace whose APIBindings dora may list. One of them has accepted claims; another one binds widgets.
func claimed() []client.Object {
	applied := func(group, resource, identity string, selector apisv1alpha2.PermissionClaimSelector, verbs ...string) apisv1alpha2.ScopedPermissionClaim {
		return apisv1alpha2.ScopedPermissionClaim{Selector: selector, PermissionClaim: apisv1alpha2.PermissionClaim{
			GroupResource: apisv1alpha2.GroupResource{Group: group, Resource: resource}, IdentityHash: identity, Verbs: verbs}}
	}
	all := apisv1alpha2.PermissionClaimSelector{MatchAll: true}
	labeled := apisv1alpha2.PermissionClaimSelector{LabelSelector: metav1.LabelSelector{MatchLabels: map[string]string{"for": "databases"}}}
	databases := clienttest.In("a", &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "db"}})
	databases.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Path: "root:provider", Name: "databases"}
	databases.Status.AppliedPermissionClaims = []apisv1alpha2.ScopedPermissionClaim{
		applied("", "secrets", "", labeled, "get", "create"), applied("", "events", "", all, "*"),
		applied("example.com", "widgets", "mine", all, "get"), applied("example.com", "gadgets", "mine", all, "get"),
	}
	// What is accepted and not in effect counts for nothing.
	databases.Spec.PermissionClaims = []apisv1alpha2.AcceptablePermissionClaim{{State: apisv1alpha2.ClaimAccepted, ScopedPermissionClaim: applied("", "configmaps", "", all, "*")}}
	widgets := clienttest.In("a", &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "w"}})
	widgets.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Name: "widgets"}
	widgets.Status.BoundResources = []apisv1alpha2.BoundAPIResource{
		{Group: "example.com", Resource: "widgets", Schema: apisv1alpha2.BoundAPIResourceSchema{IdentityHash: "mine"}},
		{Group: "example.com", Resource: "gadgets", Schema: apisv1alpha2.BoundAPIResourceSchema{IdentityHash: "another"}},
	}
	elsewhere := clienttest.In("b", &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere"}})
	elsewhere.Status.AppliedPermissionClaims = []apisv1alpha2.ScopedPermissionClaim{applied("", "secrets", "", all, "*")}
	return []client.Object{
		databases, widgets, elsewhere,
		clienttest.In("a", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "lists"}, Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"list"}, APIGroups: []string{bindings.Group}, Resources: []string{bindings.Resource}}}}),
		clienttest.In("a", &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "lists"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "dora"}},
			RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "lists"}}),
	}
}

// A provider's part is told to who may list APIBindings, and to nobody else. It never makes an answer a yes.
func TestProviders_AreTold(t *testing.T) {
	for name, test := range map[string]struct {
		user, verb, group, resource string
		want                        []string // parts of the message, nothing if there is none
	}{
		"a claim with labels":            {"dora", "get", "", "secrets", []string{"APIExport root:provider:databases", `APIBinding "db" accepts`, "for objects with the labels for=databases"}},
		"another verb":                   {"dora", "delete", "", "secrets", nil},
		"events of either group":         {"dora", "patch", "events.k8s.io", "events", []string{`APIBinding "db" accepts its permission claim.`}},
		"a claim that is not in effect":  {"dora", "get", "", "configmaps", nil},
		"a claim on a bound resource":    {"dora", "get", "example.com", "widgets", []string{`APIBinding "db" accepts`, `APIExport widgets`, `APIBinding "w" binds the resource`}},
		"a claim on one of another name": {"dora", "get", "example.com", "gadgets", []string{`APIBinding "w" binds the resource`}},
		"who may not list APIBindings":   {"carol", "get", "", "secrets", nil},
	} {
		t.Run(name, func(t *testing.T) {
			about := &authorizationv1.ResourceAttributes{Verb: test.verb, Group: test.group, Resource: test.resource}
			out, err := askWith(t, claimed(), "a", &user.DefaultInfo{Name: test.user}, &annexv1alpha1.AccessExplanation{Spec: authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: about}})
			if err != nil {
				t.Fatal(err)
			}
			var told string
			for _, step := range out.(*annexv1alpha1.AccessExplanation).Status.Steps {
				if step.Name == stepClaims {
					told = step.Message
					if step.Decision != annexv1alpha1.AccessNoOpinion {
						t.Errorf("the step decides %s", step.Decision)
					}
				}
			}
			list, err := askWith(t, claimed(), "a", &user.DefaultInfo{Name: test.user}, &annexv1alpha1.WhoCanReview{Spec: annexv1alpha1.WhoCanReviewSpec{ResourceAttributes: about}})
			if err != nil {
				t.Fatal(err)
			}
			notes := strings.Join(list.(*annexv1alpha1.WhoCanReview).Status.Notes, " ")
			for _, want := range test.want {
				if !strings.Contains(told, want) || !strings.Contains(notes, want) {
					t.Errorf("told %q and %q, want %q", told, notes, want)
				}
			}
			if test.want == nil && told != "" || strings.Contains(notes, "APIBinding") != (test.want != nil) || strings.Contains(told, "elsewhere") ||
				test.resource == "gadgets" && strings.Contains(told, `"db"`) {
				t.Errorf("told %q and %q", told, notes)
			}
		})
	}
}
