package rbac

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/registry/storage"
)

var configMaps = rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"configmaps"}}

// held is the policy that the evaluator of the tests knows: owner may do everything in cluster a; writer may write RBAC and
// holds configmaps; binder may besides bind the role big, and escalator escalate.
func held() *clienttest.Fake {
	everything := policy.Everything()
	bind := func(name, role, who string) client.Object {
		return clienttest.In("a", &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: who}},
		})
	}
	role := func(name string, rules ...rbacv1.PolicyRule) client.Object {
		return clienttest.In("a", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
	}
	return clienttest.NewFake(
		clienttest.In(logicalcluster.SystemAdmin, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "cluster-admin"}, Rules: everything}),
		clienttest.In(logicalcluster.SystemAdmin, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "auditor"}, Rules: everything}),
		role("small", configMaps), role("big", everything...),
		role("binder", rbacv1.PolicyRule{Verbs: []string{"bind"}, APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles"}, ResourceNames: []string{"big"}}),
		role("escalator", rbacv1.PolicyRule{Verbs: []string{"escalate"}, APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles", "roles"}}),
		bind("owner", "cluster-admin", "owner"), bind("writer", "small", "writer"),
		bind("binder", "binder", "binder"), bind("escalator", "escalator", "escalator"),
	)
}

// harness is the group over an etcd of its own.
type harness struct {
	*group.Group
	fake *clienttest.Fake
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	s := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: testserver.RunEtcd(t, nil), Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	fake := held()
	stores, err := NewStores(s, backend.RESTOptionsGetter())
	if err != nil {
		t.Fatal(err)
	}
	g, err := stores.Guarded(policy.New(fake, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	return &harness{Group: g, fake: fake}
}

// as is the context of a request by somebody in cluster a.
func as(ctx context.Context, resource, namespace, name string, groups ...string) context.Context {
	ctx = logicalcluster.WithCluster(ctx, "a")
	ctx = genericapirequest.WithUser(ctx, &user.DefaultInfo{Name: name, Groups: groups})
	ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
		IsResourceRequest: true, APIGroup: rbacv1.GroupName, APIVersion: "v1", Resource: resource, Namespace: namespace,
	})
	return genericapirequest.WithNamespace(ctx, namespace)
}

func (h *harness) create(ctx context.Context, resource string, obj runtime.Object) (runtime.Object, error) {
	return h.Versions["v1"][resource].(rest.Creater).Create(ctx, obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
}

func (h *harness) update(ctx context.Context, resource, name string, create bool, change func(runtime.Object) runtime.Object) (runtime.Object, error) {
	info := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		return change(old.DeepCopyObject()), nil
	})
	out, _, err := h.Versions["v1"][resource].(rest.Updater).Update(ctx, name, info, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, create, &metav1.UpdateOptions{})
	return out, err
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
}

func clusterRoleBinding(role string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "b"},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: "User", Name: "x"}},
	}
}

