package bootstrap

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/schemas/crd"
)

func config() Config {
	return Config{ShardName: "root", BaseURL: "https://base", ExternalURL: "https://external", VirtualURL: "https://virtual", WorkspaceTypes: true, Homes: true, HomeCreators: []string{"staff"}}
}

func get[T client.Object](t *testing.T, c client.Reader, gr schema.GroupResource, key client.Key) T {
	t.Helper()
	obj, err := c.Get(t.Context(), gr, key)
	if err != nil {
		t.Fatalf("reading %s %s: %v", gr, key, err)
	}
	return obj.(T)
}

func TestRun_SecondStartWritesNothing(t *testing.T) {
	c := clienttest.NewFake()
	if err := Run(t.Context(), c, config()); err != nil {
		t.Fatal(err)
	}
	first := len(c.Writes())
	if err := Run(t.Context(), c, config()); err != nil {
		t.Fatal(err)
	}
	if extra := c.Writes()[first:]; len(extra) > 0 {
		t.Errorf("the second start wrote %v", extra)
	}
	if changed := c.Mutated(); len(changed) > 0 {
		t.Errorf("shared objects were changed: %v", changed)
	}
}

// TestRun_GoesOnAfterAnyFailure stops the bootstrap at each of its writes in turn and starts it again.
func TestRun_GoesOnAfterAnyFailure(t *testing.T) {
	whole := clienttest.NewFake()
	if err := Run(t.Context(), whole, config()); err != nil {
		t.Fatal(err)
	}
	want := whole.Writes()
	for stop := range want {
		c := clienttest.NewFake()
		writes := 0
		c.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
			if verb == "get" || verb == "list" {
				return nil
			}
			if writes++; writes > stop {
				return errors.New("stopped")
			}
			return nil
		})
		if err := Run(t.Context(), c, config()); err == nil {
			t.Fatalf("stopped after %d writes, Run returned no error", stop)
		}
		c.Intercept(nil)
		if err := Run(t.Context(), c, config()); err != nil {
			t.Fatalf("going on after %d writes: %v", stop, err)
		}
		if diff := cmp.Diff(want, c.Writes()); diff != "" {
			t.Fatalf("stopped after %d writes, other writes in all (-want +got):\n%s", stop, diff)
		}
	}
}

func TestRun_RootIsReadyAndBound(t *testing.T) {
	c := clienttest.NewFake()
	if err := Run(t.Context(), c, config()); err != nil {
		t.Fatal(err)
	}
	lc := get[*corev1alpha1.LogicalCluster](t, c, corev1alpha1.Resource("logicalclusters"), client.Key{Cluster: "root", Name: "cluster"})
	if lc.Status.Phase != corev1alpha1.LogicalClusterPhaseReady || lc.Annotations[corev1alpha1.LogicalClusterTypeAnnotationKey] != "root:root" {
		t.Errorf("root is in phase %s with annotations %v", lc.Status.Phase, lc.Annotations)
	}
	for _, export := range []string{"tenancy.kcp.io", "topology.kcp.io", kinds.ShardsExport} {
		secret := get[*corev1.Secret](t, c, corev1.Resource("secrets"), client.Key{Cluster: "root", Namespace: "kcp-system", Name: export})
		hash := identity.Hash(secret.Data["key"])
		exp := get[*apisv1alpha2.APIExport](t, c, apisv1alpha2.Resource("apiexports"), client.Key{Cluster: "root", Name: export})
		if exp.Status.IdentityHash != hash {
			t.Errorf("%s has identity %q, its secret hashes to %q", export, exp.Status.IdentityHash, hash)
		}
		if limited := exp.Spec.MaximalPermissionPolicy != nil; limited != (export != kinds.ShardsExport) {
			t.Errorf("%s has a maximal permission policy: %t", export, limited)
		}
		name := identity.DefaultBindingName("root", "root", export)
		binding := get[*apisv1alpha2.APIBinding](t, c, apisv1alpha2.Resource("apibindings"), client.Key{Cluster: "root", Name: name})
		if binding.Status.Phase != apisv1alpha2.APIBindingPhaseBound || len(binding.Status.BoundResources) != len(exp.Spec.Resources) {
			t.Errorf("root's binding to %s: %+v", export, binding.Status)
		}
		for _, bound := range binding.Status.BoundResources {
			if bound.Schema.UID == "" || bound.Schema.IdentityHash != hash {
				t.Errorf("root's binding to %s: %+v", export, bound)
			}
		}
	}
}

