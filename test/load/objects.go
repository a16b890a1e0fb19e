package main

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	configMaps      = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	workspaces      = schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspaces"}
	schemas         = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiresourceschemas"}
	exports         = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apiexports"}
	bindings        = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apibindings"}
	endpoints       = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiexportendpointslices"}
	logicalClusters = schema.GroupVersionResource{Group: "core.kcp.io", Version: "v1alpha1", Resource: "logicalclusters"}
	workspaceTypes  = schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspacetypes"}
	definitions     = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	widgets         = schema.GroupVersionResource{Group: "load.example.com", Version: "v1", Resource: "widgets"}
)

// Names of what the provider publishes.
const (
	schemaName = "v1.widgets.load.example.com"
	exportName = "load.example.com"
)

func newObject(gvr schema.GroupVersionResource, kind, name string, fields map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	for key, value := range fields {
		obj.Object[key] = value
	}
	obj.SetAPIVersion(gvr.GroupVersion().String())
	obj.SetKind(kind)
	obj.SetName(name)
	return obj
}

// newWorkspace returns a workspace of the type "root:universal".
func newWorkspace(name, typ string) *unstructured.Unstructured {
	path, typeName, _ := splitType(typ)
	return newObject(workspaces, "Workspace", name, map[string]any{
		"spec": map[string]any{"type": map[string]any{"path": path, "name": typeName}},
	})
}

// payload is 1 KiB.
var payload = strings.Repeat("0123456789abcdef", 64)

// newConfigMap returns a ConfigMap with 1 KiB of data.
func newConfigMap(name string) *unstructured.Unstructured {
	return newObject(configMaps, "ConfigMap", name, map[string]any{
		"data": map[string]any{"payload": payload},
	})
}

func newWidgetSchema() *unstructured.Unstructured {
	return newSchema(schemaName, widgets.Resource, "Widget")
}

// newSchema returns a schema for a resource whose singular is the kind in lower case.
func newSchema(name, resource, kind string) *unstructured.Unstructured {
	text := map[string]any{"type": "string"}
	return newObject(schemas, "APIResourceSchema", name, map[string]any{
		"spec": map[string]any{
			"group": widgets.Group,
			"scope": "Cluster",
			"names": map[string]any{"plural": resource, "singular": strings.ToLower(kind), "kind": kind, "listKind": kind + "List"},
			"versions": []any{map[string]any{
				"name": widgets.Version, "served": true, "storage": true,
				"schema": map[string]any{"type": "object", "properties": map[string]any{
					"apiVersion": text, "kind": text, "metadata": map[string]any{"type": "object"},
					"spec": map[string]any{"type": "object", "properties": map[string]any{
						"color": text, "size": map[string]any{"type": "integer"},
					}},
				}},
			}},
		},
	})
}

func newWidgetExport() *unstructured.Unstructured {
	return newObject(exports, "APIExport", exportName, map[string]any{
		"spec": map[string]any{"resources": []any{offered(widgets.Resource, schemaName)}},
	})
}

// offered is an entry of an export.
func offered(resource, schema string) map[string]any {
	return map[string]any{"name": resource, "group": widgets.Group, "schema": schema, "storage": map[string]any{"crd": map[string]any{}}}
}

// newBinding binds the export of the workspace with the given path.
func newBinding(name, providerPath string) *unstructured.Unstructured {
	return newObject(bindings, "APIBinding", name, map[string]any{
		"spec": map[string]any{"reference": map[string]any{
			"export": map[string]any{"path": providerPath, "name": exportName},
		}},
	})
}

func newWidget(name string) *unstructured.Unstructured {
	return newObject(widgets, "Widget", name, map[string]any{
		"spec": map[string]any{"color": "blue", "size": int64(3)},
	})
}

// hasPhase is a condition for await and expect.
func hasPhase(want string) func(*unstructured.Unstructured) bool {
	return func(obj *unstructured.Unstructured) bool {
		return obj != nil && stringAt(obj, "status", "phase") == want
	}
}

// isGone is a condition for expect.
func isGone(obj *unstructured.Unstructured) bool { return obj == nil }

// stringAt returns the string at a path of fields, "" when there is none.
func stringAt(obj *unstructured.Unstructured, fields ...string) string {
	s, _, err := unstructured.NestedString(obj.Object, fields...)
	if err != nil {
		return ""
	}
	return s
}

// numberAt returns the number at a path of fields, 0 when there is none.
func numberAt(obj *unstructured.Unstructured, fields ...string) int64 {
	n, _, err := unstructured.NestedInt64(obj.Object, fields...)
	if err != nil {
		return 0
	}
	return n
}

// clusterOf returns the logical cluster of an object that a view of several shows.
func clusterOf(obj *unstructured.Unstructured) string { return obj.GetAnnotations()["kcp.io/cluster"] }

// anyOf returns texts as a list for an object.
func anyOf(texts []string) []any {
	all := make([]any, 0, len(texts))
	for _, text := range texts {
		all = append(all, text)
	}
	return all
}
