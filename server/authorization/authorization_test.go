package authorization

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters/impersonation"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/maximal"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/authentication"
	bootstrap "github.com/annex-dev/annex/server/bootstrap/policy"
	"github.com/annex-dev/annex/server/virtual"
)

// phases is a ClusterLookup.
type phases map[logicalcluster.Name]string

func (p phases) Phase(_ context.Context, cluster logicalcluster.Name) (string, bool, error) {
	phase, ok := p[cluster]
	if phase == "broken" {
		return "", false, errors.New("broken")
	}
	return phase, ok, nil
}

func (p phases) PhaseNow(ctx context.Context, cluster logicalcluster.Name) (string, bool, error) {
	return p.Phase(ctx, cluster)
}

// world is a server with three workspaces: alice administers org, bob may enter it, carol may list configmaps there but not
// enter; mallory administers other; required asks for a group.
func world(more ...client.Object) *clienttest.Fake {
	var objects []client.Object
	for cluster, list := range map[logicalcluster.Name][]client.Object{
		logicalcluster.SystemAdmin: bootstrap.SystemAdmin(),
		logicalcluster.Root:        bootstrap.Root(),
		"org": {
			binding("admin", bootstrap.ClusterAdmin, "alice"),
			binding("entrants", bootstrap.WorkspaceAccess, "bob", "system:serviceaccount:default:foreign"),
			&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "lister"}, Rules: []rbacv1.PolicyRule{
				{Verbs: []string{"list"}, APIGroups: []string{""}, Resources: []string{"configmaps", "namespaces"}}}},
			binding("listers", "lister", "carol"),
		},
		"other":    {binding("admin", bootstrap.ClusterAdmin, "mallory")},
		"required": {binding("admin", bootstrap.ClusterAdmin, "alice", "dave")},
		"gone":     {binding("admin", bootstrap.ClusterAdmin, "alice")},
		"starting": {binding("admin", bootstrap.ClusterAdmin, "alice")},
		"deleting": {binding("admin", bootstrap.ClusterAdmin, "alice")},
		"off":      {binding("admin", bootstrap.ClusterAdmin, "alice")},
		"named":    {binding("admin", bootstrap.ClusterAdmin, "system:kcp:serviceaccount:other:default:foreign")},
		"alike":    {binding("admin", bootstrap.ClusterAdmin, "system:serviceaccount:default:foreign")},
	} {
		for _, object := range list {
			objects = append(objects, clienttest.In(cluster, object))
		}
	}
	objects = append(objects, clienttest.In("required", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{
		Name: corev1alpha1.LogicalClusterName, Annotations: map[string]string{corev1alpha1.RequiredGroupsAnnotationKey: "staff"},
	}}))
	return clienttest.NewFake(append(objects, more...)...)
}

func known() phases {
	return phases{"root": "Ready", "org": "Ready", "other": "Ready", "required": "Ready", "starting": "Scheduling", "deleting": "Deleting",
		"off": "Inactive", "named": "Ready", "alike": "Ready", "unwell": "broken", logicalcluster.SystemAdmin: "Ready"}
}

func binding(name, role string, users ...string) client.Object {
	b := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}
	for _, u := range users {
		b.Subjects = append(b.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: u})
	}
	return b
}

// onlyVera decides virtual endpoints: for vera alone.
var onlyVera = authorizer.AuthorizerFunc(func(_ context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if attrs.GetUser().GetName() == "vera" {
		return authorizer.DecisionAllow, "vera", nil
	}
	return authorizer.DecisionDeny, "secret reason", nil
})

