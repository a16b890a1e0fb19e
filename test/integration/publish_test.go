package integration

import (
	"context"
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
	definitionsV1   = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	resourceSchemas = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiresourceschemas"}
)

// published is a definition of plural with fields in its spec, which export publishes.
func published(plural, export, fields string) string {
	annotations := ""
	if export != "" {
		annotations = fmt.Sprintf(", annotations: {annex.dev/publish: %s}", export)
	}
	return fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[1]s.example.com%[2]s}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: %[1]s, kind: %[3]s}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {%[4]s}}}}}
`, plural, annotations, strings.ToUpper(plural[:1])+plural[1:len(plural)-1], fields)
}

// offeredBy returns the schemas that an export names, and what its status says of consumers.
func offeredBy(ctx context.Context, client dynamic.Interface, export string) (schemas []string, consumers map[string]any, err error) {
	obj, err := client.Resource(exports).Get(ctx, export, metav1.GetOptions{})
	if err != nil {
		return nil, nil, err
	}
	resources, _, err := unstructured.NestedSlice(obj.Object, "spec", "resources")
	for _, resource := range resources {
		schemas = append(schemas, resource.(map[string]any)["schema"].(string))
	}
	consumers, _, _ = unstructured.NestedMap(obj.Object, "status", "consumers")
	return schemas, consumers, err
}

// soleSchema waits until the export names one schema, other than the one that it named before, and returns it.
func soleSchema(t *testing.T, client dynamic.Interface, export, before string) (name string) {
	t.Helper()
	eventually(t, "the APIExport follows the definition", func(ctx context.Context) (bool, error) {
		schemas, _, err := offeredBy(ctx, client, export)
		if apierrors.IsNotFound(err) || len(schemas) != 1 || schemas[0] == before {
			return false, nil
		}
		name = schemas[0]
		return true, err
	})
	return name
}

func TestPublish(t *testing.T) {
	s := start(t)
	path, producer := newWorkspace(t, s, "root", uniqueName("publish"))
	_, at := annex.Clients(t, s.Workspace(path))
	put(t, s.Workspace(path), definitionsV1, published("widgets", "things", "size: {type: integer}"))
	first := soleSchema(t, at, "things", "")

	// A consumer, which the status of the export knows.
	consumer, cluster := newWorkspace(t, s, "root", uniqueName("publish-consumer"))
	apply(t, s.Workspace(consumer), binding("things", path, "things"))
	_, there := annex.Clients(t, s.Workspace(consumer))
	waitCondition(t, there.Resource(bindings), "things", "Ready", "True", "")
	if _, err := there.Resource(widgets).Namespace("default").Create(t.Context(), aWidget(t, "w", nil), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	usedBy := func(name string) {
		t.Helper()
		eventually(t, "the status says that the consumer uses "+name, func(ctx context.Context) (bool, error) {
			_, consumers, err := offeredBy(ctx, at, "things")
			used, _, _ := unstructured.NestedSlice(consumers, "schemas")
			return consumers["bound"] == int64(1) && len(used) == 1 && used[0].(map[string]any)["schema"] == name, err
		})
	}
	usedBy(first)
	for _, table := range []struct {
		header, row string
		args        []string
	}{
		{"NAME AGE IDENTITY SCHEMAS CONSUMERS BEHIND", " True True 1", []string{"get", "apiexport", "things"}},
		{"NAME EXPORT PARTITION AGE VALID URL", " True " + s.URL() + "/services/apiexport/" + producer + "/things", []string{"get", "apiexportendpointslices"}},
		{"NAME AGE READY EXPORT PATH UP TO DATE", " True things " + path + " True", []string{"--server", s.URL() + "/clusters/" + consumer, "get", "apibinding", "things"}},
		{"NAMESPACE NAME WORKSPACE AGE", "default w " + consumer + " ", []string{"--server", s.URL() + "/services/apiexport/" + producer + "/things/clusters/*", "get", "widgets", "-A"}},
	} {
		out := s.Kubectl(path, "", table.args...)
		header, rows, _ := strings.Cut(out, "\n")
		if strings.Join(strings.Fields(header), " ") != table.header || !strings.Contains(strings.Join(strings.Fields(rows), " ")+" ", table.row) {
			t.Errorf("%v:\n%swant %s / %s", table.args, out, table.header, table.row)
		}
	}

	// A change reaches it, and the schema before goes when the consumer has left it.
	put(t, s.Workspace(path), definitionsV1, published("widgets", "things", "size: {type: integer}, color: {type: string}"))
	second := soleSchema(t, at, "things", first)
	usedBy(second)
	eventually(t, "the schema before is gone", func(ctx context.Context) (bool, error) {
		_, err := at.Resource(resourceSchemas).Get(ctx, first, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if _, err := there.Resource(widgets).Namespace("default").Get(t.Context(), "w", metav1.GetOptions{}); err != nil {
		t.Errorf("the object of before: %v", err)
	}

	// A change that the consumer cannot take shows in the status and in Events of both.
	apply(t, s.Workspace(path), strings.NewReplacer("v1.widgets", "other.widgets", "name: v1\n", "name: v2\n").Replace(widgetSchema))
	put(t, s.Workspace(path), exports, fmt.Sprintf(`
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: things, annotations: {annex.dev/allow-breaking-change: %[1]s}}
spec: {resources: [{name: widgets, group: example.com, schema: %[1]s, storage: {crd: {}}}]}
`, "other.widgets.example.com"))
	eventually(t, "the status says who is behind", func(ctx context.Context) (bool, error) {
		_, consumers, err := offeredBy(ctx, at, "things")
		problems, _, _ := unstructured.NestedSlice(consumers, "problems")
		return consumers["behind"] == int64(1) && len(problems) == 1 && problems[0].(map[string]any)["cluster"] == cluster &&
			problems[0].(map[string]any)["reason"] == "APIResourceSchemaInvalid", err
	})
	for _, where := range []struct {
		client       dynamic.Interface
		kind, reason string
	}{{there, "APIBinding", "APIResourceSchemaInvalid"}, {at, "APIExport", "ConsumersBehind"}, {at, "CustomResourceDefinition", "PublishFailed"}} {
		eventually(t, "an Event about the "+where.kind, func(ctx context.Context) (bool, error) {
			list, err := where.client.Resource(coreEvents).Namespace("default").List(ctx, metav1.ListOptions{FieldSelector: "reason=" + where.reason})
			if err != nil || len(list.Items) != 1 {
				return false, err
			}
			kind, _, _ := unstructured.NestedString(list.Items[0].Object, "involvedObject", "kind")
			return kind == where.kind, nil
		})
	}
	put(t, s.Workspace(path), exports, fmt.Sprintf(`
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: things}
spec: {resources: [{name: widgets, group: example.com, schema: %s, storage: {crd: {}}}]}
`, second))
	usedBy(second)
}

func TestPublish_StopsAndNeedsRights(t *testing.T) {
	s := start(t)
	path, _ := newWorkspace(t, s, "root", uniqueName("publish"))
	_, at := annex.Clients(t, s.Workspace(path))
	put(t, s.Workspace(path), definitionsV1, published("widgets", "things", "size: {type: integer}"))
	name := soleSchema(t, at, "things", "")
	put(t, s.Workspace(path), definitionsV1, published("widgets", "", "size: {type: integer}, color: {type: string}"))
	// What comes later shows that the change before has been seen.
	put(t, s.Workspace(path), definitionsV1, published("gizmos", "others", "size: {type: integer}"))
	soleSchema(t, at, "others", "")
	if schemas, _, err := offeredBy(t.Context(), at, "things"); err != nil || len(schemas) != 1 || schemas[0] != name {
		t.Errorf("without the annotation: %v, %v; want %s", schemas, err, name)
	}

	// A user who may write definitions, and nothing else, can neither publish one nor change one that is published.
	apply(t, s.Workspace(path), `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: definer}