func TestEscalation(t *testing.T) {
	h := newHarness(t)
	everything := policy.Everything()
	aggregated := func(name string) *rbacv1.ClusterRole {
		r := clusterRole(name)
		r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"a": "b"}}}}
		return r
	}
	namespaced := func(name string, rules ...rbacv1.PolicyRule) *rbacv1.Role {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Rules: rules}
	}
	roleBinding := func(name, kind, role string) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
			RoleRef:    rbacv1.RoleRef{Kind: kind, Name: role},
			Subjects:   []rbacv1.Subject{{Kind: "Group", Name: "x"}},
		}
	}
	is := map[string]func(error) bool{
		"":          func(err error) bool { return err == nil },
		"forbidden": apierrors.IsForbidden,
		"not found": apierrors.IsNotFound,
		"invalid":   apierrors.IsInvalid,
	}
	for _, tc := range []struct {
		name     string
		user     string
		groups   []string
		resource string
		obj      client.Object
		want     string
	}{
		{"an owner grants everything", "owner", nil, "clusterroles", clusterRole("r", everything...), ""},
		{"a writer grants what it holds", "writer", nil, "clusterroles", clusterRole("r", configMaps), ""},
		{"a writer does not grant more", "writer", nil, "clusterroles", clusterRole("r", everything...), "forbidden"},
		{"nor in a namespace", "writer", nil, "roles", namespaced("r", rbacv1.PolicyRule{Verbs: []string{"list"}, APIGroups: []string{""}, Resources: []string{"secrets"}}), "forbidden"},
		{"masters grant everything", "m", []string{user.SystemPrivilegedGroup}, "clusterroles", clusterRole("r", everything...), ""},
		{"who may escalate grants everything", "escalator", nil, "clusterroles", clusterRole("r", everything...), ""},
		{"who may escalate does not bind it", "escalator", nil, "clusterrolebindings", clusterRoleBinding("big"), "forbidden"},
		{"a writer binds what it holds", "writer", nil, "clusterrolebindings", clusterRoleBinding("small"), ""},
		{"a writer does not bind more", "writer", nil, "clusterrolebindings", clusterRoleBinding("big"), "forbidden"},
		{"nor what is in system:admin", "writer", nil, "clusterrolebindings", clusterRoleBinding("cluster-admin"), "forbidden"},
		{"nor in a namespace, bound", "writer", nil, "rolebindings", roleBinding("b", "ClusterRole", "cluster-admin"), "forbidden"},
		{"an owner binds what is in system:admin", "owner", nil, "rolebindings", roleBinding("b", "ClusterRole", "cluster-admin"), ""},
		{"who may bind it binds it", "binder", nil, "clusterrolebindings", clusterRoleBinding("big"), ""},
		{"and nothing else", "binder", nil, "clusterrolebindings", clusterRoleBinding("cluster-admin"), "forbidden"},
		{"what is not there is not bound", "writer", nil, "clusterrolebindings", clusterRoleBinding("missing"), "not found"},
		{"who may bind everything binds what is to come", "owner", nil, "clusterrolebindings", clusterRoleBinding("missing"), ""},
		{"a Role is looked for in the namespace", "writer", nil, "rolebindings", roleBinding("b", "Role", "small"), "not found"},
		{"an aggregated role is for those who hold everything", "writer", nil, "clusterroles", aggregated("r"), "forbidden"},
		{"and an owner does", "owner", nil, "clusterroles", aggregated("r"), ""},
		{"the name of a system role is taken", "owner", nil, "clusterroles", clusterRole("cluster-admin"), "invalid"},
		{"whether there is such a role or not", "owner", nil, "clusterroles", clusterRole("view", configMaps), "invalid"},
		{"and so are names that later versions may use", "owner", nil, "clusterroles", clusterRole("system:new", configMaps), "invalid"},
		{"and names that an operator uses", "owner", nil, "clusterroles", clusterRole("auditor", configMaps), "invalid"},
		{"for masters too", "m", []string{user.SystemPrivilegedGroup}, "clusterroles", clusterRole("cluster-admin"), "invalid"},
		{"not for a Role", "owner", nil, "roles", namespaced("cluster-admin", configMaps), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx := as(t.Context(), tc.resource, tc.obj.GetNamespace(), tc.user, tc.groups...)
			_, err := h.create(ctx, tc.resource, tc.obj.DeepCopyObject())
			if !is[tc.want](err) {
				t.Errorf("create: %v, want %q", err, tc.want)
			}
			if err == nil {
				remove(t, h, tc.resource, tc.obj)
			}
			// PUT and apply create too.
			_, err = h.update(ctx, tc.resource, tc.obj.GetName(), true, func(runtime.Object) runtime.Object { return tc.obj.DeepCopyObject() })
			if !is[tc.want](err) {
				t.Errorf("create by update: %v, want %q", err, tc.want)
			}
			if err == nil {
				remove(t, h, tc.resource, tc.obj)
			}
		})
	}
}