// build returns the authorizer of a server whose virtual endpoints are decided by v.
func build(t *testing.T, c Config, v authorizer.UnconditionalAuthorizer) authorizer.Authorizer {
	t.Helper()
	clusters, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	a, err := clusters.WithVirtual(v)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newAuthorizer(t *testing.T) authorizer.Authorizer {
	t.Helper()
	c := over(world())
	c.AlwaysAllowPaths = DefaultAlwaysAllowPaths()
	return build(t, c, onlyVera)
}

// over returns a configuration for the objects in fake.
func over(fake *clienttest.Fake) Config {
	return Config{
		Evaluator: policy.New(fake, nil), Clusters: known(), Order: DefaultOrder(),
		Catalog: catalog.New(catalog.Config{Reader: fake, IsBound: kinds.All.IsBound, Builtin: kinds.All.IsEverywhere}), Policies: maximal.New(fake, nil),
	}
}

func someone(name string, groups ...string) *user.DefaultInfo {
	return &user.DefaultInfo{Name: name, Groups: append(groups, user.AllAuthenticated)}
}

func list(u user.Info, resource string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{User: u, Verb: "list", APIVersion: "v1", Resource: resource, ResourceRequest: true}
}

func get(u user.Info, path string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{User: u, Verb: "get", Path: path}
}

func create(u user.Info, group, resource string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{User: u, Verb: "create", APIGroup: group, APIVersion: "v1", Resource: resource, ResourceRequest: true}
}

func status(u user.Info, verb, group, resource string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{User: u, Verb: verb, APIGroup: group, Resource: resource, Subresource: "status", Name: "x", ResourceRequest: true}
}

func impersonate(u user.Info, resource, name string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{User: u, Verb: "impersonate", Resource: resource, Name: name, ResourceRequest: true}
}

func TestAuthorize(t *testing.T) {
	const (
		org      = "org"
		unknown  = "?"
		wildcard = "*"
		none     = ""
		vw       = "vw" // a virtual endpoint of an export in org
		vwOff    = "vw off"
		offVW    = "off vw"
	)
	masters := someone("root", user.SystemPrivilegedGroup)
	admins := someone("kcp-admin", "system:kcp:admin")
	anonymous := &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}
	alice, bob, carol, mallory, dave := someone("alice"), someone("bob"), someone("carol"), someone("mallory"), someone("dave")
	account := someone("system:serviceaccount:default:default", "system:serviceaccounts", "system:serviceaccounts:default")
	foreign := someone("system:serviceaccount:default:foreign", "system:serviceaccounts")
	foreign.Extra = map[string][]string{policy.ClusterNameKey: {"other"}}
	scoped := someone("alice")
	scoped.Extra = map[string][]string{policy.ScopesKey: {"cluster:other"}}
	scopedMaster := someone("root", user.SystemPrivilegedGroup)
	scopedMaster.Extra = map[string][]string{policy.ScopesKey: {"cluster:other"}}
	initializer := someone("i", "system:kcp:initializer:root:x", "system:kcp:terminator:root:x")
	tenancy, core, apis := "tenancy.kcp.io", "core.kcp.io", "apis.kcp.io"

	warrant := func(u *user.DefaultInfo, value string) *user.DefaultInfo {
		warranted := *u
		warranted.Extra = map[string][]string{policy.WarrantKey: {value}}
		return &warranted
	}
	for _, tc := range []struct {
		name   string
		target string
		attrs  authorizer.AttributesRecord
		want   bool
	}{
		// spec/04 §3
		{"a warrant of an administrator of the workspace", org, list(warrant(dave, `{"user":"alice"}`), "secrets"), true},
		{"a warrant of one of another workspace", org, list(warrant(dave, `{"user":"mallory"}`), "secrets"), false},
		{"a warrant of kcp admins", org, list(warrant(dave, `{"groups":["system:kcp:admin"]}`), "secrets"), true},
		{"a warrant of kcp admins lifts no barrier", org, status(warrant(dave, `{"groups":["system:kcp:admin"]}`), "update", apis, "apibindings"), false},
		{"a warrant of masters does not make a master", "system:admin", list(warrant(dave, `{"groups":["system:masters"]}`), "clusterroles"), false},
		{"nor a reader of all clusters", wildcard, list(warrant(dave, `{"groups":["system:masters"]}`), "configmaps"), false},
		{"a warrant with the required group", "required", list(warrant(dave, `{"groups":["staff"]}`), "configmaps"), true},
		{"one with another group", "required", list(warrant(dave, `{"groups":["dev"]}`), "configmaps"), false},
		{"a warrant of a ServiceAccount enters its cluster", org, get(warrant(dave, `{"user":"system:serviceaccount:default:default","groups":["system:serviceaccounts"],"extra":{"authentication.kcp.io/cluster-name":["org"]}}`), "/api"), true},
		{"and no other", "other", get(warrant(dave, `{"user":"system:serviceaccount:default:default","groups":["system:serviceaccounts"],"extra":{"authentication.kcp.io/cluster-name":["org"]}}`), "/api"), false},
		{"masters give warrants", org, authorizer.AttributesRecord{User: masters, Verb: "impersonate", Resource: "userextras", Subresource: policy.WarrantKey, Name: `{"user":"alice"}`, ResourceRequest: true}, true},
		{"but no malformed ones", org, authorizer.AttributesRecord{User: masters, Verb: "impersonate", Resource: "userextras", Subresource: policy.WarrantKey, Name: `alice`, ResourceRequest: true}, false},
		{"kcp admins do not", org, authorizer.AttributesRecord{User: admins, Verb: "impersonate", Resource: "userextras", Subresource: policy.WarrantKey, Name: `{"user":"alice"}`, ResourceRequest: true}, false},

		// spec/04 §13, 1 and 2
		{"an administrator of the workspace", org, list(alice, "secrets"), true},
		{"RBAC without access", org, list(carol, "configmaps"), false},
		{"discovery without access", org, get(carol, "/api"), false},
		{"access gives discovery", org, get(bob, "/api"), true},
		{"access gives discovery of groups", org, get(bob, "/apis/apps/v1"), true},
		{"access gives OpenAPI", org, get(bob, "/openapi/v3"), true},
		{"access gives access reviews", org, create(bob, "authorization.k8s.io", "selfsubjectaccessreviews"), true},
		{"access gives rules reviews", org, create(bob, "authorization.k8s.io", "selfsubjectrulesreviews"), true},
		{"access gives self reviews", org, create(bob, "authentication.k8s.io", "selfsubjectreviews"), true},
		{"access gives no reviews of others", org, create(bob, "authorization.k8s.io", "subjectaccessreviews"), false},
		{"access gives no namespaces", org, list(bob, "namespaces"), false},
		{"access gives no profiles", org, get(bob, "/debug/pprof/heap"), false},
		{"nothing without any binding", org, get(dave, "/api"), false},
		{"the administrator of another workspace", org, list(mallory, "configmaps"), false},
		{"anonymous discovery", org, get(anonymous, "/api"), false},
		{"the version of a workspace one may not enter", org, get(dave, "/version"), false},

		// Who is above
		{"kcp admins enter everywhere", org, list(admins, "secrets"), true},
		{"masters enter everywhere", org, list(masters, "secrets"), true},
		{"masters out of scope do not", org, list(scopedMaster, "secrets"), false},
		{"an administrator out of scope does not", org, list(scoped, "secrets"), false},
		{"service accounts enter their cluster", org, get(account, "/api"), true},
		{"service accounts need RBAC for the rest", org, list(account, "configmaps"), false},
		{"service accounts of other clusters do not enter", org, get(foreign, "/api"), false},

		// spec/04 §13, 6
		{"kcp admins do not write the status of bindings", org, status(admins, "update", apis, "apibindings"), false},
		{"masters do", org, status(masters, "update", apis, "apibindings"), true},
		{"kcp admins do not write the status of exports", org, status(admins, "patch", apis, "apiexports"), false},
		{"kcp admins do not write the status of workspaces", org, status(admins, "update", tenancy, "workspaces"), false},
		{"kcp admins do not write the status of logical clusters", org, status(admins, "update", core, "logicalclusters"), false},
		{"an unknown verb is a write", org, status(admins, "mangle", apis, "apiexports"), false},
		{"they may read it", org, status(admins, "get", apis, "apibindings"), true},
		{"the status of other kinds is theirs", org, status(admins, "update", "example.com", "widgets"), true},

		// spec/04 §13, 7
		{"initializer groups enter nothing", org, get(initializer, "/api"), false},
		{"not even what is being deleted", "deleting", get(initializer, "/api"), false},

		// Phases
		{"a cluster that is being deleted", "deleting", list(alice, "configmaps"), true},
		{"a cluster without a place", "starting", list(alice, "configmaps"), false},
		{"a cluster that is not there, whatever its policy", "gone", list(alice, "configmaps"), false},
		{"a cluster that cannot be looked up", "unwell", list(alice, "configmaps"), false},
		{"kcp admins in a cluster without a place", "starting", list(admins, "configmaps"), false},

		// spec/01 §7.3: phase Inactive
		{"nothing in a cluster that is switched off", "off", list(alice, "configmaps"), false},
		{"no discovery", "off", get(alice, "/apis"), false},
		{"no access reviews", "off", create(alice, "authorization.k8s.io", "selfsubjectaccessreviews"), false},
		{"nor for kcp admins", "off", list(admins, "configmaps"), false},
		{"nor for logical cluster admins", "off", list(someone("l", "system:kcp:logical-cluster-admin"), "workspaces"), false},
		{"nor for its service accounts", "off", get(account, "/api"), false},
		{"but health", "off", get(anonymous, "/readyz"), true},
		{"but OpenAPI", "off", get(alice, "/openapi/v3"), true},
		{"and nothing that is called alike", "off", get(alice, "/openapis"), false},
		{"but what switches it on again", "off", authorizer.AttributesRecord{User: alice, Verb: "patch", APIGroup: core, Resource: "logicalclusters", ResourceRequest: true}, true},
		{"to those who may", "off", authorizer.AttributesRecord{User: dave, Verb: "get", APIGroup: core, Resource: "logicalclusters", ResourceRequest: true}, false},
		{"in the name of somebody else, too", "off", impersonate(alice, "users", "x"), true},
		{"everything for masters", "off", list(masters, "configmaps"), true},
		{"not through a provider's endpoint", vwOff, list(someone("vera"), "widgets"), false},
		{"nor when the provider is switched off", offVW, list(someone("vera"), "widgets"), false},

		// Required groups
		{"without the required group", "required", list(dave, "configmaps"), false},
		{"with the required group", "required", list(someone("dave", "staff"), "configmaps"), true},
		{"kcp admins are spared", "required", list(admins, "configmaps"), true},
		{"service accounts are spared", "required", get(account, "/api"), true},

		// Addresses
		{"unknown", unknown, list(alice, "configmaps"), false},
		{"unknown, for kcp admins", unknown, list(admins, "configmaps"), false},
		{"unknown, for masters", unknown, list(masters, "configmaps"), false},
		{"health of the unknown", unknown, get(anonymous, "/healthz"), true},
		{"a cluster of the server", "system:admin", list(admins, "clusterroles"), false},
		{"a cluster of the server, for masters", "system:admin", list(masters, "clusterroles"), true},
		{"wildcard", wildcard, list(alice, "configmaps"), false},
		{"wildcard, for kcp admins", wildcard, list(admins, "configmaps"), false},
		{"wildcard, for masters", wildcard, list(masters, "configmaps"), true},
		{"anybody authenticated enters root", "root", get(dave, "/api"), true},
		{"anybody authenticated reads workspaces of root", "root", authorizer.AttributesRecord{User: dave, Verb: "list", APIGroup: tenancy, Resource: "workspaces", ResourceRequest: true}, true},
		{"anybody authenticated does not write workspaces of root", "root", create(dave, tenancy, "workspaces"), false},
		{"anonymous does not enter root", "root", get(anonymous, "/api"), false},

		// spec/04 §13, 11
		{"health without authentication", none, get(anonymous, "/healthz"), true},
		{"single checks", none, get(anonymous, "/readyz/etcd"), true},
		{"readiness in a workspace", org, get(anonymous, "/readyz"), true},
		{"no prefix of health", none, get(anonymous, "/healthzebra"), false},
		{"metrics", none, get(dave, "/metrics"), false},
		{"metrics, for an administrator of another workspace", none, get(alice, "/metrics"), false},
		{"metrics, for kcp admins by root", none, get(admins, "/metrics"), true},
		{"the version", none, get(dave, "/version"), true},
		{"the version, anonymously", none, get(anonymous, "/version"), false},
		{"writing the version", none, authorizer.AttributesRecord{User: dave, Verb: "post", Path: "/version"}, false},
		{"profiles", none, get(admins, "/debug/pprof/heap"), false},
		{"profiles, for masters", none, get(masters, "/debug/pprof/heap"), true},
		{"resources of no cluster", none, list(admins, "configmaps"), false},

		// Virtual endpoints
		{"vera at a virtual endpoint", vw, list(someone("vera"), "configmaps"), true},
		{"alice at a virtual endpoint", vw, list(alice, "configmaps"), false},
		{"masters at a virtual endpoint", vw, list(masters, "configmaps"), false},
		{"impersonation there is a matter of the workspace of the export", vw, impersonate(alice, "users", "x"), true},
		{"and not of the endpoint", vw, impersonate(someone("vera"), "users", "x"), false},

		// spec/04 §13, 10, and §7
		{"an administrator impersonates a user", org, impersonate(alice, "users", "x"), true},
		{"and a service account", org, impersonate(alice, "serviceaccounts", "x"), true},
		{"and its groups", org, impersonate(alice, "groups", "system:serviceaccounts:default"), true},
		{"and a group of people", org, impersonate(alice, "groups", "dev"), true},
		{"and everybody authenticated", org, impersonate(alice, "groups", user.AllAuthenticated), true},
		{"who may only enter impersonates nobody", org, impersonate(bob, "users", "x"), false},
		{"not masters", org, impersonate(alice, "groups", user.SystemPrivilegedGroup), false},
		{"not kcp admins", org, impersonate(alice, "groups", "system:kcp:admin"), false},
		{"kcp admins may lend their own group", org, impersonate(admins, "groups", "system:kcp:admin"), true},
		{"kcp admins do not become masters", org, impersonate(admins, "groups", user.SystemPrivilegedGroup), false},
		{"not logical cluster admins", org, impersonate(admins, "groups", "system:kcp:logical-cluster-admin"), false},
		{"not bootstrappers", org, impersonate(admins, "groups", "system:kcp:tenancy:workspace-bootstrapper"), false},
		{"not initializers", org, impersonate(admins, "groups", "system:kcp:initializer:root:x"), false},
		{"not users of other clusters", org, impersonate(alice, "groups", "system:cluster:other"), false},
		{"not bound subjects", org, impersonate(alice, "groups", "apis.kcp.io:binding:dev"), false},
		{"not foreign service accounts", org, impersonate(alice, "users", "system:kcp:serviceaccount:other:default:x"), false},
		{"not all groups at once", org, impersonate(alice, "groups", "*"), false},
		{"masters become anybody", org, impersonate(masters, "groups", "system:kcp:admin"), true},
		{"no scopes", org, authorizer.AttributesRecord{User: alice, Verb: "impersonate", APIGroup: authenticationv1.GroupName, Resource: "userextras", Subresource: policy.ScopesKey, Name: "cluster:other", ResourceRequest: true}, false},
		{"no warrants", org, authorizer.AttributesRecord{User: alice, Verb: "impersonate", APIGroup: authenticationv1.GroupName, Resource: "userextras", Subresource: "authorization.kcp.io/warrant", Name: "{}", ResourceRequest: true}, false},
		{"other extras", org, authorizer.AttributesRecord{User: alice, Verb: "impersonate", APIGroup: authenticationv1.GroupName, Resource: "userextras", Subresource: "example.com/team", Name: "x", ResourceRequest: true}, true},
		{"nothing constrained", org, authorizer.AttributesRecord{User: masters, Verb: "impersonate:user-info", APIGroup: authenticationv1.GroupName, Resource: "users", Name: "x", ResourceRequest: true}, false},
		{"nothing constrained on a verb", org, authorizer.AttributesRecord{User: alice, Verb: "impersonate-on:user-info:list", Resource: "configmaps", ResourceRequest: true}, false},
		{"nobody across all clusters", wildcard, impersonate(admins, "users", "x"), false},
		{"nobody without a cluster", none, impersonate(admins, "users", "x"), false},

		// Whoever is authenticated may ask who they are.
		{"who am I, without access", org, create(dave, "authentication.k8s.io", "selfsubjectreviews"), true},
		{"who am I, in the unknown", unknown, create(dave, "authentication.k8s.io", "selfsubjectreviews"), true},
		{"who am I, in what is switched off", "off", create(dave, "authentication.k8s.io", "selfsubjectreviews"), true},
		{"who am I, in a cluster of the server", "system:admin", create(dave, "authentication.k8s.io", "selfsubjectreviews"), true},
		{"who am I, in no cluster", none, create(dave, "authentication.k8s.io", "selfsubjectreviews"), true},
		{"who am I, out of scope", org, create(scoped, "authentication.k8s.io", "selfsubjectreviews"), true},
		{"who am I, in all clusters", wildcard, create(dave, "authentication.k8s.io", "selfsubjectreviews"), false},
		{"who am I, at a virtual endpoint", vw, create(dave, "authentication.k8s.io", "selfsubjectreviews"), false},
		{"who am I, anonymously", org, create(anonymous, "authentication.k8s.io", "selfsubjectreviews"), false},
		{"who is that", org, create(dave, "authentication.k8s.io", "tokenreviews"), false},
		{"who am I, in another group", org, create(dave, "example.com", "selfsubjectreviews"), false},
		{"a list of who I am", org, authorizer.AttributesRecord{User: dave, Verb: "list", APIGroup: "authentication.k8s.io", Resource: "selfsubjectreviews", ResourceRequest: true}, false},
		{"who am I, in the name of somebody else", org, impersonate(dave, "users", "x"), false},

		// spec/04 §5.4
		{"a service account of another cluster that is named enters", "named", get(foreign, "/api"), true},
		{"and does what its name may do", "named", list(foreign, "configmaps"), true},
		{"not by the name that it has at home", "alike", get(foreign, "/api"), false},

		{"no user", org, authorizer.AttributesRecord{Verb: "get", Path: "/healthz"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx := t.Context()
			switch tc.target {
			case unknown:
				ctx = logicalcluster.WithUnknown(ctx)
			case wildcard:
				ctx = logicalcluster.WithWildcard(ctx)
			case none:
			case vw:
				ctx = logicalcluster.WithWildcard(virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: "apiexport", Cluster: org, Name: "e"}))
			case vwOff:
				ctx = logicalcluster.WithCluster(virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: "apiexport", Cluster: org, Name: "e"}), "off")
			case offVW:
				ctx = logicalcluster.WithWildcard(virtual.WithEndpoint(ctx, virtual.Endpoint{Kind: "apiexport", Cluster: "off", Name: "e"}))
			default:
				ctx = logicalcluster.WithCluster(ctx, logicalcluster.Name(tc.target))
			}
			decision, reason, err := newAuthorizer(t).Authorize(ctx, tc.attrs)
			if got := decision == authorizer.DecisionAllow; got != tc.want {
				t.Errorf("Authorize() = %v (%s, %v), want allowed: %t", decision, reason, err, tc.want)
			}
			if master := tc.attrs.User != nil && policy.Master(tc.attrs.User, authentication.ClusterOf(ctx)); !master && reason != granted && !slices.Contains(toldToUsers, reason) {
				t.Errorf("the reason %q tells too much", reason)
			}
		})
	}
}

