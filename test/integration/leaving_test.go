package integration

import (
	"context"
	"fmt"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/test/framework/annex"
)

// What an export does not offer any more stays with its consumers until they have deleted their last object, and takes no new ones.
func TestBinding_ResourcesThatTheExportDropsLeave(t *testing.T) {
	c := newClaiming(t)
	k := c.consumer()
	k.make(widgets, "first", "")
	boundResources := func(ctx context.Context) (names []string) {
		b, err := k.Resource(bindings).Get(ctx, "widgets", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all, _, _ := unstructured.NestedSlice(b.Object, "status", "boundResources")
		for _, bound := range all {
			names = append(names, fmt.Sprint(bound.(map[string]any)["resource"]))
		}
		return names
	}
	typed, _ := annex.Clients(t, c.s.Workspace(k.path))
	canCreate := func(ctx context.Context) error {
		_, err := k.Resource(widgets).Namespace("default").Create(ctx, parse(t, documentOf(widgets, "more", "")), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	offer := func(resources string) {
		put(t, c.s.Workspace(c.path), exports, "{apiVersion: apis.kcp.io/v1alpha2, kind: APIExport, metadata: {name: widgets}, spec: {resources: ["+resources+"]}}")
	}
	const offered = "{name: widgets, group: example.com, schema: v1.widgets.example.com, storage: {crd: {}}}"

	_, provider := annex.Clients(t, c.s.Workspace(c.path))
	if err := provider.Resource(schemas).Delete(t.Context(), "v1.widgets.example.com", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a schema that is offered can be deleted: %v", err)
	}
	if err := provider.Resource(schemas).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("all schemas can be deleted though one is offered: %v", err)
	}

	offer("")
	eventually(t, "nothing is created any more", func(ctx context.Context) (bool, error) {
		return apierrors.IsMethodNotSupported(canCreate(ctx)), nil
	})
	resources, err := typed.Discovery().ServerResourcesForGroupVersion("example.com/v1")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range resources.APIResources {
		if r.Name == "widgets" && (slices.Contains(r.Verbs, "create") || !slices.Contains(r.Verbs, "delete")) {
			t.Errorf("discovery shows the verbs %v", r.Verbs)
		}
	}
	if _, err := k.Resource(widgets).Namespace("default").Apply(t.Context(), "applied", parse(t, documentOf(widgets, "applied", "")), metav1.ApplyOptions{FieldManager: "test"}); err == nil {
		t.Error("an apply creates an object")
	}
	if _, err := k.Resource(widgets).Namespace("default").Patch(t.Context(), "first", types.MergePatchType, []byte(`{"metadata":{"labels":{"still":"changed"}}}`), metav1.PatchOptions{}); err != nil {
		t.Errorf("an object that is there cannot be changed: %v", err)
	}
	if got := boundResources(t.Context()); !slices.Equal(got, []string{"widgets"}) {
		t.Errorf("bound are %v", got)
	}
	offer(offered)
	eventually(t, "objects can be created again", func(ctx context.Context) (bool, error) { return canCreate(ctx) == nil, nil })

	offer("")
	if err := k.Resource(widgets).Namespace("default").Delete(t.Context(), "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the resource is gone", func(ctx context.Context) (bool, error) {
		_, err := k.Resource(widgets).Namespace("default").List(ctx, metav1.ListOptions{})
		return apierrors.IsNotFound(err) && len(boundResources(ctx)) == 0, nil
	})
	if err := provider.Resource(schemas).Delete(t.Context(), "v1.widgets.example.com", metav1.DeleteOptions{}); err != nil {
		t.Errorf("a schema that nobody offers cannot be deleted: %v", err)
	}
}