// A workspace may hold a role from the time before its name was reserved.
func TestSystemRoles_OneThatIsStored(t *testing.T) {
	h := newHarness(t)
	system := genericapirequest.WithNamespace(logicalcluster.WithCluster(t.Context(), "a"), "")
	if _, err := h.System["clusterroles"].Create(system, clusterRole("cluster-admin"), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx := as(t.Context(), "clusterroles", "", "owner")
	if _, err := h.update(ctx, "clusterroles", "cluster-admin", false, func(obj runtime.Object) runtime.Object {
		obj.(*rbacv1.ClusterRole).Labels = map[string]string{"a": "b"}
		return obj
	}); err != nil {
		t.Errorf("it could not be changed: %v", err)
	}
	remove(t, h, "clusterroles", clusterRole("cluster-admin"))
	_, err := h.create(ctx, "clusterroles", clusterRole("cluster-admin"))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), `metadata.name: Forbidden: this name is reserved for a role of the system`) {
		t.Errorf("create: %v", err)
	}
	generated := clusterRole("")
	generated.GenerateName = "system:"
	if _, err := h.create(ctx, "clusterroles", generated); !apierrors.IsInvalid(err) {
		t.Errorf("create with a generated name: %v", err)
	}
}

func TestSystemRoles_WhereTheSystemHasThem(t *testing.T) {
	h := newHarness(t)
	for _, tc := range []struct {
		cluster logicalcluster.Name
		user    string
		groups  []string
		refused bool
	}{
		{logicalcluster.SystemAdmin, "m", []string{user.SystemPrivilegedGroup}, false},
		{logicalcluster.Root, "m", []string{user.SystemPrivilegedGroup}, false},
		{logicalcluster.Root, "owner", nil, true},
	} {
		ctx := logicalcluster.WithCluster(as(t.Context(), "clusterroles", "", tc.user, tc.groups...), tc.cluster)
		_, err := h.create(ctx, "clusterroles", clusterRole("system:r"))
		if tc.refused != apierrors.IsInvalid(err) || !tc.refused && err != nil {
			t.Errorf("%s in %s: %v", tc.user, tc.cluster, err)
		}
	}
}