// toldToUsers are all reasons of a refusal that users may learn.
var toldToUsers = []string{denied, denied + ": the workspace does not exist, or you may not enter it", denied + ": the workspace is inactive", denied + ": " + noWorkspace}

// Who may enter a workspace learns that it is inactive, and nobody else.
func TestAuthorize_WhoLearnsThatAWorkspaceIsInactive(t *testing.T) {
	c := over(world())
	c.Address = func(context.Context) string { return "root:off" }
	a := build(t, c, onlyVera)
	ctx := logicalcluster.WithCluster(t.Context(), "off")
	for name, want := range map[string]string{
		"alice": `access denied: workspace "root:off" is inactive`,
		"dave":  `access denied: workspace "root:off" does not exist, or you may not enter it`,
	} {
		if decision, reason, err := a.Authorize(ctx, list(someone(name), "configmaps")); decision == authorizer.DecisionAllow || reason != want || err != nil {
			t.Errorf("%s: %v, %q, %v; want %q", name, decision, reason, err, want)
		}
	}
	if _, reason, _ := a.Authorize(ctx, list(&user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}, "configmaps")); reason != denied {
		t.Errorf("a stranger is told %q", reason)
	}
}

// A cluster that does not exist and one that may not be entered must look the same.
func TestAuthorize_NothingIsLearntAboutClusters(t *testing.T) {
	a := newAuthorizer(t)
	attrs := list(someone("dave"), "configmaps")
	type answer struct {
		decision authorizer.Decision
		reason   string
		err      error
	}
	var first *answer
	for name, ctx := range map[string]context.Context{
		"forbidden": logicalcluster.WithCluster(t.Context(), "org"),
		"missing":   logicalcluster.WithCluster(t.Context(), "nosuch"),
		"unknown":   logicalcluster.WithUnknown(t.Context()),
		"system":    logicalcluster.WithCluster(t.Context(), "system:admin"),
		"gone":      logicalcluster.WithCluster(t.Context(), "gone"),
	} {
		decision, reason, err := a.Authorize(ctx, attrs)
		got := answer{decision, reason, err}
		if first == nil {
			first = &got
		}
		if got != *first {
			t.Errorf("%s: %v, want %v like the others", name, got, *first)
		}
	}
}

