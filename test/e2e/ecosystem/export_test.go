package ecosystem

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/schemas/crd"
	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/parity"
)

var (
	schemas  = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiresourceschemas"}
	exports  = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apiexports"}
	bindings = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apibindings"}
)

// TestExport publishes all definitions by one export. At a consumer, the kinds behave as on the stock server.
func TestExport(t *testing.T) {
	w := start(t)
	server := w.server.For(t)
	provider, _ := server.NewWorkspace("root", "provider", "universal")
	consumer, _ := server.NewWorkspace("root", "consumer", "universal")
	_, client := annex.Clients(t, server.Workspace(provider))
	var exported []any
	for _, definition := range w.definitions {
		// An APIResourceSchema that converts by webhook is refused so far.
		definition = definition.DeepCopy()
		definition.Spec.Conversion = nil
		made, err := crd.ToSchema(definition, "v1")
		if err != nil {
			t.Fatal(err)
		}
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(made)
		if err != nil {
			t.Fatal(err)
		}
		object["apiVersion"], object["kind"] = schemas.GroupVersion().String(), "APIResourceSchema"
		if _, err := client.Resource(schemas).Create(t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{}); err != nil {
			t.Errorf("%s: %v", definition.Name, err)
		}
		exported = append(exported, map[string]any{"group": made.Spec.Group, "name": made.Spec.Names.Plural, "schema": made.Name, "storage": map[string]any{"crd": map[string]any{}}})
	}
	export := &unstructured.Unstructured{Object: map[string]any{"apiVersion": exports.GroupVersion().String(), "kind": "APIExport", "metadata": map[string]any{"name": "all"}, "spec": map[string]any{"resources": exported}}}
	if _, err := client.Resource(exports).Create(t.Context(), export, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, client = annex.Clients(t, server.Workspace(consumer))
	binding := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": bindings.GroupVersion().String(), "kind": "APIBinding", "metadata": map[string]any{"name": "all"},
		"spec": map[string]any{"reference": map[string]any{"export": map[string]any{"path": provider, "name": "all"}}},
	}}
	if _, err := client.Resource(bindings).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, func(ctx context.Context) error {
		got, err := client.Resource(bindings).Get(ctx, "all", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if phase, _, _ := unstructured.NestedString(got.Object, "status", "phase"); phase != "Bound" {
			return fmt.Errorf("the binding is %q: %v", phase, got.Object["status"])
		}
		return nil
	})
	side, err := parity.NewSide(server.Workspace(consumer), nil)
	if err != nil {
		t.Fatal(err)
	}
	compareObjects(t, w, side)
}