func remove(t *testing.T, h *harness, resource string, obj client.Object) {
	t.Helper()
	ctx := as(t.Context(), resource, obj.GetNamespace(), "owner")
	if _, _, err := h.Versions["v1"][resource].(rest.GracefulDeleter).Delete(ctx, obj.GetName(), rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Who may not be told no is not told so, and what is wrong with the storage is nobody's business.
func TestEscalation_PolicyThatCannotBeRead(t *testing.T) {
	h := newHarness(t)
	h.fake.Intercept(func(string, schema.GroupResource, client.Key) error { return errors.New("etcd is at 10.0.0.1") })
	for resource, obj := range map[string]runtime.Object{
		"clusterroles":        clusterRole("r", configMaps),
		"clusterrolebindings": clusterRoleBinding("big"),
	} {
		_, err := h.create(as(t.Context(), resource, "", "owner"), resource, obj)
		if !apierrors.IsServiceUnavailable(err) || strings.Contains(err.Error(), "10.0.0.1") {
			t.Errorf("%s: %v", resource, err)
		}
	}
}

func TestEscalation_OfWhatExists(t *testing.T) {
	h := newHarness(t)
	system := genericapirequest.WithNamespace(logicalcluster.WithCluster(t.Context(), "a"), "")
	for _, role := range []*rbacv1.ClusterRole{clusterRole("strong", policy.Everything()...), clusterRole("weak", configMaps)} {
		// The server itself grants what it wants.
		if _, err := h.System["clusterroles"].Create(system, role, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	writer := as(t.Context(), "clusterroles", "", "writer")
	change := func(name string, f func(*rbacv1.ClusterRole)) error {
		_, err := h.update(writer, "clusterroles", name, false, func(obj runtime.Object) runtime.Object {
			f(obj.(*rbacv1.ClusterRole))
			return obj
		})
		return err
	}
	if err := change("weak", func(r *rbacv1.ClusterRole) { r.Rules = policy.Everything() }); !apierrors.IsForbidden(err) {
		t.Errorf("a weak role was made strong: %v", err)
	}
	if err := change("weak", func(r *rbacv1.ClusterRole) { r.Labels = map[string]string{"a": "b"} }); err != nil {
		t.Errorf("a weak role could not be labeled: %v", err)
	}
	if err := change("strong", func(r *rbacv1.ClusterRole) { r.Labels = map[string]string{"a": "b"} }); !apierrors.IsForbidden(err) {
		t.Errorf("a strong role was labeled by somebody weak, so that others may aggregate it: %v", err)
	}
	if err := change("strong", func(r *rbacv1.ClusterRole) { r.Rules = nil }); err != nil {
		t.Errorf("a strong role could not be weakened: %v", err)
	}
	if _, err := h.System["clusterroles"].Create(system, clusterRole("held", policy.Everything()...), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := change("held", func(r *rbacv1.ClusterRole) { r.Finalizers = []string{"example.com/x"} }); err != nil {
		t.Errorf("finalizers could not be changed: %v", err)
	}
}

func TestBindings_RoleThatWasJustMade(t *testing.T) {
	h := newHarness(t)
	ctx := as(t.Context(), "clusterrolebindings", "", "writer")
	if _, err := h.create(ctx, "clusterrolebindings", clusterRoleBinding("new")); !apierrors.IsNotFound(err) {
		t.Fatalf("create: %v, want not found", err)
	}
	if _, err := h.fake.Create(t.Context(), rbacv1.Resource("clusterroles"), "a", clusterRole("new", configMaps)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.create(ctx, "clusterrolebindings", clusterRoleBinding("new")); err != nil {
		t.Errorf("create: %v", err)
	}
}

func TestWritesWithoutUserOrCluster(t *testing.T) {
	h := newHarness(t)
	for name, ctx := range map[string]context.Context{
		"no user":    logicalcluster.WithCluster(t.Context(), "a"),
		"no cluster": genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "owner", Groups: []string{user.SystemPrivilegedGroup}}),
	} {
		if _, err := h.create(ctx, "clusterroles", clusterRole("r")); err == nil {
			t.Errorf("%s: created", name)
		}
	}
}

func TestDefaultsAndTables(t *testing.T) {
	h := newHarness(t)
	ctx := as(t.Context(), "clusterrolebindings", "", "owner")
	binding := clusterRoleBinding("cluster-admin")
	binding.Subjects = append(binding.Subjects, rbacv1.Subject{Kind: "ServiceAccount", Namespace: "ns", Name: "bot"}, rbacv1.Subject{Kind: "Group", Name: "dev"})
	out, err := h.create(ctx, "clusterrolebindings", binding)
	if err != nil {
		t.Fatal(err)
	}
	created := out.(*rbacv1.ClusterRoleBinding)
	if created.RoleRef.APIGroup != rbacv1.GroupName || created.Subjects[0].APIGroup != rbacv1.GroupName || created.Subjects[1].APIGroup != "" {
		t.Errorf("defaults are missing: %v", created)
	}
	table, err := h.Versions["v1"]["clusterrolebindings"].(rest.TableConvertor).ConvertToTable(ctx, out, nil)
	if err != nil {
		t.Fatal(err)
	}
	var headers []string
	for _, c := range table.ColumnDefinitions {
		headers = append(headers, c.Name)
	}
	if got := strings.Join(headers, "|"); got != "Name|Role|Age|Users|Groups|ServiceAccounts" {
		t.Errorf("columns = %s", got)
	}
	cells := table.Rows[0].Cells
	if cells[1] != "ClusterRole/cluster-admin" || cells[3] != "x" || cells[4] != "dev" || cells[5] != "ns/bot" {
		t.Errorf("cells = %v", cells)
	}
	role, err := h.create(as(t.Context(), "clusterroles", "", "owner"), "clusterroles", clusterRole("r"))
	if err != nil {
		t.Fatal(err)
	}
	table, err = h.Versions["v1"]["clusterroles"].(rest.TableConvertor).ConvertToTable(ctx, role, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse(time.RFC3339, table.Rows[0].Cells[1].(string)); err != nil || table.ColumnDefinitions[1].Name != "Created At" {
		t.Errorf("roles show %v in %v", table.Rows[0].Cells, table.ColumnDefinitions)
	}
}

func TestStores_AreServedWithAnEvaluatorOnly(t *testing.T) {
	if _, err := (&Stores{}).Guarded(nil); err == nil {
		t.Error("no error")
	}
}