// A mounted workspace has users of another server behind it, who are nobody's here to impersonate.
func TestAtEndpoint_NobodyIsImpersonatedBeyond(t *testing.T) {
	a := newAuthorizer(t)
	mounted := virtual.WithEndpoint(logicalcluster.WithCluster(t.Context(), "org"), virtual.Endpoint{Kind: "mount", Cluster: "org", Name: "m", Direct: true, Workspace: true})
	master := &user.DefaultInfo{Name: "m", Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}}
	for _, who := range []user.Info{someone("vera"), someone("dave"), master} {
		for _, attrs := range []authorizer.AttributesRecord{impersonate(who, "users", "dave"), impersonate(who, "groups", "devs")} {
			if decision, _, err := a.Authorize(mounted, attrs); decision == authorizer.DecisionAllow || err != nil {
				t.Errorf("%s stands in for %s %s: %v, %v", who.GetName(), attrs.Resource, attrs.Name, decision, err)
			}
		}
	}
	if decision, _, err := a.Authorize(mounted, list(someone("vera"), "configmaps")); decision != authorizer.DecisionAllow || err != nil {
		t.Errorf("whom the virtual workspace allows: %v, %v", decision, err)
	}
	// Who is refused there is told what is told of a workspace that does not exist.
	_, refused, _ := a.Authorize(mounted, list(someone("dave"), "configmaps"))
	_, missing, _ := a.Authorize(logicalcluster.WithUnknown(t.Context()), list(someone("dave"), "configmaps"))
	if refused != missing || refused == "" {
		t.Errorf("%q, and of a workspace that does not exist %q", refused, missing)
	}
}