func TestRun_OnlyTheAddressesOfTheShardAreOverwritten(t *testing.T) {
	c := clienttest.NewFake(clienttest.In("root", &corev1alpha1.Shard{
		ObjectMeta: metav1.ObjectMeta{Name: "root", Labels: map[string]string{"name": "mine", "region": "north"}, Annotations: map[string]string{corev1alpha1.UnschedulableAnnotationKey: ""}},
		Spec:       corev1alpha1.ShardSpec{BaseURL: "https://old"},
	}))
	if err := Run(t.Context(), c, config()); err != nil {
		t.Fatal(err)
	}
	shard := get[*corev1alpha1.Shard](t, c, corev1alpha1.Resource("shards"), client.Key{Cluster: "root", Name: "root"})
	want := corev1alpha1.ShardSpec{BaseURL: "https://base", ExternalURL: "https://external", VirtualWorkspaceURL: "https://virtual"}
	if shard.Spec != want {
		t.Errorf("spec is %+v, want %+v", shard.Spec, want)
	}
	if _, ok := shard.Annotations[corev1alpha1.UnschedulableAnnotationKey]; !ok || shard.Labels["region"] != "north" || shard.Labels["name"] != "mine" {
		t.Errorf("labels %v or annotations %v did not survive", shard.Labels, shard.Annotations)
	}
}

func TestRun_TypeOfRootIsCreateOnly(t *testing.T) {
	c := clienttest.NewFake()
	if err := Run(t.Context(), c, config()); err != nil {
		t.Fatal(err)
	}
	types := tenancyv1alpha1.Resource("workspacetypes")
	for _, name := range []string{"root", "universal"} {
		wt := get[*tenancyv1alpha1.WorkspaceType](t, c, types, client.Key{Cluster: "root", Name: name}).DeepCopy()
		wt.Spec.DefaultChildWorkspaceType.Name = "changed"
		if _, err := c.Update(t.Context(), types, "root", wt); err != nil {
			t.Fatal(err)
		}
	}
	if err := Run(t.Context(), c, config()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]tenancyv1alpha1.WorkspaceTypeName{"root": "changed", "universal": "universal"} {
		wt := get[*tenancyv1alpha1.WorkspaceType](t, c, types, client.Key{Cluster: "root", Name: name})
		if got := wt.Spec.DefaultChildWorkspaceType.Name; got != want {
			t.Errorf("default child of %s is %s, want %s", name, got, want)
		}
	}
}

func TestRun_LostIdentityIsAnError(t *testing.T) {
	c := clienttest.NewFake()
	if err := Run(t.Context(), c, config()); err != nil {
		t.Fatal(err)
	}
	key := client.Key{Cluster: "root", Namespace: "kcp-system", Name: "tenancy.kcp.io"}
	if err := c.Delete(t.Context(), corev1.Resource("secrets"), key, nil); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), c, config()); err == nil || !strings.Contains(err.Error(), "restore the old key") {
		t.Errorf("Run returned %v", err)
	}
}

