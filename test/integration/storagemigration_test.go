package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/annex"
)

var storageMigrations = schema.GroupVersionResource{Group: "annex.dev", Version: "v1alpha1", Resource: "apistoragemigrations"}

// The versions of screws. In v2, the number is a text, and there is a rule that objects of v1 need not keep.
const (
	screwsV1 = `{name: v1, served: %t, storage: %t, schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}, color: {type: string}}}}}}`
	screwsV2 = `{name: v2, served: true, storage: true, schema: {type: object, properties: {spec: {type: object, properties: {width: {type: string, maxLength: 2}, color: {type: string}}}}}}`
)

// screwSchema is the APIResourceSchema name.screws.example.com.
func screwSchema(name string, versions ...string) string {
	return fmt.Sprintf(`apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: %s.screws.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: screws, singular: screw, kind: Screw, listKind: ScrewList}
  conversion: {strategy: None}
  versions: [%s]
`, name, strings.Join(versions, ", "))
}

const screwConversion = `apiVersion: apis.kcp.io/v1alpha1
kind: APIConversion
metadata: {name: v2.screws.example.com}
spec:
  conversions:
  - {from: v1, to: v2, rules: [{field: .spec.color, destination: .spec.color}, {field: .spec.size, destination: .spec.width, transformation: string(100 / self)}]}
  - {from: v2, to: v1, rules: [{field: .spec.color, destination: .spec.color}, {field: .spec.width, destination: .spec.size, transformation: 100 / int(self)}]}
`

func screwExport(schema, annotations string) string {
	return fmt.Sprintf("apiVersion: apis.kcp.io/v1alpha2\nkind: APIExport\nmetadata: {name: screws, annotations: {%s}}\n"+
		"spec: {resources: [{name: screws, group: example.com, schema: %s.screws.example.com, storage: {crd: {}}}]}\n", annotations, schema)
}

func screw(name string, size int64, finalizers ...string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Screw", "metadata": map[string]any{"name": name, "namespace": "default"}, "spec": map[string]any{"size": size, "color": "red"},
	}}
	u.SetFinalizers(finalizers)
	return u
}

// screwShop is an APIExport with consumers.
type screwShop struct {
	t         *testing.T
	s         *annex.Server
	path      string
	at        dynamic.Interface
	consumers []dynamic.Interface
	clusters  []string
}

func screwsOf(version string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "example.com", Version: version, Resource: "screws"}
}

func newScrewShop(t *testing.T, consumers int) *screwShop {
	t.Helper()
	shop := &screwShop{t: t, s: start(t)}
	shop.path, _ = newWorkspace(t, shop.s, "root", uniqueName("screws"))
	_, shop.at = annex.Clients(t, shop.s.Workspace(shop.path))
	apply(t, shop.s.Workspace(shop.path), screwSchema("v1", fmt.Sprintf(screwsV1, true, true))+"\n---\n"+screwExport("v1", ""))
	for range consumers {
		consumer, cluster := newWorkspace(t, shop.s, "root", uniqueName("screws-consumer"))
		apply(t, shop.s.Workspace(consumer), binding("screws", shop.path, "screws"))
		_, there := annex.Clients(t, shop.s.Workspace(consumer))
		waitCondition(t, there.Resource(bindings), "screws", "Ready", "True", "")
		shop.consumers, shop.clusters = append(shop.consumers, there), append(shop.clusters, cluster)
	}
	return shop
}