func TestAuthorizer_InCluster(t *testing.T) {
	clusters, err := New(over(world()))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		cluster logicalcluster.Name
		who     user.Info
		want    bool
	}{
		{"org", &user.DefaultInfo{Name: "m", Groups: []string{user.SystemPrivilegedGroup}}, true},
		{"org", someone("dave"), false},
		{"nosuch", someone("dave"), false},
		{"system:admin", someone("dave"), false},
		{"org", nil, false},
	} {
		attrs := list(tc.who, "configmaps")
		if tc.who == nil {
			attrs.User = nil
		}
		decision, _, err := clusters.InCluster(logicalcluster.WithCluster(t.Context(), tc.cluster), tc.cluster, attrs)
		if got := decision == authorizer.DecisionAllow; got != tc.want || err != nil {
			t.Errorf("%+v: %v, %v", tc, decision, err)
		}
	}
}

func TestAuthorize_PolicyThatCannotBeReadDenies(t *testing.T) {
	fake := world()
	a := build(t, over(fake), onlyVera)
	fake.Intercept(func(string, schema.GroupResource, client.Key) error { return errors.New("etcd is at 10.0.0.1") })
	ctx := logicalcluster.WithCluster(t.Context(), "org")
	decision, reason, err := a.Authorize(ctx, list(someone("alice"), "configmaps"))
	if decision != authorizer.DecisionDeny || err == nil {
		t.Errorf("Authorize() = %v, %v, want an error", decision, err)
	}
	if strings.Contains(reason+err.Error(), "10.0.0.1") {
		t.Errorf("the user is told %q, %v", reason, err)
	}
}

