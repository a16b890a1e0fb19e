package authorization

import (
	"errors"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/rbac/policy"
	bootstrap "github.com/annex-dev/annex/server/bootstrap/policy"
)

// limited is a world in which org binds, as custom resources of example.com, from the workspace provider: free, of an export without a policy;
// limited, of one that lets everybody read, alice write, and a ServiceAccount of org write; deleted, of one that is gone. From a workspace that is
// gone: orphan, and bare, which had no policy.
func limited() *clienttest.Fake {
	objects := []client.Object{
		clienttest.In("provider", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}}),
		clienttest.In("provider", exportOf("free", false)),
		clienttest.In("provider", exportOf("limited", true)),
		clienttest.In("provider", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "read"}, Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"example.com"}, Resources: []string{"limited"}}}}),
		clienttest.In("provider", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "write"}, Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"*"}, APIGroups: []string{"example.com"}, Resources: []string{"limited"}}}}),
		clienttest.In("provider", &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "read"},
			RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "read"}, Subjects: []rbacv1.Subject{{Kind: "Group", Name: "apis.kcp.io:binding:system:authenticated"}}}),
		clienttest.In("provider", binding("write", "write", "apis.kcp.io:binding:alice", "apis.kcp.io:binding:system:kcp:serviceaccount:org:default:robot", "bob", "bert")),
		clienttest.In("org", binding("more", bootstrap.ClusterAdmin, "bert", "system:serviceaccount:default:robot", "system:serviceaccount:default:other")),
	}
	for name, provider := range map[string]string{"free": "provider", "limited": "provider", "deleted": "provider", "orphan": "vanished", "bare": "vanished", "odd": ""} {
		objects = append(objects, clienttest.In("org", bindingTo(provider, name, name == "orphan")),
			clienttest.In(logicalcluster.SystemBoundCRDs, definitionOf(name)))
	}
	return world(objects...)
}

// bindingTo returns a binding of the resource called name to the export called name.
func bindingTo(provider, name string, limited bool) *apisv1alpha2.APIBinding {
	b := &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if limited {
		b.Annotations = map[string]string{apisv1alpha2.LimitedBindingAnnotationKey: "local"}
	}
	b.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Path: provider, Name: name}
	b.Status.APIExportClusterName = provider
	b.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{
		Group: "example.com", Resource: name, Schema: apisv1alpha2.BoundAPIResourceSchema{Name: "v1." + name, UID: name, IdentityHash: "hash"},
	}}
	return b
}

// definitionOf returns the definition in system:bound-crds of the resource called plural.
func definitionOf(plural string) *apiextensionsv1.CustomResourceDefinition {
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: plural}}
	crd.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: plural, Kind: "Kind", ListKind: "KindList"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}}}},
	}
	crd.Status.AcceptedNames = crd.Spec.Names
	return crd
}

func custom(u user.Info, verb, resource string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{User: u, Verb: verb, APIGroup: "example.com", APIVersion: "v1", Resource: resource, ResourceRequest: true}
}

func TestAuthorize_MaximalPermissionPolicy(t *testing.T) {
	robot := someone("system:serviceaccount:default:robot", "system:serviceaccounts", "system:serviceaccounts:default")
	other := someone("system:serviceaccount:default:other", "system:serviceaccounts", "system:serviceaccounts:default")
	for _, u := range []*user.DefaultInfo{robot, other} {
		u.Extra = map[string][]string{policy.ClusterNameKey: {"org"}, policy.ScopesKey: {"cluster:org"}}
	}
	scoped := someone("alice")
	scoped.Extra = map[string][]string{policy.ScopesKey: {"cluster:org"}}
	masters, admins := someone("root", user.SystemPrivilegedGroup), someone("kcp-admin", "system:kcp:admin")
	alice, bert, bob := someone("alice"), someone("bert"), someone("bob")
	statusOf := custom(alice, "update", "limited")
	statusOf.Subresource = "status"
	for _, tc := range []struct {
		name  string
		attrs authorizer.AttributesRecord
		want  bool
	}{
		{"a policy that allows everybody to read", custom(bert, "list", "limited"), true},
		{"an administrator of the workspace whom it does not let write", custom(bert, "create", "limited"), false},
		{"not even by the same name in the workspace of the provider", custom(bert, "delete", "limited"), false},
		{"whom it names", custom(alice, "create", "limited"), true},
		{"but not what it does not name", statusOf, false},
		{"it allows nothing by itself", custom(bob, "list", "limited"), false},
		{"nor to whom it names", custom(someone("carol"), "list", "limited"), false},
		{"a ServiceAccount that it names", custom(robot, "create", "limited"), true},
		{"another one", custom(other, "create", "limited"), false},
		{"another one, reading", custom(other, "get", "limited"), true},
		{"an identity that is valid in the workspace only", custom(scoped, "create", "limited"), false},
		{"the same, reading like everybody", custom(scoped, "list", "limited"), true},
		{"kcp admins are limited", custom(admins, "create", "limited"), false},
		{"masters are not", custom(masters, "create", "limited"), true},
		{"an export without a policy", custom(bert, "create", "free"), true},
		{"one that the provider has deleted", custom(bert, "create", "deleted"), true},
		{"one whose workspace is gone", custom(bert, "list", "orphan"), false},
		{"also for whom it named", custom(alice, "list", "orphan"), false},
		{"one without a policy whose workspace is gone", custom(bert, "create", "bare"), true},
		{"a binding that does not say to what", custom(bert, "list", "odd"), false},
		{"a resource that is not bound", custom(bert, "create", "other"), true},
		{"the same name in another group", authorizer.AttributesRecord{User: bert, Verb: "create", APIGroup: "example.org", Resource: "limited", ResourceRequest: true}, true},
		{"what every workspace serves", list(bert, "secrets"), true},
		{"paths", get(bert, "/apis/example.com"), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx := logicalcluster.WithCluster(t.Context(), "org")
			decision, reason, err := build(t, over(limited()), onlyVera).Authorize(ctx, tc.attrs)
			if got := decision == authorizer.DecisionAllow; got != tc.want || err != nil {
				t.Errorf("allowed %t (%s, %v), want %t", got, reason, err, tc.want)
			}
			if !tc.want && !slices.Contains(toldToUsers, reason) {
				t.Errorf("the user is told %q", reason)
			}
		})
	}
}

