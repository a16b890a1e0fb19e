package examples

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/test/framework/annex"
)

func team(name string) string {
	return "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: " + name + "}\nspec: {type: {name: team, path: " + `"` + provider + `"` + "}}\n"
}

// New workspaces wait for the initializer, also for one that was killed, and have all that it makes when they are ready.
func TestInitializer_SeedsNewWorkspaces(t *testing.T) {
	offer(t, "initializer")
	server := world.server.For(t)
	_, root := annex.Clients(t, server.Workspace("root"))
	workspaces := root.Resource(tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces"))
	create := func(name string) {
		t.Helper()
		annex.Eventually(t, func(ctx context.Context) error {
			_, err := workspaces.Create(ctx, parse(t, team(name)), metav1.CreateOptions{})
			return err
		})
	}
	// Nobody initializes the first one yet.
	create("team-0")
	annex.Eventually(t, func(ctx context.Context) error {
		got, err := workspaces.Get(ctx, "team-0", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if phase, _, _ := unstructured.NestedString(got.Object, "status", "phase"); phase != "Initializing" {
			return fmt.Errorf("the workspace is %q", phase)
		}
		return nil
	})
	o := operate(t, "initializer", "--group=team-developers", "--configmaps=3", "--help-text=Call us.")
	for i := 1; i < 6; i++ {
		create(fmt.Sprintf("team-%d", i))
		if i == 3 {
			o.Kill()
			o.start()
		}
	}
	for i := range 6 {
		name := fmt.Sprintf("team-%d", i)
		cluster, err := annex.WaitWorkspace(t.Context(), root, name)
		if err != nil {
			t.Fatalf("%v\n%s", err, o.Tail())
		}
		c := enter(t, "root:"+name, cluster)
		help, err := c.typed.CoreV1().ConfigMaps("apps").Get(t.Context(), "help", metav1.GetOptions{})
		if err != nil || help.Data["README"] != "Call us." {
			t.Errorf("the ConfigMap of %s: %v, %v", name, help, err)
		}
		binding, err := c.typed.RbacV1().RoleBindings("apps").Get(t.Context(), "developers", metav1.GetOptions{})
		if err != nil || binding.RoleRef.Name != "edit" || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "team-developers" {
			t.Errorf("the RoleBinding of %s: %v, %v", name, binding, err)
		}
		quota, err := c.typed.CoreV1().ResourceQuotas("apps").Get(t.Context(), "limits", metav1.GetOptions{})
		if limit := quota.Spec.Hard["count/configmaps"]; err != nil || limit.Value() != 3 {
			t.Errorf("the ResourceQuota of %s: %v, %v", name, quota, err)
		}
	}
	// The initializer has no rights in a workspace that is ready.
	lost := annex.Status(t, server.As(tokenOf("initializer"), "root:team-0"), "GET", "/api/v1/namespaces")
	if lost != 403 {
		t.Errorf("the initializer in a workspace that is ready gets %d, want 403", lost)
	}
	if strings.Contains(o.Tail(), "Reconciler error") {
		t.Errorf("the initializer says\n%s", o.Tail())
	}
	for i := range 6 {
		if err := workspaces.Delete(t.Context(), fmt.Sprintf("team-%d", i), metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
}