func TestAuthorize_AuditAnnotations(t *testing.T) {
	ctx := audit.WithAuditContext(logicalcluster.WithCluster(t.Context(), "org"))
	ac := audit.AuditContextFrom(ctx)
	if err := ac.Init(audit.RequestAuditConfig{Level: auditinternal.LevelMetadata}, nil); err != nil {
		t.Fatal(err)
	}
	a := newAuthorizer(t)
	// An impersonation that is decided on the way leaves no trace, so that the request itself can.
	if _, _, err := a.Authorize(ctx, impersonate(someone("alice"), "users", "carol")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Authorize(ctx, list(someone("carol"), "configmaps")); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"request.auth.kcp.io/01-requiredgroups-decision": "NoOpinion",
		"request.auth.kcp.io/02-content-decision":        "Denied",
		"request.auth.kcp.io/02-content-reason":          "verb access on / is not permitted",
	} {
		if got, _ := ac.GetEventAnnotation(key); got != want {
			t.Errorf("annotation %s = %q, want %q", key, got, want)
		}
	}
	if _, ok := ac.GetEventAnnotation("request.auth.kcp.io/05-local-decision"); ok {
		t.Error("a step after the decision is annotated")
	}
}

func TestNew_RefusesWhatWouldBeOpen(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"nothing":            func(c *Config) { *c = Config{} },
		"no evaluator":       func(c *Config) { c.Evaluator = nil },
		"no clusters":        func(c *Config) { c.Clusters = nil },
		"no catalog":         func(c *Config) { c.Catalog = nil },
		"no policies":        func(c *Config) { c.Policies = nil },
		"a relative path":    func(c *Config) { c.AlwaysAllowPaths = []string{"healthz"} },
		"everything allowed": func(c *Config) { c.AlwaysAllowPaths = []string{"*"} },
		"nobody who decides": func(c *Config) { c.Order = nil },
		"an unknown one":     func(c *Config) { c.Order = []string{"AlwaysAllow"} },
		"one of them twice":  func(c *Config) { c.Order = []string{RBAC, AlwaysAllowGroups, RBAC} },
		"a webhook that nobody asks": func(c *Config) {
			c.Order, c.Webhook = []string{AlwaysAllowGroups, RBAC}, onlyVera
		},
	} {
		c := over(clienttest.NewFake())
		change(&c)
		if a, err := New(c); err == nil || a != nil {
			t.Errorf("%s: New() = %v, %v, want an error", name, a, err)
		}
	}
	clusters, err := New(over(clienttest.NewFake()))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := clusters.WithVirtual(nil); err == nil || a != nil {
		t.Errorf("no virtual: WithVirtual() = %v, %v, want an error", a, err)
	}
	// It is complete without, and refuses what it knows nothing of.
	ctx := logicalcluster.WithWildcard(virtual.WithEndpoint(t.Context(), virtual.Endpoint{Kind: "any", Cluster: "org", Name: "e"}))
	for _, u := range []*user.DefaultInfo{someone("vera"), someone("root", user.SystemPrivilegedGroup)} {
		if decision, _, _ := clusters.Authorize(ctx, list(u, "widgets")); decision == authorizer.DecisionAllow {
			t.Errorf("a virtual endpoint is open to %s where nobody decides about it", u.Name)
		}
	}
}

