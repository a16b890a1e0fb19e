package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/test/framework/annex"
)

// The workspace of a provider is deleted, and somebody else makes one at the same path, with an export of the same name. A binding
// does not follow it by itself, and what it has bound stays.
func TestProvider_BindingsHoldToTheirs(t *testing.T) {
	s := start(t)
	parent, consumer := workspace(t, s), workspace(t, s)
	admit(t, s, consumer, alice)
	producer, first := newWorkspace(t, s, parent, "provider")
	apply(t, s.Workspace(producer), widgetSchema)
	apply(t, s.Workspace(producer), widgetExport)
	apply(t, s.Workspace(consumer), binding("widgets", producer, "widgets"))
	// Workspaces of this type bind the export, too.
	apply(t, s.Workspace(parent), strings.ReplaceAll(`
apiVersion: tenancy.kcp.io/v1alpha1
kind: WorkspaceType
metadata: {name: binding}
spec: {extend: {with: [{name: universal, path: root}]}, defaultAPIBindings: [{path: "PRODUCER", export: widgets}]}`, "PRODUCER", producer))
	ofType := func(name string) string {
		return fmt.Sprintf("apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: %s}\nspec: {type: {name: binding, path: %q}}", name, parent)
	}
	apply(t, s.Workspace(parent), ofType("early"))
	_, client := annex.Clients(t, s.Workspace(consumer))
	waitCondition(t, client.Resource(bindings), "widgets", "Ready", "True", "")
	create(t, client.Resource(widgets).Namespace("default"), parse(t, "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a, namespace: default}\nspec: {size: 1}"))

	_, above := annex.Clients(t, s.Workspace(parent))
	waitCondition(t, above.Resource(workspaces), "early", "APIBindingsInitialized", "True", "")
	if err := above.Resource(workspaces).Delete(t.Context(), "provider", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the workspace of the provider is gone", func(ctx context.Context) (bool, error) {
		_, err := above.Resource(workspaces).Get(ctx, "provider", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	waitCondition(t, client.Resource(bindings), "widgets", "APIExportValid", "False", "APIExportNotFound")
	_, second := newWorkspace(t, s, parent, "provider")
	const gadgetsToo = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.trinkets.example.com}
spec:
  group: example.com
  scope: Cluster
  names: {plural: trinkets, singular: trinket, kind: Trinket, listKind: TrinketList}
  versions: [{name: v1, served: true, storage: true, schema: {type: object}}]
---
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: widgets}
spec: {resources: [{name: trinkets, group: example.com, schema: v1.trinkets.example.com, storage: {crd: {}}}]}
`
	apply(t, s.Workspace(producer), gadgetsToo)
	waitCondition(t, client.Resource(bindings), "widgets", "APIExportValid", "False", "ProviderChanged")
	waitCondition(t, client.Resource(bindings), "widgets", "Ready", "True", "")
	apply(t, s.Workspace(parent), ofType("late"))
	waitCondition(t, above.Resource(workspaces), "late", "APIBindingsInitialized", "False", "")
	_, late := annex.Clients(t, s.Workspace(parent+":late"))
	all, err := late.Resource(bindings).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all.Items {
		if strings.HasPrefix(b.GetName(), "widgets-") {
			waitCondition(t, late.Resource(bindings), b.GetName(), "APIExportValid", "False", "ProviderChanged")
		}
	}
	bound := func() (provider string, resources []string) {
		t.Helper()
		got, err := client.Resource(bindings).Get(t.Context(), "widgets", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		provider, _, _ = unstructured.NestedString(got.Object, "status", "apiExportClusterName")
		all, _, _ := unstructured.NestedSlice(got.Object, "status", "boundResources")
		for _, one := range all {
			resources = append(resources, fmt.Sprint(one.(map[string]any)["resource"]))
		}
		return provider, resources
	}
	if provider, resources := bound(); provider != first || len(resources) != 1 || resources[0] != "widgets" {
		t.Errorf("bound are %v of %s, want those of %s", resources, provider, first)
	}
	if _, err := client.Resource(widgets).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{}); err != nil {
		t.Errorf("what is bound is not served: %v", err)
	}

	// To follow needs the permission to bind, and the name of the cluster that is meant.
	accept := func(user, cluster string) error {
		config := s.Workspace(consumer)
		if user != "" {
			config = s.As(token(user), consumer)
		}
		_, client := annex.Clients(t, config)
		_, err := client.Resource(bindings).Patch(t.Context(), "widgets", types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"annotations":{"annex.dev/accept-provider":%q}}}`, cluster), metav1.PatchOptions{})
		return err
	}
	if err := accept(alice, second); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "no permission to bind") {
		t.Errorf("without permission: %v", err)
	}
	if err := accept("", first); !apierrors.IsConflict(err) {
		t.Errorf("another cluster: %v", err)
	}
	if err := accept("", second); err != nil {
		t.Fatal(err)
	}
	waitCondition(t, client.Resource(bindings), "widgets", "APIExportValid", "True", "")
	if provider, resources := bound(); provider != second || len(resources) != 2 {
		t.Errorf("bound are %v of %s, want two, of %s", resources, provider, second)
	}
}