func (s *screwShop) create(consumer int, objects ...*unstructured.Unstructured) {
	s.t.Helper()
	for _, obj := range objects {
		if _, err := s.consumers[consumer].Resource(screwsOf("v1")).Namespace("default").Create(s.t.Context(), obj, metav1.CreateOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// offer has the export name a schema, and waits until consumers have it.
func (s *screwShop) offer(schema, annotations string) {
	s.t.Helper()
	put(s.t, s.s.Workspace(s.path), exports, screwExport(schema, annotations))
	for i := range s.consumers {
		eventually(s.t, "a consumer has the new schema", func(context.Context) (bool, error) {
			return s.bound(i)["schema"].(map[string]any)["name"] == schema+".screws.example.com", nil
		})
	}
}

// bound returns what a consumer has bound.
func (s *screwShop) bound(consumer int) map[string]any {
	s.t.Helper()
	b, err := s.consumers[consumer].Resource(bindings).Get(s.t.Context(), "screws", metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	all, _, _ := unstructured.NestedSlice(b.Object, "status", "boundResources")
	if len(all) != 1 {
		s.t.Fatalf("%v is bound", all)
	}
	return all[0].(map[string]any)
}

func (s *screwShop) wantStorageVersions(consumer int, want ...any) {
	s.t.Helper()
	if got := s.bound(consumer)["storageVersions"]; !cmp.Equal(got, any(want)) {
		s.t.Errorf("consumer %d lists %v, want %v", consumer, got, want)
	}
}

// list returns the objects of the first consumer by name.
func (s *screwShop) list(version string) (map[string]*unstructured.Unstructured, string) {
	s.t.Helper()
	list, err := s.consumers[0].Resource(screwsOf(version)).Namespace("default").List(s.t.Context(), metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]*unstructured.Unstructured{}
	for i := range list.Items {
		all[list.Items[i].GetName()] = &list.Items[i]
	}
	return all, list.GetResourceVersion()
}

// migrate makes a migration, and returns its status when it has ended as it should.
func (s *screwShop) migrate(name, condition string) map[string]any {
	s.t.Helper()
	apply(s.t, s.s.Workspace(s.path), fmt.Sprintf("apiVersion: annex.dev/v1alpha1\nkind: APIStorageMigration\nmetadata: {name: %s}\nspec: {export: screws, resource: screws.example.com}", name))
	waitCondition(s.t, s.at.Resource(storageMigrations), name, condition, "True", "")
	m, err := s.at.Resource(storageMigrations).Get(s.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	status, _, _ := unstructured.NestedMap(m.Object, "status")
	return status
}

func (s *screwShop) wantCounts(status map[string]any, consumers, objects map[string]any) {
	s.t.Helper()
	if diff := cmp.Diff([]any{consumers, objects}, []any{status["consumers"], status["objects"]}); diff != "" {
		s.t.Errorf("(-want +got):\n%s%v", diff, status["failures"])
	}
}

// A version is added, becomes the one that is stored, objects are rewritten in it, and then the old one is removed.
func TestAPIStorageMigration_TheWholeWay(t *testing.T) {
	const each = 5
	shop := newScrewShop(t, 3)
	for consumer := range 2 { // the third one has no objects
		for i := range each {
			shop.create(consumer, screw(fmt.Sprint("s", i), int64(i+1)))
		}
		// Not valid in the new version: the text is too long. And one that is being deleted.
		shop.create(consumer, screw("invalid", 1), screw("deleting", 20, "example.com/hold"))
		if err := shop.consumers[consumer].Resource(screwsOf("v1")).Namespace("default").Delete(t.Context(), "deleting", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, shop.s.Workspace(shop.path), screwSchema("v2", fmt.Sprintf(screwsV1, true, false), screwsV2)+"\n---\n"+screwConversion+"\n---\n"+screwSchema("v3", screwsV2))
	shop.offer("v2", "")
	shop.wantStorageVersions(0, "v1", "v2")
	// One is stored in the new version already.
	patched := []byte(`{"metadata":{"labels":{"new":"yes"}}}`)
	eventually(t, "an object is changed in the new version", func(ctx context.Context) (bool, error) {
		_, err := shop.consumers[0].Resource(screwsOf("v2")).Namespace("default").Patch(ctx, "s4", "application/merge-patch+json", patched, metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return false, err
		}
		return err == nil, nil
	})

	before, version := shop.list("v1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, err := shop.consumers[0].Resource(screwsOf("v1")).Namespace("default").Watch(ctx, metav1.ListOptions{ResourceVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	status := shop.migrate("v2", "Complete")
	shop.wantCounts(status, map[string]any{"total": int64(3), "migrated": int64(3)}, map[string]any{"seen": int64(2 * (each + 2)), "rewritten": int64(2*(each+2) - 1)})
	for i := range shop.consumers {
		shop.wantStorageVersions(i, "v2")
	}

	// Nothing but the resourceVersion has changed for clients, and a watch says so.
	seen := map[string]*unstructured.Unstructured{}
	for len(seen) < len(before)-1 {
		event, ok := <-w.ResultChan()
		if !ok || event.Type != watch.Modified {
			t.Fatalf("the watch gets %v after %d objects", event, len(seen))
		}
		obj := event.Object.(*unstructured.Unstructured)
		seen[obj.GetName()] = obj
	}
	after, _ := shop.list("v1")
	for name, obj := range after {
		was, event := before[name], seen[name]
		if was == nil || (event == nil) != (name == "s4") || (was.GetResourceVersion() == obj.GetResourceVersion()) != (name == "s4") {
			t.Errorf("%s was %v, the watch got %v", name, was, event)
			continue
		}
		if event != nil {
			if diff := cmp.Diff(obj.Object, event.Object); diff != "" {
				t.Errorf("%s (-read +watched):\n%s", name, diff)
			}
		}
		was.SetResourceVersion(obj.GetResourceVersion())
		if diff := cmp.Diff(was.Object, obj.Object); diff != "" {
			t.Errorf("%s (-before +after):\n%s", name, diff)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d objects before, %d after", len(before), len(after))
	}

	// The old version is removed. Objects are as they were in the new one.
	want, _ := shop.list("v2")
	shop.offer("v3", "annex.dev/allow-breaking-change: v3.screws.example.com")
	eventually(t, "the old version is gone", func(ctx context.Context) (bool, error) {
		_, err := shop.consumers[0].Resource(screwsOf("v1")).List(ctx, metav1.ListOptions{})
		return apierrors.IsNotFound(err), nil
	})
	got, _ := shop.list("v2")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-before the old version was removed +after):\n%s", diff)
	}
	if width, _, _ := unstructured.NestedString(got["s1"].Object, "spec", "width"); width != "50" {
		t.Errorf("s1 has the width %q", width)
	}
	released := []byte(`{"metadata":{"finalizers":null}}`)
	if _, err := shop.consumers[0].Resource(screwsOf("v2")).Namespace("default").Patch(t.Context(), "deleting", "application/merge-patch+json", released, metav1.PatchOptions{}); err != nil {
		t.Error(err)
	}
	if left, _ := shop.list("v2"); len(left) != each+1 {
		t.Errorf("%d objects are left", len(left))
	}
}

// An object that cannot be converted is named, and stays as it is. So does the list of versions of its workspace, until it is corrected.
func TestAPIStorageMigration_NamesWhatCannotBeConverted(t *testing.T) {
	shop := newScrewShop(t, 2)
	shop.create(0, screw("good", 10), screw("bad", 0))
	shop.create(1, screw("good", 10))
	apply(t, shop.s.Workspace(shop.path), screwSchema("v2", fmt.Sprintf(screwsV1, true, false), screwsV2)+"\n---\n"+screwConversion+"\n---\n"+screwSchema("v3", screwsV2))
	shop.offer("v2", "")
	status := shop.migrate("first", "Failed")
	shop.wantCounts(status, map[string]any{"total": int64(2), "migrated": int64(1), "failed": int64(1)}, map[string]any{"seen": int64(3), "rewritten": int64(2), "failed": int64(1)})
	failures, _ := status["failures"].([]any)
	if len(failures) != 1 {
		t.Fatalf("failures: %v", failures)
	}
	failure := failures[0].(map[string]any)
	if failure["cluster"] != shop.clusters[0] || failure["namespace"] != "default" || failure["name"] != "bad" || failure["version"] != "v1" || !strings.Contains(fmt.Sprint(failure["message"]), "spec.size") {
		t.Errorf("%v", failure)
	}
	shop.wantStorageVersions(0, "v1", "v2")
	shop.wantStorageVersions(1, "v2")

	// The consumer keeps its schema rather than its object.
	put(t, shop.s.Workspace(shop.path), exports, screwExport("v3", "annex.dev/allow-breaking-change: v3.screws.example.com"))
	waitCondition(t, shop.consumers[0].Resource(bindings), "screws", "BindingUpToDate", "False", "")
	put(t, shop.s.Workspace(shop.path), exports, screwExport("v2", "annex.dev/allow-breaking-change: v2.screws.example.com"))
	waitCondition(t, shop.consumers[0].Resource(bindings), "screws", "BindingUpToDate", "True", "")
	if _, err := shop.consumers[0].Resource(screwsOf("v1")).Namespace("default").Patch(t.Context(), "bad", "application/merge-patch+json", []byte(`{"spec":{"size":20}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	status = shop.migrate("second", "Complete")
	shop.wantCounts(status, map[string]any{"total": int64(2), "migrated": int64(2)}, map[string]any{"seen": int64(3)})
	shop.wantStorageVersions(0, "v2")
	all, _ := shop.list("v2")
	if width, _, _ := unstructured.NestedString(all["bad"].Object, "spec", "width"); width != "5" {
		t.Errorf("it is %v", all["bad"])
	}
}

// A CustomResourceDefinition of the workspace itself loses its old version in the same way.
func TestAPIStorageMigration_OfADefinition(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	_, at := annex.Clients(t, s.Workspace(path))
	definition := func(versions ...string) string {
		return "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: nuts.example.com}\nspec:\n  group: example.com\n  scope: Namespaced\n" +
			"  names: {plural: nuts, singular: nut, kind: Nut, listKind: NutList}\n  versions: [" + strings.Join(versions, ", ") + "]\n"
	}
	version := func(name string, storage bool) string {
		return fmt.Sprintf("{name: %s, served: true, storage: %t, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}", name, storage)
	}
	nuts := func(version string) dynamic.ResourceInterface {
		return at.Resource(schema.GroupVersionResource{Group: "example.com", Version: version, Resource: "nuts"}).Namespace("default")
	}
	put(t, s.Workspace(path), crds, definition(version("v1", true)))
	nut := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Nut", "metadata": map[string]any{"name": "a"}, "spec": map[string]any{"size": int64(3)}}}
	eventually(t, "the definition is served", func(ctx context.Context) (bool, error) {
		_, err := nuts("v1").Create(ctx, nut, metav1.CreateOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return false, err
		}
		return err == nil, nil
	})
	put(t, s.Workspace(path), crds, definition(version("v1", false), version("v2", true)))
	onlyV2 := parse(t, definition(version("v2", true)))
	if _, err := at.Resource(crds).Apply(t.Context(), "nuts.example.com", onlyV2, metav1.ApplyOptions{FieldManager: "test", Force: true}); !apierrors.IsInvalid(err) {
		t.Errorf("removing a version in which objects are stored: %v", err)
	}
	apply(t, s.Workspace(path), "apiVersion: annex.dev/v1alpha1\nkind: APIStorageMigration\nmetadata: {name: nuts}\nspec: {resource: nuts.example.com}")
	waitCondition(t, at.Resource(storageMigrations), "nuts", "Complete", "True", "")
	crd, err := at.Resource(crds).Get(t.Context(), "nuts.example.com", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if stored, _, _ := unstructured.NestedStringSlice(crd.Object, "status", "storedVersions"); !slices.Equal(stored, []string{"v2"}) {
		t.Errorf("storedVersions are %q", stored)
	}
	if _, err := at.Resource(crds).Apply(t.Context(), "nuts.example.com", onlyV2, metav1.ApplyOptions{FieldManager: "test", Force: true}); err != nil {
		t.Errorf("removing the version: %v", err)
	}
	eventually(t, "the old version is gone", func(ctx context.Context) (bool, error) {
		_, err := nuts("v1").List(ctx, metav1.ListOptions{})
		return apierrors.IsNotFound(err), nil
	})
	got, err := nuts("v2").Get(t.Context(), "a", metav1.GetOptions{})
	if size, _, _ := unstructured.NestedInt64(got.Object, "spec", "size"); err != nil || size != 3 || got.GetGeneration() != 1 {
		t.Errorf("%v, %v", got, err)
	}
	// It can be stored in the old version again, if the definition says so.
	put(t, s.Workspace(path), crds, definition(version("v1", true), version("v2", false)))
	eventually(t, "objects are written in the old version again", func(ctx context.Context) (bool, error) {
		_, err := nuts("v1").Patch(ctx, "a", "application/merge-patch+json", []byte(`{"spec":{"size":4}}`), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsServiceUnavailable(err) {
			return false, err
		}
		return err == nil, nil
	})
}