rules:
- {apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions], verbs: ["*"]}
- {nonResourceURLs: ["/"], verbs: [access]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: definer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: definer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}]
`)
	_, mallory := annex.Clients(t, s.As(token(alice), path))
	write := func(document string) error {
		obj := parse(t, document)
		_, err := mallory.Resource(definitionsV1).Apply(t.Context(), obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "mallory", Force: true})
		return err
	}
	eventually(t, "alice may write definitions", func(context.Context) (bool, error) {
		return write(published("doodads", "", "size: {type: integer}")) == nil, nil
	})
	for what, document := range map[string]string{
		"a definition of her own": published("doodads", "others", "size: {type: integer}"),
		"one that is published":   published("gizmos", "others", "size: {type: string}"),
	} {
		if err := write(document); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "annex.dev/publish: the user cannot create apiresourceschemas.apis.kcp.io") {
			t.Errorf("%s: %v", what, err)
		}
	}
	stop := []byte(`{"metadata":{"annotations":{"annex.dev/publish":null}},"spec":{"names":{"shortNames":["gz"]}}}`)
	if _, err := mallory.Resource(definitionsV1).Patch(t.Context(), "gizmos.example.com", types.MergePatchType, stop, metav1.PatchOptions{}); err != nil {
		t.Errorf("a definition that is published no more: %v", err)
	}
}
