package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/annex"
)

var changeReports = schema.GroupVersionResource{Group: "annex.dev", Version: "v1alpha1", Resource: "apichangereports"}

// gearSchema is the schema of the spec of gears before and after a change.
const (
	gearSchema     = `{type: object, x-kubernetes-preserve-unknown-fields: true, properties: {size: {type: integer}, color: {type: string}, tags: {type: array, items: {type: string}}}}`
	nextGearSchema = `{type: object, required: [size], properties: {size: {type: integer, maximum: 7, default: 3}, color: {type: string, enum: [red, green], maxLength: 5},
  tags: {type: array, maxItems: 2, items: {type: string}}, owner: {type: string, pattern: "^[a-z]+$"}}, x-kubernetes-validations: [{rule: "!has(self.color) || self.color != 'green' || self.size > 2", message: "green ones are large"}]}`
)

// gears is the APIResourceSchema of gears whose spec has a schema, called name.gears.example.com, and the definition that is equivalent.
func gears(name, spec string) (resourceSchema, definition string) {
	const text = `
spec:
  group: example.com
  scope: Namespaced
  names: {plural: gears, singular: gear, kind: Gear, listKind: GearList}
  versions:
  - {name: v1, served: true, storage: true, schema: %s}
`
	whole := "{type: object, properties: {spec: " + spec + "}}"
	return "apiVersion: apis.kcp.io/v1alpha1\nkind: APIResourceSchema\nmetadata: {name: " + name + ".gears.example.com}" + fmt.Sprintf(text, whole),
		"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: gears.example.com}" + fmt.Sprintf(text, "{openAPIV3Schema: "+whole+"}")
}

func gearExport(schema, annotations string) string {
	return fmt.Sprintf("apiVersion: apis.kcp.io/v1alpha2\nkind: APIExport\nmetadata: {name: gears, annotations: {%s}}\n"+
		"spec: {resources: [{name: gears, group: example.com, schema: %s.gears.example.com, storage: {crd: {}}}]}\n", annotations, schema)
}

func randomGear(r *rand.Rand, name string) *unstructured.Unstructured {
	spec := map[string]any{}
	if r.IntN(4) > 0 {
		spec["size"] = int64(r.IntN(9))
	}
	if r.IntN(2) > 0 {
		spec["color"] = []string{"red", "green", "yellow"}[r.IntN(3)]
	}
	if r.IntN(2) > 0 {
		spec["tags"] = slices.Repeat([]any{"x"}, r.IntN(4))
	}
	if r.IntN(3) == 0 {
		spec["owner"] = []string{"ann", "Ann"}[r.IntN(2)]
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Gear", "metadata": map[string]any{"name": name, "namespace": "default"}, "spec": spec,
	}}
}

