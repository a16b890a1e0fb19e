package resilience

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/annex"
)

var (
	schemas  = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiresourceschemas"}
	exports  = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apiexports"}
	bindings = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apibindings"}
	widgets  = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
)

func create(t *testing.T, client dynamic.ResourceInterface, object map[string]any) {
	t.Helper()
	if _, err := client.Create(t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// export publishes widgets in the workspace of client.
func export(t *testing.T, client dynamic.Interface) {
	t.Helper()
	create(t, client.Resource(schemas), map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIResourceSchema", "metadata": map[string]any{"name": "v1.widgets.example.com"},
		"spec": map[string]any{
			"group": "example.com", "scope": "Namespaced",
			"names":    map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
		},
	})
	create(t, client.Resource(exports), map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport", "metadata": map[string]any{"name": "widgets"},
		"spec": map[string]any{"resources": []any{map[string]any{"group": "example.com", "name": "widgets", "schema": "v1.widgets.example.com", "storage": map[string]any{"crd": map[string]any{}}}}},
	})
}

// newBinding binds the export at path.
func newBinding(path string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding", "metadata": map[string]any{"name": "widgets"},
		"spec": map[string]any{"reference": map[string]any{"export": map[string]any{"path": path, "name": "widgets"}}},
	}}
}

func newWidget(name, owner string, finalizers ...string) *unstructured.Unstructured {
	widget := newGadget(name, owner, finalizers...)
	widget.SetAPIVersion("example.com/v1")
	widget.SetKind("Widget")
	return widget
}

// bindWidgets binds the export at path and makes an object.
func bindWidgets(t *testing.T, client dynamic.Interface, path, owner string, finalizers ...string) {
	t.Helper()
	create(t, client.Resource(bindings), newBinding(path).Object)
	widget := newWidget("same", owner, finalizers...)
	annex.Eventually(t, func(ctx context.Context) error {
		_, err := client.Resource(widgets).Namespace("default").Create(ctx, widget, metav1.CreateOptions{})
		return err
	})
}

func TestDeletion_LeavesNoKey(t *testing.T) {
	const hold = "example.org/hold"
	etcd := annex.StartEtcd(t)
	server := annex.Start(t, "--etcd-servers", etcd.URL())
	providerPath, _ := server.NewWorkspace("root", "provider", "")
	_, provider := annex.Clients(t, server.Workspace(providerPath))
	export(t, provider)

	doomedPath, doomed := server.NewWorkspace("root", "doomed", "organization")
	childPath, child := server.NewWorkspace(doomedPath, "child", "team")
	_, grandchild := server.NewWorkspace(childPath, "grandchild", "")
	keptPath, kept := server.NewWorkspace("root", "kept", "")
	clients := map[string]dynamic.Interface{}
	for _, cluster := range []string{doomed, child, grandchild, kept} {
		typed, client := annex.Clients(t, server.Workspace(cluster))
		clients[cluster] = client
		for i := range 5 {
			if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), configMap(fmt.Sprintf("same-%d", i), cluster), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		held := configMap("held", cluster)
		held.Finalizers = []string{hold}
		if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), held, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		createGadgets(t, client, newGadget("same", cluster, hold))
		bindWidgets(t, client, providerPath, cluster, hold)
	}
	for _, cluster := range []string{doomed, child, grandchild} {
		keys, _ := etcd.Mentions(cluster)
		if len(keys) < 10 {
			t.Fatalf("cluster %s has %d keys only: %v", cluster, len(keys), keys)
		}
		t.Logf("cluster %s has %d keys", cluster, len(keys))
	}

	_, root := annex.Clients(t, server.Workspace("root"))
	if err := root.Resource(workspaces).Delete(t.Context(), "doomed", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	// The finalizers hold it: from below upwards each is taken away, as its controller would.
	for _, cluster := range []string{grandchild, child, doomed} {
		for resource, name := range map[schema.GroupVersionResource]string{
			{Version: "v1", Resource: "configmaps"}: "held", gadgets: "same", widgets: "same",
		} {
			object := clients[cluster].Resource(resource).Namespace("default")
			annex.Eventually(t, func(ctx context.Context) error {
				got, err := object.Get(ctx, name, metav1.GetOptions{})
				if err != nil {
					return fmt.Errorf("%s in %s went in spite of its finalizer: %w", resource.Resource, cluster, err)
				}
				if got.GetDeletionTimestamp() == nil {
					return fmt.Errorf("%s in %s is not being deleted", resource.Resource, cluster)
				}
				return nil
			})
			if got, err := root.Resource(workspaces).Get(t.Context(), "doomed", metav1.GetOptions{}); err != nil || got.GetDeletionTimestamp() == nil {
				t.Fatalf("the workspace while a finalizer holds it: %v, %v", got, err)
			}
			if _, err := object.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	annex.Eventually(t, func(ctx context.Context) error {
		got, err := root.Resource(workspaces).Get(ctx, "doomed", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the workspace: %w", err)
		}
		status, _, _ := unstructured.NestedSlice(got.Object, "status", "conditions")
		return fmt.Errorf("the workspace is still there: %v", status)
	})
	for _, cluster := range []string{doomed, child, grandchild} {
		annex.Eventually(t, func(context.Context) error {
			keys, values := etcd.Mentions(cluster)
			if len(keys)+len(values) > 0 {
				return fmt.Errorf("cluster %s is left in the keys %v and in the values of %v", cluster, keys, values)
			}
			return nil
		})
	}
	// The other workspace lost nothing.
	typed, client := annex.Clients(t, server.Workspace(keptPath))
	list, err := typed.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 7 {
		t.Errorf("the other workspace has %d ConfigMaps, %v", len(list.Items), err)
	}
	for _, resource := range []schema.GroupVersionResource{gadgets, widgets} {
		got, err := client.Resource(resource).Namespace("default").Get(t.Context(), "same", metav1.GetOptions{})
		if err != nil {
			t.Errorf("the other workspace lost its %s: %v", resource.Resource, err)
		} else if owner, _, _ := unstructured.NestedString(got.Object, "spec", "owner"); owner != kept {
			t.Errorf("its %s belongs to %s", resource.Resource, owner)
		}
	}

	// With the last binding goes the copy of the schema, too.
	if err := client.Resource(widgets).Namespace("default").Delete(t.Context(), "same", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Resource(widgets).Namespace("default").Patch(t.Context(), "same", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if copies, _ := etcd.Mentions("/customresourcedefinitions/system:bound-crds/"); len(copies) == 0 {
		t.Error("there is no copy of a bound schema where it is expected")
	}
	if err := client.Resource(bindings).Delete(t.Context(), "widgets", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, func(context.Context) error {
		keys, _ := etcd.Mentions("/customresourcedefinitions/system:bound-crds/")
		left, _ := etcd.Mentions("/example.com/widgets/")
		if len(keys)+len(left) > 0 {
			return errors.New("left of the API are " + strings.Join(append(keys, left...), ", "))
		}
		return nil
	})
}
