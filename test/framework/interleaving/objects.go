package interleaving

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	workspaces      = schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspaces"}
	bindings        = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apibindings"}
	crds            = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	logicalClusters = schema.GroupVersionResource{Group: "core.kcp.io", Version: "v1alpha1", Resource: "logicalclusters"}
	namespaces      = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	configMaps      = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	secrets         = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	clusterRoles    = schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}
	gadgets         = schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "gadgets"}
	widgets         = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
)

// target is an object that may be created, or not.
type target struct {
	path      string
	gvr       schema.GroupVersionResource
	kind      string
	namespace string
	name      string
}

// target returns a random one.
func (w *walk) target() target {
	t := pick(w,
		target{gvr: configMaps, kind: "ConfigMap", namespace: "default"},
		target{gvr: configMaps, kind: "ConfigMap", namespace: "a"},
		target{gvr: configMaps, kind: "ConfigMap", namespace: "b"},
		target{gvr: secrets, kind: "Secret", namespace: "a"},
		target{gvr: secrets, kind: "Secret", namespace: "b"},
		target{gvr: gadgets, kind: "Gadget", namespace: "a"},
		target{gvr: gadgets, kind: "Gadget", namespace: "default"},
		target{gvr: gadgets, kind: "Gadget"},
		target{gvr: widgets, kind: "Widget", namespace: "b"},
		target{gvr: widgets, kind: "Widget", namespace: "default"},
		target{gvr: clusterRoles, kind: "ClusterRole"},
		target{gvr: namespaces, kind: "Namespace"},
		target{gvr: workspaces, kind: "Workspace"},
		target{path: ":child", gvr: configMaps, kind: "ConfigMap", namespace: "default"},
		target{path: ":child", gvr: clusterRoles, kind: "ClusterRole"},
	)
	t.path = w.path() + t.path
	t.name = pick(w, "x", "y", "z")
	return t
}

func (t target) String() string {
	return fmt.Sprintf("%s %s/%s in %s", t.gvr.Resource, t.namespace, t.name, t.path)
}

func (t target) object() *unstructured.Unstructured {
	obj := object(t.gvr.GroupVersion().String(), t.kind, t.name)
	obj.SetNamespace(t.namespace)
	return obj
}

// url returns the path of the collection.
func (t target) url() string {
	parts := []string{"/apis", t.gvr.Group, t.gvr.Version}
	if t.gvr.Group == "" {
		parts = []string{"/api", t.gvr.Version}
	}
	if t.namespace != "" {
		parts = append(parts, "namespaces", t.namespace)
	}
	return strings.Join(append(parts, t.gvr.Resource), "/")
}

func object(apiVersion, kind, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}}}
}

// anything is a schema that allows everything.
func anything() map[string]any {
	return map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
}

func definition(scope string) *unstructured.Unstructured {
	crd := object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "gadgets.example.org")
	crd.Object["spec"] = map[string]any{
		"group": "example.org", "scope": scope, "names": map[string]any{"plural": "gadgets", "kind": "Gadget"},
		"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": anything()}}},
	}
	return crd
}

func binding(export string) *unstructured.Unstructured {
	b := object("apis.kcp.io/v1alpha2", "APIBinding", "widgets")
	b.Object["spec"] = map[string]any{"reference": map[string]any{"export": map[string]any{"path": export, "name": "widgets"}}}
	return b
}

// offer returns what a provider of widgets needs.
func offer() map[schema.GroupVersionResource]*unstructured.Unstructured {
	source := object("apis.kcp.io/v1alpha1", "APIResourceSchema", "v1.widgets.example.com")
	source.Object["spec"] = map[string]any{
		"group": "example.com", "scope": "Namespaced",
		"names":    map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
		"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": anything()}},
	}
	export := object("apis.kcp.io/v1alpha2", "APIExport", "widgets")
	export.Object["spec"] = map[string]any{"resources": []any{map[string]any{
		"name": "widgets", "group": "example.com", "schema": "v1.widgets.example.com", "storage": map[string]any{"crd": map[string]any{}},
	}}}
	return map[schema.GroupVersionResource]*unstructured.Unstructured{
		{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiresourceschemas"}: source,
		{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apiexports"}:         export,
	}
}