// The stock filter for constrained impersonation keeps what it was allowed under a key without the cluster. The contract
// test shows that it has nothing to keep with our authorizer: alice impersonates where she may, and at once elsewhere, where
// she may not.
func TestConstrainedImpersonation_IsNotCachedAcrossClusters(t *testing.T) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	for name, filter := range map[string]func(http.Handler, authorizer.UnconditionalAuthorizer, runtime.NegotiatedSerializer) http.Handler{
		"constrained": impersonation.WithConstrainedImpersonation,
		"legacy":      impersonation.WithImpersonation,
	} {
		t.Run(name, func(t *testing.T) {
			var as string
			handler := filter(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				u, _ := genericapirequest.UserFrom(r.Context())
				as = u.GetName()
			}), newAuthorizer(t), serializer.NewCodecFactory(scheme))
			for _, step := range []struct {
				cluster  logicalcluster.Name
				wantCode int
			}{{"org", http.StatusOK}, {"org", http.StatusOK}, {"other", http.StatusForbidden}, {"root", http.StatusForbidden}} {
				as = ""
				ctx := logicalcluster.WithCluster(genericapirequest.WithUser(t.Context(), someone("alice")), step.cluster)
				ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
					IsResourceRequest: true, Verb: "list", APIVersion: "v1", Resource: "configmaps", Path: "/api/v1/configmaps",
				})
				r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/configmaps", nil)
				r.Header.Set(authenticationv1.ImpersonateUserHeader, "x")
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != step.wantCode || (as == "x") != (step.wantCode == http.StatusOK) {
					t.Errorf("in %s: %d as %q, want %d", step.cluster, w.Code, as, step.wantCode)
				}
			}
		})
	}
}