func TestEnsureRBAC_AddsAndNeverRemoves(t *testing.T) {
	rule := func(resource string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{resource}}
	}
	role := func(rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
		return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Rules: rules}
	}
	frozen := role(rule("pods"))
	frozen.Annotations = map[string]string{rbacv1.AutoUpdateAnnotationKey: "false"}
	for name, tc := range map[string]struct {
		existing *rbacv1.ClusterRole
		want     []rbacv1.PolicyRule
	}{
		"missing":         {nil, []rbacv1.PolicyRule{rule("secrets")}},
		"has more":        {role(rule("pods"), rule("secrets")), []rbacv1.PolicyRule{rule("pods"), rule("secrets")}},
		"has other rules": {role(rule("pods")), []rbacv1.PolicyRule{rule("pods"), rule("secrets")}},
		"is frozen":       {frozen, []rbacv1.PolicyRule{rule("pods")}},
	} {
		t.Run(name, func(t *testing.T) {
			c := clienttest.NewFake()
			if tc.existing != nil {
				c = clienttest.NewFake(clienttest.In[client.Object]("root", tc.existing))
			}
			w := &writer{client: c}
			if err := w.ensureRBAC(t.Context(), logicalcluster.Root, role(rule("secrets"))); err != nil {
				t.Fatal(err)
			}
			got := get[*rbacv1.ClusterRole](t, c, rbacv1.Resource("clusterroles"), client.Key{Cluster: "root", Name: "x"})
			if diff := cmp.Diff(tc.want, got.Rules); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}

// A group that is not configured any more has no right that it had.
func TestRun_HomeCreatorsAreThoseOfTheConfiguration(t *testing.T) {
	c := clienttest.NewFake()
	for _, groups := range [][]string{{"system:authenticated"}, {"staff", "guests"}, {}} {
		config := config()
		config.HomeCreators = groups
		if err := Run(t.Context(), c, config); err != nil {
			t.Fatal(err)
		}
		binding := get[*rbacv1.ClusterRoleBinding](t, c, rbacv1.Resource("clusterrolebindings"), client.Key{Cluster: "root", Name: "system:kcp:home-clusterworkspace-create"})
		var got []string
		for _, subject := range binding.Subjects {
			got = append(got, subject.Name)
		}
		if !slices.Equal(got, groups) && len(got)+len(groups) > 0 {
			t.Errorf("groups %v, want %v", got, groups)
		}
	}
	without := clienttest.NewFake()
	config := config()
	config.Homes = false
	if err := Run(t.Context(), without, config); err != nil {
		t.Fatal(err)
	}
	for _, write := range without.Writes() {
		if strings.Contains(write, "home") {
			t.Errorf("without home workspaces: %s", write)
		}
	}
}

func TestEnsureRBAC_ReplacesABindingOfAnotherRole(t *testing.T) {
	binding := func(role string) *rbacv1.ClusterRoleBinding {
		return &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "x"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: role}}
	}
	c := clienttest.NewFake(clienttest.In("root", binding("old")))
	w := &writer{client: c}
	if err := w.ensureRBAC(t.Context(), logicalcluster.Root, binding("new")); err != nil {
		t.Fatal(err)
	}
	got := get[*rbacv1.ClusterRoleBinding](t, c, rbacv1.Resource("clusterrolebindings"), client.Key{Cluster: "root", Name: "x"})
	if got.RoleRef.Name != "new" {
		t.Errorf("bound to %s", got.RoleRef.Name)
	}
}

func TestSchemas_AreValidAndTheSameEveryTime(t *testing.T) {
	names := map[string]bool{}
	for _, r := range kinds.All.Exported() {
		a, err := schemaOf(newModels(), r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := schemaOf(newModels(), r)
		if err != nil {
			t.Fatal(err)
		}
		if a.Name != b.Name {
			t.Errorf("two names for one schema: %s, %s", a.Name, b.Name)
		}
		if names[a.Name] {
			t.Errorf("%s is there twice", a.Name)
		}
		names[a.Name] = true
		if errs := crd.Validate(t.Context(), a); len(errs) > 0 {
			t.Errorf("schema of %s: %v", r.Resource, errs.ToAggregate())
		}
	}
}

func TestTypes_MayStandWhereTheyShould(t *testing.T) {
	types := map[tenancyv1alpha1.WorkspaceTypeName]*typeresolution.Type{}
	c := clienttest.NewFake()
	if err := Run(t.Context(), c, config()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []tenancyv1alpha1.WorkspaceTypeName{"root", "universal", "organization", "team", "home"} {
		types[name] = get[*tenancyv1alpha1.WorkspaceType](t, c, tenancyv1alpha1.Resource("workspacetypes"), client.Key{Cluster: "root", Name: string(name)})
	}
	aliases := func(name tenancyv1alpha1.WorkspaceTypeName) []*typeresolution.Type {
		all, err := typeresolution.Aliases(t.Context(), types[name], func(_ context.Context, _ logicalcluster.Path, name tenancyv1alpha1.WorkspaceTypeName) (*typeresolution.Type, error) {
			return types[name], nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for pair, want := range map[[2]tenancyv1alpha1.WorkspaceTypeName]bool{
		{"root", "organization"}: true, {"root", "universal"}: true, {"root", "team"}: false, {"root", "root"}: false,
		{"organization", "team"}: true, {"organization", "universal"}: true, {"organization", "organization"}: false,
		{"team", "team"}: true, {"team", "universal"}: true, {"universal", "universal"}: true, {"universal", "team"}: false,
		{"root", "home"}: false, {"universal", "home"}: false, {"home", "universal"}: true, {"home", "team"}: false, {"home", "organization"}: false,
	} {
		if err := typeresolution.Allowed(aliases(pair[0]), aliases(pair[1])); (err == nil) != want {
			t.Errorf("%s below %s: %v, want allowed %v", pair[1], pair[0], err, want)
		}
	}
}
