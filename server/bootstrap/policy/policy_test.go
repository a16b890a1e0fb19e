package policy

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// evaluator knows the policy of the start, and a workspace that alice made, where ed may edit, ned view and ada administer
// the namespace default.
func evaluator() *policy.Evaluator {
	var objects []client.Object
	for _, object := range SystemAdmin() {
		objects = append(objects, clienttest.In(logicalcluster.SystemAdmin, object))
	}
	for _, object := range Root() {
		objects = append(objects, clienttest.In(logicalcluster.Root, object))
	}
	objects = append(objects, clienttest.In("w", &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "workspace-admin"}, // as controllers/workspace makes it
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: ClusterAdmin},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "alice"}},
	}))
	for who, role := range map[string]string{"ed": "edit", "ned": "view", "ada": "admin"} {
		b := &rbacv1.RoleBinding{RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: role}, Subjects: []rbacv1.Subject{{Kind: "User", Name: who}}}
		b.Name, b.Namespace = who, "default"
		objects = append(objects, clienttest.In("w", b))
	}
	return policy.New(clienttest.NewFake(objects...), nil)
}

func TestPolicy(t *testing.T) {
	e := evaluator()
	in := func(verb, group, resource, namespace, name string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, APIGroup: group, Resource: resource, Namespace: namespace, Name: name, ResourceRequest: true}
	}
	path := func(verb, path string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, Path: path}
	}
	for _, tc := range []struct {
		name    string
		user    string
		group   string
		cluster logicalcluster.Name
		attrs   authorizer.AttributesRecord
		want    bool
	}{
		{"masters", "m", user.SystemPrivilegedGroup, "w", in("delete", "x", "y", "", ""), true},
		{"kcp admins", "m", groupAdmin, "w", in("delete", "x", "y", "", ""), true},
		{"kcp admins enter", "m", groupAdmin, "w", path("access", "/"), true},
		{"bootstrappers", "m", groupBootstrapper, "w", in("delete", "x", "y", "", ""), true},
		{"logical cluster admins", "m", groupLogicalClusterAdmin, "w", in("update", "core.kcp.io", "logicalclusters", "", "cluster"), true},
		{"logical cluster admins, the rest", "m", groupLogicalClusterAdmin, "w", in("get", "", "secrets", "", "x"), false},
		{"the creator", "alice", "", "w", in("delete", "x", "y", "", ""), true},
		{"the creator enters", "alice", "", "w", path("access", "/"), true},
		{"the creator elsewhere", "alice", "", "v", in("get", "x", "y", "", ""), false},
		{"everybody discovers", "x", "", "w", path("get", "/apis/apps"), true},
		{"everybody reviews themselves", "x", "", "w", in("create", "authorization.k8s.io", "selfsubjectaccessreviews", "", ""), true},
		{"not everybody enters", "x", "", "w", path("access", "/"), false},
		{"everybody enters root", "x", "", "root", path("access", "/"), true},
		{"everybody reads workspaces of root", "x", "", "root", in("list", "tenancy.kcp.io", "workspaces", "", ""), true},
		{"nobody makes workspaces in root", "x", "", "root", in("create", "tenancy.kcp.io", "workspaces", "", ""), false},
		{"not everybody reads workspaces elsewhere", "x", "", "w", in("list", "tenancy.kcp.io", "workspaces", "", ""), false},
		{"everybody uses universal", "x", "", "root", in("use", "tenancy.kcp.io", "workspacetypes", "", "universal"), true},
		{"nobody uses the type of root", "x", "", "root", in("use", "tenancy.kcp.io", "workspacetypes", "", "root"), false},
		{"everybody binds tenancy", "x", "", "root", in("bind", "apis.kcp.io", "apiexports", "", "tenancy.kcp.io"), true},
		{"everybody binds topology", "x", "", "root", in("bind", "apis.kcp.io", "apiexports", "", "topology.kcp.io"), true},
		{"nobody binds shards", "x", "", "root", in("bind", "apis.kcp.io", "apiexports", "", "shards.core.kcp.io"), false},
		{"metrics need a role", "x", "", "root", path("get", "/metrics"), false},

		{"viewers read", "ned", "", "w", in("get", "", "configmaps", "default", "x"), true},
		{"viewers read no secrets", "ned", "", "w", in("get", "", "secrets", "default", "x"), false},
		{"viewers do not write", "ned", "", "w", in("create", "", "configmaps", "default", ""), false},
		{"viewers elsewhere", "ned", "", "w", in("get", "", "configmaps", "other", "x"), false},
		{"editors read what viewers read", "ed", "", "w", in("get", "", "configmaps", "default", "x"), true},
		{"editors write", "ed", "", "w", in("create", "", "secrets", "default", ""), true},
		{"editors do not write RBAC", "ed", "", "w", in("create", rbacv1.GroupName, "rolebindings", "default", ""), false},
		{"administrators read what viewers read", "ada", "", "w", in("get", "", "configmaps", "default", "x"), true},
		{"administrators write", "ada", "", "w", in("create", "", "secrets", "default", ""), true},
		{"administrators write RBAC", "ada", "", "w", in("create", rbacv1.GroupName, "rolebindings", "default", ""), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := &user.DefaultInfo{Name: tc.user, Groups: []string{user.AllAuthenticated}}
			if tc.group != "" {
				u.Groups = append(u.Groups, tc.group)
			}
			tc.attrs.User = u
			decision, reason, err := e.Authorize(t.Context(), tc.cluster, tc.attrs)
			if err != nil {
				t.Fatal(err)
			}
			if got := decision == authorizer.DecisionAllow; got != tc.want {
				t.Errorf("%v (%s), want allowed: %t", decision, reason, tc.want)
			}
		})
	}
}