func TestAuthorize_MaximalPermissionPolicyIsRecorded(t *testing.T) {
	ctx := audit.WithAuditContext(logicalcluster.WithCluster(t.Context(), "org"))
	ac := audit.AuditContextFrom(ctx)
	if err := ac.Init(audit.RequestAuditConfig{Level: auditinternal.LevelMetadata}, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := build(t, over(limited()), onlyVera).Authorize(ctx, custom(someone("bert"), "create", "limited")); err != nil {
		t.Fatal(err)
	}
	if got, _ := ac.GetEventAnnotation("request.auth.kcp.io/04-maxpermissionpolicy-decision"); got != "Denied" {
		t.Errorf("decision %q", got)
	}
	got, _ := ac.GetEventAnnotation("request.auth.kcp.io/04-maxpermissionpolicy-reason")
	if !strings.Contains(got, "provider|limited") || !strings.Contains(got, `"apis.kcp.io:binding:bert"`) {
		t.Errorf("reason %q", got)
	}
}

func TestAuthorize_MaximalPermissionPolicyThatCannotBeRead(t *testing.T) {
	for _, resource := range []string{"apibindings", "apiexports", "logicalclusters"} {
		fake := limited()
		fake.Intercept(func(_ string, gr schema.GroupResource, _ client.Key) error {
			if gr.Resource == resource {
				return errors.New("etcd is gone")
			}
			return nil
		})
		c := over(fake)
		c.Evaluator = policy.New(limited(), nil) // it reads logicalclusters, too
		decision, _, err := build(t, c, onlyVera).Authorize(logicalcluster.WithCluster(t.Context(), "org"), custom(someone("alice"), "create", "limited"))
		if decision != authorizer.DecisionDeny || err == nil {
			t.Errorf("without %s: %v, %v", resource, decision, err)
		}
	}
}

// The resource was bound after the request had been authorized.
func TestAgain(t *testing.T) {
	fake := limited()
	clusters, err := New(over(fake))
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := clusters.Catalog.For(t.Context(), "org")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		user     string
		groups   []string
		resource string
		allowed  bool
	}{
		"whom the policy does not name": {"bert", nil, "limited", false},
		"whom it names":                 {"alice", nil, "limited", true},
		"masters":                       {"root", []string{user.SystemPrivilegedGroup}, "limited", true},
		"no policy":                     {"bert", nil, "free", true},
		"a workspace that is gone":      {"bert", nil, "orphan", false},
	} {
		t.Run(name, func(t *testing.T) {
			served, ok := snapshot.Served(schema.GroupResource{Group: "example.com", Resource: tc.resource})
			if !ok {
				t.Fatal("it is not served")
			}
			ctx := genericapirequest.WithUser(logicalcluster.WithCluster(t.Context(), "org"), someone(tc.user, tc.groups...))
			ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
				IsResourceRequest: true, Verb: "create", APIGroup: "example.com", APIVersion: "v1", Resource: tc.resource,
			})
			err := clusters.Again(ctx, "org", served)
			if tc.allowed && err != nil || !tc.allowed && !apierrors.IsForbidden(err) {
				t.Errorf("%v, want allowed: %t", err, tc.allowed)
			}
			if local := (&catalog.Served{Resource: &catalog.Resource{}}); clusters.Again(t.Context(), "org", local) != nil {
				t.Error("what is not bound is refused")
			}
		})
	}
	served, _ := snapshot.Served(schema.GroupResource{Group: "example.com", Resource: "limited"})
	if err := clusters.Again(logicalcluster.WithCluster(t.Context(), "org"), "org", served); err == nil {
		t.Error("a request of nobody is allowed")
	}
}

func TestMayClaim(t *testing.T) {
	clusters, err := New(over(limited()))
	if err != nil {
		t.Fatal(err)
	}
	source := catalog.Source{Export: client.Key{Cluster: "provider", Name: "limited"}}
	scoped := someone("alice")
	scoped.Extra = map[string][]string{policy.ScopesKey: {"cluster:elsewhere"}}
	for name, tc := range map[string]struct {
		user *user.DefaultInfo
		want bool
	}{
		"whom it names":                 {someone("alice"), true},
		"the same, confined":            {scoped, false},
		"whom it does not name":         {someone("bert"), false},
		"masters":                       {someone("root", user.SystemPrivilegedGroup), true},
		"a ServiceAccount of elsewhere": {someone("system:serviceaccount:default:robot"), false},
	} {
		if got, err := clusters.MayClaim(t.Context(), "elsewhere", source, custom(tc.user, "create", "limited")); got != tc.want || err != nil {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}

func exportOf(name string, limited bool) *apisv1alpha2.APIExport {
	e := &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if limited {
		e.Spec.MaximalPermissionPolicy = &apisv1alpha2.MaximalPermissionPolicy{Local: &apisv1alpha2.LocalAPIExportPolicy{}}
	}
	return e
}