// A report names exactly the objects that a server which has the new schema refuses.
func TestAPIChangeReport_NamesWhatTheNewSchemaRefuses(t *testing.T) {
	const consumers, each = 30, 7
	s := start(t)
	resource := schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "gears"}
	path, _ := newWorkspace(t, s, "root", uniqueName("change"))
	_, at := annex.Clients(t, s.Workspace(path))
	before, _ := gears("v1", gearSchema)
	after, definition := gears("v2", nextGearSchema)
	apply(t, s.Workspace(path), before+"\n---\n"+after+"\n---\n"+gearExport("v1", ""))
	// Where the same objects are created under the new schema.
	proving, _ := newWorkspace(t, s, "root", uniqueName("change-proof"))
	apply(t, s.Workspace(proving), definition)
	_, proof := annex.Clients(t, s.Workspace(proving))
	eventually(t, "the new schema is served", func(ctx context.Context) (bool, error) {
		_, err := proof.Resource(resource).List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})

	r, want := rand.New(rand.NewPCG(1, 2)), map[string]bool{}
	var clients []dynamic.Interface
	for i := range consumers {
		consumer, cluster := newWorkspace(t, s, "root", uniqueName("change-consumer"))
		apply(t, s.Workspace(consumer), binding("gears", path, "gears"))
		_, there := annex.Clients(t, s.Workspace(consumer))
		clients = append(clients, there)
		waitCondition(t, there.Resource(bindings), "gears", "Ready", "True", "")
		for j := range each {
			gear := randomGear(r, fmt.Sprintf("g%d-%d", i, j))
			if _, err := there.Resource(resource).Namespace("default").Create(t.Context(), gear, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			_, err := proof.Resource(resource).Namespace("default").Create(t.Context(), gear, metav1.CreateOptions{})
			if err != nil && !apierrors.IsInvalid(err) {
				t.Fatal(err)
			}
			if err != nil {
				want[cluster+" default/"+gear.GetName()] = true
			}
		}
	}
	// Objects of the same name that are not the provider's to see.
	other, _ := newWorkspace(t, s, "root", uniqueName("change-other"))
	_, local := gears("v1", gearSchema)
	apply(t, s.Workspace(other), local)
	_, elsewhere := annex.Clients(t, s.Workspace(other))
	eventually(t, "a definition of the same name is served", func(ctx context.Context) (bool, error) {
		_, err := elsewhere.Resource(resource).Namespace("default").Create(ctx, randomGear(r, "foreign"), metav1.CreateOptions{})
		return err == nil || apierrors.IsAlreadyExists(err), nil
	})

	apply(t, s.Workspace(path), "apiVersion: annex.dev/v1alpha1\nkind: APIChangeReport\nmetadata: {name: v2}\nspec: {export: gears, schemas: [v2.gears.example.com]}")
	waitCondition(t, at.Resource(changeReports), "v2", "Complete", "True", "")
	report, err := at.Resource(changeReports).Get(t.Context(), "v2", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	invalid, _, _ := unstructured.NestedSlice(report.Object, "status", "invalidObjects")
	for _, item := range invalid {
		one := item.(map[string]any)
		got[fmt.Sprintf("%s %s/%s", one["cluster"], one["namespace"], one["name"])] = true
		if errs, _ := one["errors"].([]any); len(errs) == 0 {
			t.Errorf("%v has no errors", one)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("(-refused by the new schema +reported):\n%s", diff)
	}
	for field, count := range map[string]int64{"checked": consumers * each, "invalid": int64(len(want))} {
		if n, _, _ := unstructured.NestedInt64(report.Object, "status", "objects", field); n != count {
			t.Errorf("%d objects are %s, want %d", n, field, count)
		}
	}
	if text, _ := json.Marshal(report.Object["status"]); strings.Contains(string(text), "yellow") || strings.Contains(string(text), "Ann") {
		t.Errorf("the report contains values: %s", text)
	}
	t.Logf("%d of %d objects would be invalid", len(want), consumers*each)
	if len(want) < 20 || len(want) > consumers*each-20 {
		t.Error("too few of a kind")
	}

	// The export cannot name the schema by mistake.
	export := parse(t, gearExport("v2", ""))
	_, err = at.Resource(exports).Apply(t.Context(), "gears", export, metav1.ApplyOptions{FieldManager: "test", Force: true})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.resources[0].schema") || !strings.Contains(err.Error(), fmt.Sprintf("can break %d workspaces", consumers)) {
		t.Errorf("a breaking change: %v", err)
	}
	put(t, s.Workspace(path), exports, gearExport("v2", "annex.dev/allow-breaking-change: v2.gears.example.com"))
	refused := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Gear", "metadata": map[string]any{"name": "late", "namespace": "default"}, "spec": map[string]any{"size": int64(8)}}}
	eventually(t, "consumers have the new schema", func(ctx context.Context) (bool, error) {
		_, err := clients[0].Resource(resource).Namespace("default").Create(ctx, refused, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsInvalid(err), nil
	})
}