// Consumers of root's exports are limited to what their specification lets them do, whatever the RBAC of their workspaces says.
func TestRoot_LimitsConsumers(t *testing.T) {
	e := evaluator()
	const tenancy, topology = "tenancy.kcp.io", "topology.kcp.io"
	everybody := &user.DefaultInfo{Name: "alice", Groups: []string{user.AllAuthenticated}}
	admin := &user.DefaultInfo{Name: "ada", Groups: []string{user.AllAuthenticated, groupAdmin}}
	stranger := &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}
	for _, tc := range []struct {
		user                               user.Info
		verb, group, resource, subresource string
		want                               bool
	}{
		{everybody, "create", tenancy, "workspaces", "", true},
		{everybody, "deletecollection", tenancy, "workspacetypes", "", true},
		{everybody, "patch", tenancy, "workspaceauthenticationconfigurations", "", true},
		{everybody, "get", tenancy, "workspaces", "status", true},
		{everybody, "patch", tenancy, "workspaces", "status", false},
		{everybody, "update", tenancy, "workspacetypes", "status", false},
		{everybody, "create", tenancy, "others", "", false},
		{everybody, "create", topology, "partitions", "", true},
		{everybody, "update", topology, "partitionsets", "status", false},
		{everybody, "get", "", "secrets", "", false},
		{admin, "update", tenancy, "workspaces", "status", true},
		{admin, "create", tenancy, "others", "", true},
		{admin, "get", "", "secrets", "", false},
		{stranger, "list", tenancy, "workspaces", "", false},
	} {
		attrs := authorizer.AttributesRecord{User: policy.AsConsumer(tc.user, "w", logicalcluster.Root), Verb: tc.verb, APIGroup: tc.group,
			Resource: tc.resource, Subresource: tc.subresource, ResourceRequest: true}
		decision, reason, err := e.Authorize(t.Context(), logicalcluster.Root, attrs)
		if got := decision == authorizer.DecisionAllow; got != tc.want || err != nil {
			t.Errorf("%s: %s %s/%s: %v (%s, %v), want allowed: %t", tc.user.GetName(), tc.verb, tc.resource, tc.subresource, decision, reason, err, tc.want)
		}
	}
}

func TestPolicy_IsWhole(t *testing.T) {
	for name, objects := range map[string][]client.Object{"system:admin": SystemAdmin(), "root": append(SystemAdmin(), Root()...)} {
		roles := map[string]bool{}
		for _, object := range objects {
			if role, ok := object.(*rbacv1.ClusterRole); ok {
				if roles[role.Name] {
					t.Errorf("%s: role %s is there twice", name, role.Name)
				}
				roles[role.Name] = true
				if len(role.Rules) == 0 {
					t.Errorf("%s: role %s is empty", name, role.Name)
				}
			}
		}
		for _, object := range objects {
			if binding, ok := object.(*rbacv1.ClusterRoleBinding); ok && !roles[binding.RoleRef.Name] {
				t.Errorf("%s: binding %s refers to role %s, which is not there", name, binding.Name, binding.RoleRef.Name)
			}
		}
	}
	// Nobody below the internal groups holds more than the little that is for everybody.
	for _, object := range append(SystemAdmin(), Root()...) {
		binding, ok := object.(*rbacv1.ClusterRoleBinding)
		if !ok || !slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool {
			return s.Name == user.AllAuthenticated || s.Name == user.AllUnauthenticated
		}) {
			continue
		}
		if slices.Contains([]string{ClusterAdmin, groupBootstrapper, "admin", "edit", "view"}, binding.RoleRef.Name) {
			t.Errorf("binding %s gives %s to everybody", binding.Name, binding.RoleRef.Name)
		}
	}
}

// A workspace may have created a role with any other name before an update of the server.
func TestPolicy_RolesHaveReservedNames(t *testing.T) {
	for _, object := range append(SystemAdmin(), Root()...) {
		if role, ok := object.(*rbacv1.ClusterRole); ok && !policy.SystemRole(role.Name) {
			t.Errorf("%s is not a name for a role of the system: begin it with \"system:\"", role.Name)
		}
	}
	for _, name := range []string{"", "system", "System:x", "editor", "admin2", "workspace-admin"} {
		if policy.SystemRole(name) {
			t.Errorf("%q is reserved", name)
		}
	}
}

func TestPolicy_IsNewEachTime(t *testing.T) {
	SystemAdmin()[0].SetName("changed")
	if got := SystemAdmin()[0].GetName(); got == "changed" {
		t.Error("callers share objects")
	}
}
