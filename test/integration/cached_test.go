package integration

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

var (
	flavors         = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "flavors"}
	cachedResources = schema.GroupVersionResource{Group: "cache.kcp.io", Version: "v1alpha1", Resource: "clustercachedresources"}
	cachedSlices    = schema.GroupVersionResource{Group: "cache.kcp.io", Version: "v1alpha1", Resource: "clustercachedresourceendpointslices"}
)

// flavorDefinition has a field that the schema of the export, which is below, does not have.
const flavorDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: flavors.example.com}
spec:
  group: example.com
  scope: Cluster
  names: {plural: flavors, singular: flavor, kind: Flavor, listKind: FlavorList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {cpus: {type: integer}, cost: {type: string}}}}}}
    subresources: {status: {}}
`

const flavorSchema = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.flavors.example.com}
spec:
  group: example.com
  scope: Cluster
  names: {plural: flavors, singular: flavor, kind: Flavor, listKind: FlavorList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {type: object, properties: {spec: {type: object, properties: {cpus: {type: integer}}}}}
    subresources: {status: {}}
`

const sharedFlavors = `
apiVersion: cache.kcp.io/v1alpha1
kind: ClusterCachedResource
metadata: {name: flavors}
spec: {group: example.com, version: v1, resource: flavors, labelSelector: {matchLabels: {shared: "yes"}}}
`

const flavorSlice = `
apiVersion: cache.kcp.io/v1alpha1
kind: ClusterCachedResourceEndpointSlice
metadata: {name: flavors}
spec: {clusterCachedResource: {name: flavors}, export: {name: flavors}}
`

// lending is a provider that shares flavors, and a consumer that has bound them.
type lending struct {
	t                         *testing.T
	s                         *annex.Server
	path, cluster, identity   string
	consumerPath, consumer    string
	own, reading              dynamic.NamespaceableResourceInterface
	provider, consumerDynamic dynamic.Interface
}

func newLending(t *testing.T) *lending {
	t.Helper()
	h := &lending{t: t, s: start(t)}
	h.path, h.cluster = newWorkspace(t, h.s, "root", uniqueName("sharing"))
	h.consumerPath, h.consumer = newWorkspace(t, h.s, "root", uniqueName("reading"))
	_, h.provider = annex.Clients(t, h.s.Workspace(h.path))
	_, h.consumerDynamic = annex.Clients(t, h.s.Workspace(h.consumerPath))
	h.own, h.reading = h.provider.Resource(flavors), h.consumerDynamic.Resource(flavors)
	apply(t, h.s.Workspace(h.path), flavorDefinition+"---\n"+flavorSchema+"---\n"+sharedFlavors)
	waitCondition(t, h.provider.Resource(cachedResources), "flavors", "ReplicationStarted", "True", "")
	shared, err := h.provider.Resource(cachedResources).Get(t.Context(), "flavors", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h.identity, _, _ = unstructured.NestedString(shared.Object, "status", "identityHash")
	h.export(h.identity)
	waitCondition(t, h.provider.Resource(exports), "flavors", "IdentityValid", "True", "")
	apply(t, h.s.Workspace(h.path), flavorSlice)
	h.bind()
	return h
}

// export makes the export offer flavors with an identity.
func (h *lending) export(identity string) {
	h.t.Helper()
	put(h.t, h.s.Workspace(h.path), exports, fmt.Sprintf(`
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: flavors}
spec:
  resources:
  - name: flavors
    group: example.com
    schema: v1.flavors.example.com
    storage: {virtual: {identityHash: %q, reference: {apiGroup: cache.kcp.io, kind: ClusterCachedResourceEndpointSlice, name: flavors}}}
`, identity))
}

func (h *lending) bind() {
	h.t.Helper()
	apply(h.t, h.s.Workspace(h.consumerPath), binding("flavors", h.path, "flavors"))
	waitCondition(h.t, h.consumerDynamic.Resource(bindings), "flavors", "Ready", "True", "")
}

// make makes a flavor of the provider, which is shared if labels say so.
func (h *lending) make(name, labels string) *unstructured.Unstructured {
	h.t.Helper()
	create(h.t, h.own, parse(h.t, fmt.Sprintf(
		"apiVersion: example.com/v1\nkind: Flavor\nmetadata: {name: %s, labels: {%s}}\nspec: {cpus: 2, cost: secret-price}", name, labels)))
	made, err := h.own.Get(h.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	return made
}

// shows waits until the consumer lists exactly these.
func (h *lending) shows(want ...string) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("the consumer sees %v", want), func(ctx context.Context) (bool, error) {
		names, err := namesOf(ctx, h.reading)
		return err == nil && slices.Equal(names, want), nil
	})
}

func namesOf(ctx context.Context, client dynamic.ResourceInterface) ([]string, error) {
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, obj := range list.Items {
		names = append(names, obj.GetName())
	}
	slices.Sort(names)
	return names, nil
}

// unavailable waits until the consumer is told that the provider shares nothing.
func (h *lending) unavailable(because string) {
	h.t.Helper()
	var last error
	eventually(h.t, "the consumer reads nothing: "+because, func(ctx context.Context) (bool, error) {
		_, last = h.reading.List(ctx, metav1.ListOptions{})
		return apierrors.IsServiceUnavailable(last) && strings.Contains(last.Error(), because), nil
	})
	if _, err := h.reading.Get(h.t.Context(), "small", metav1.GetOptions{}); !apierrors.IsServiceUnavailable(err) {
		h.t.Errorf("a get: %v", err)
	}
}

func TestCached_ConsumersReadWhatIsShared(t *testing.T) {
	h := newLending(t)
	h.make("small", `shared: "yes"`)
	h.make("internal", `shared: "no"`)
	h.shows("small")

	got, err := h.reading.Get(t.Context(), "small", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := got.MarshalJSON()
	for _, hidden := range []string{"secret-price", h.cluster, "managedFields"} {
		if strings.Contains(string(text), hidden) {
			t.Errorf("a consumer reads %q: %s", hidden, text)
		}
	}
	if got.GetAnnotations()["kcp.io/cluster"] != h.consumer {
		t.Errorf("annotations: %v", got.GetAnnotations())
	}
	if cpus, _, _ := unstructured.NestedInt64(got.Object, "spec", "cpus"); cpus != 2 {
		t.Errorf("spec: %v", got.Object["spec"])
	}
	if _, err := h.reading.Get(t.Context(), "internal", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("an object that is not shared: %v", err)
	}
	for selector, want := range map[string]int{"shared=no": 0, "shared=yes": 1, "shared": 1} {
		list, err := h.reading.List(t.Context(), metav1.ListOptions{LabelSelector: selector})
		if err != nil || len(list.Items) != want {
			t.Errorf("selector %s: %v, %v", selector, list, err)
		}
	}
	if _, err := h.reading.Get(t.Context(), "small", metav1.GetOptions{}, "status"); err != nil {
		t.Errorf("the status: %v", err)
	}

	// kubectl finds it by discovery, for reading only.
	if out := h.s.Kubectl(h.consumerPath, "", "get", "flavors", "-o", "name"); strings.TrimSpace(out) != "flavor.example.com/small" {
		t.Errorf("kubectl get: %s", out)
	}
	if out := h.s.Kubectl(h.consumerPath, "", "api-resources", "--api-group", "example.com", "-o", "wide"); !strings.Contains(out, "get,list,watch ") {
		t.Errorf("kubectl api-resources: %s", out)
	}

	shared, err := h.provider.Resource(cachedResources).Get(t.Context(), "flavors", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []string{"cache", "local"} {
		if n, _, _ := unstructured.NestedInt64(shared.Object, "status", "resourceCounts", of); n != 1 {
			t.Errorf("status: %v", shared.Object["status"])
		}
	}
	if phase, _, _ := unstructured.NestedString(shared.Object, "status", "phase"); phase != "Ready" {
		t.Errorf("status: %v", shared.Object["status"])
	}
	slice, err := h.provider.Resource(cachedSlices).Get(t.Context(), "flavors", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	endpoints, _, _ := unstructured.NestedSlice(slice.Object, "status", "endpoints")
	if want := h.s.URL() + "/services/replication/" + h.cluster + "/flavors"; len(endpoints) != 1 || endpoints[0].(map[string]any)["url"] != want {
		t.Errorf("endpoints: %v, want %s", endpoints, want)
	}
}

func TestCached_NobodyWritesThroughIt(t *testing.T) {
	h := newLending(t)
	before := h.make("small", `shared: "yes"`)
	h.shows("small")
	for name, write := range map[string]func() error{
		"create": func() error {
			_, err := h.reading.Create(t.Context(), parse(t, "apiVersion: example.com/v1\nkind: Flavor\nmetadata: {name: mine}"), metav1.CreateOptions{})
			return err
		},
		"update": func() error {
			obj, err := h.reading.Get(t.Context(), "small", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.reading.Update(t.Context(), obj, metav1.UpdateOptions{})
			return err
		},
		"patch": func() error {
			_, err := h.reading.Patch(t.Context(), "small", types.MergePatchType, []byte(`{"spec":{"cpus":9}}`), metav1.PatchOptions{})
			return err
		},
		"patch of the status": func() error {
			_, err := h.reading.Patch(t.Context(), "small", types.MergePatchType, []byte(`{"status":{}}`), metav1.PatchOptions{}, "status")
			return err
		},
		"apply": func() error {
			_, err := h.reading.Apply(t.Context(), "new", parse(t, "apiVersion: example.com/v1\nkind: Flavor\nmetadata: {name: new}"), metav1.ApplyOptions{FieldManager: "m"})
			return err
		},
		"delete": func() error { return h.reading.Delete(t.Context(), "small", metav1.DeleteOptions{}) },
		"deletecollection": func() error {
			return h.reading.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
		},
	} {
		if err := write(); !apierrors.IsMethodNotSupported(err) || !strings.Contains(err.Error(), "can only be read here") {
			t.Errorf("%s: %v", name, err)
		}
	}
	after, err := h.own.Get(t.Context(), "small", metav1.GetOptions{})
	if err != nil || after.GetResourceVersion() != before.GetResourceVersion() {
		t.Errorf("the provider's object: %v, %v", after, err)
	}
}

func TestCached_WatchesFollow(t *testing.T) {
	h := newLending(t)
	h.make("small", `shared: "yes"`)
	h.make("internal", `shared: "no"`)
	h.shows("small")
	list, err := h.reading.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := h.reading.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	next := func(kind watch.EventType, name string) {
		t.Helper()
		event := nextEvent(t, w)
		obj, ok := event.Object.(*unstructured.Unstructured)
		if !ok || event.Type != kind || obj.GetName() != name {
			t.Fatalf("event: %s %v, want %s %s", event.Type, event.Object, kind, name)
		}
		if obj.GetAnnotations()["kcp.io/cluster"] != h.consumer || obj.GetManagedFields() != nil {
			t.Errorf("an event shows %v", obj.Object["metadata"])
		}
	}
	label := func(name, value string) {
		t.Helper()
		if _, err := h.own.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"labels":{"shared":"`+value+`"}}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	h.make("large", `shared: "yes"`)
	next(watch.Added, "large")
	label("internal", "yes")
	next(watch.Added, "internal")
	label("internal", "no")
	next(watch.Deleted, "internal")
	if err := h.own.Delete(t.Context(), "large", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	next(watch.Deleted, "large")

	// What is selected changes: the client must list again, whether it watches now or goes on later.
	if _, err := h.provider.Resource(cachedResources).Patch(t.Context(), "flavors", types.MergePatchType,
		[]byte(`{"spec":{"labelSelector":{"matchLabels":{"shared":"no"}}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if event := nextEvent(t, w); event.Type != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(event.Object)) {
		t.Errorf("event: %s %v, want 410", event.Type, event.Object)
	}
	resumed, err := h.reading.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err == nil {
		resumed.Stop()
	}
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("a watch that goes on from before: %v, want 410", err)
	}
	h.shows("internal")
}

// nextEvent returns the next event that is no bookmark.
func nextEvent(t *testing.T, w watch.Interface) watch.Event {
	t.Helper()
	for {
		select {
		case event, ok := <-w.ResultChan():
			if !ok {
				t.Fatal("the watch has ended")
			}
			if event.Type != watch.Bookmark {
				return event
			}
		case <-time.After(waitTimeout):
			t.Fatal("no event")
		}
	}
}

func TestCached_EndsWithWhatItDependsOn(t *testing.T) {
	h := newLending(t)
	h.make("small", `shared: "yes"`)
	h.shows("small")
	list, err := h.reading.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := h.reading.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	h.export("0000")
	h.unavailable("another identity")
	if event := nextEvent(t, w); event.Type != watch.Error {
		t.Errorf("event: %s %v", event.Type, event.Object)
	}
	h.export(h.identity)
	h.shows("small")

	annotate(t, h.s, "/clusters/"+h.cluster+logicalClusterAt, "core.kcp.io/inactive", "true")
	h.unavailable("inactive")
	annotate(t, h.s, "/clusters/"+h.cluster+logicalClusterAt, "core.kcp.io/inactive", "null")
	h.shows("small")

	if err := h.provider.Resource(cachedSlices).Delete(t.Context(), "flavors", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	h.unavailable("ClusterCachedResourceEndpointSlice does not exist")
	apply(t, h.s.Workspace(h.path), flavorSlice)
	h.shows("small")

	if err := h.provider.Resource(cachedResources).Delete(t.Context(), "flavors", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	h.unavailable("ClusterCachedResource is not ready")
	eventually(t, "the ClusterCachedResource is gone", func(ctx context.Context) (bool, error) {
		_, err := h.provider.Resource(cachedResources).Get(ctx, "flavors", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	apply(t, h.s.Workspace(h.path), sharedFlavors)
	h.shows("small")

	// The resource of the provider goes, with its objects.
	if err := h.provider.Resource(crds).Delete(t.Context(), "flavors.example.com", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ClusterCachedResource says so", func(ctx context.Context) (bool, error) {
		shared, err := h.provider.Resource(cachedResources).Get(ctx, "flavors", metav1.GetOptions{})
		return err == nil && conditionReason(shared, "ResourceValid") == "ResourceNotFound", err
	})
	h.unavailable("not")

	// The export goes; the binding can still be deleted, and waits for nothing.
	if err := h.provider.Resource(exports).Delete(t.Context(), "flavors", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	h.unavailable("the APIExport does not offer")
	if err := h.consumerDynamic.Resource(bindings).Delete(t.Context(), "flavors", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the binding is gone", func(ctx context.Context) (bool, error) {
		_, err := h.consumerDynamic.Resource(bindings).Get(ctx, "flavors", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	eventually(t, "nothing is served", func(ctx context.Context) (bool, error) {
		_, err := h.reading.List(ctx, metav1.ListOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

func conditionReason(obj *unstructured.Unstructured, kind string) string {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range conditions {
		if condition, ok := c.(map[string]any); ok && condition["type"] == kind {
			reason, _ := condition["reason"].(string)
			return reason
		}
	}
	return ""
}

func TestCached_OnlyConsumersRead(t *testing.T) {
	h := newLending(t)
	h.make("small", `shared: "yes"`)
	h.shows("small")
	w, err := h.reading.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()

	// RBAC of the consumer decides about its users.
	admit(t, h.s, h.consumerPath, alice)
	_, asAlice := annex.Clients(t, h.s.As(token(alice), h.consumerPath))
	if names, err := namesOf(t.Context(), asAlice.Resource(flavors)); err != nil || !slices.Equal(names, []string{"small"}) {
		t.Errorf("a user of the consumer: %v, %v", names, err)
	}
	_, asStranger := annex.Clients(t, h.s.As(token(stranger), h.consumerPath))
	if _, err := asStranger.Resource(flavors).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a stranger: %v", err)
	}

	// Another workspace, without a binding.
	path, _ := newWorkspace(t, h.s, "root", uniqueName("other"))
	_, other := annex.Clients(t, h.s.Workspace(path))
	if _, err := other.Resource(flavors).List(t.Context(), metav1.ListOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a workspace without a binding: %v", err)
	}

	// At the endpoint of the provider of the objects.
	at := func(user, target string) dynamic.Interface {
		config := h.s.As(token(user), "root")
		config.Host = h.s.URL() + "/services/replication/" + h.cluster + "/flavors/clusters/" + target
		_, client := annex.Clients(t, config)
		return client
	}
	if _, err := at(bob, h.consumer).Resource(flavors).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a user without rights on the content: %v", err)
	}
	allow(t, h.s, h.path, rule("apis.kcp.io", []string{"apiexports/content"}, []string{"get", "list"}))
	eventually(t, "the provider's user may list", func(ctx context.Context) (bool, error) {
		names, err := namesOf(ctx, at(bob, h.consumer).Resource(flavors))
		return slices.Equal(names, []string{"small"}), ignoreForbidden(err)
	})
	if _, err := at(bob, h.consumer).Resource(flavors).Watch(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a watch without that verb: %v", err)
	}
	if _, err := at(bob, "*").Resource(flavors).List(t.Context(), metav1.ListOptions{}); !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "Wildcard request not supported") {
		t.Errorf("all consumers: %v", err)
	}
	_, otherCluster := newWorkspace(t, h.s, "root", uniqueName("unbound"))
	if _, err := at(bob, otherCluster).Resource(flavors).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a workspace without a binding, at the endpoint: %v", err)
	}
	if _, err := at(bob, h.consumer).Resource(widgets).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("another resource at the endpoint: %v", err)
	}
	config := h.s.As(token(bob), "root")
	config.Host = h.s.URL() + "/services/replication/" + h.cluster + "/flavors/clusters/*"
	for document, code := range map[string]int{"/apis/example.com/v1": http.StatusOK, "/apis/apis.kcp.io": http.StatusNotFound, "/openapi/v3/apis/example.com/v1": http.StatusOK} {
		if got := annex.Status(t, config, http.MethodGet, document); got != code {
			t.Errorf("%s: %d, want %d", document, got, code)
		}
	}
	// At the endpoint of the APIExport the provider sees what the consumer sees, one consumer at a time, and no more.
	exported := func(target string) dynamic.NamespaceableResourceInterface {
		config := rest.CopyConfig(config)
		config.Host = h.s.URL() + "/services/apiexport/" + h.cluster + "/flavors/clusters/" + target
		_, client := annex.Clients(t, config)
		return client.Resource(flavors)
	}
	if names, err := namesOf(t.Context(), exported(h.consumer)); err != nil || !slices.Equal(names, []string{"small"}) {
		t.Errorf("at the endpoint of the APIExport: %v, %v", names, err)
	}
	if _, err := exported("*").List(t.Context(), metav1.ListOptions{}); !apierrors.IsBadRequest(err) {
		t.Errorf("at the endpoint of the APIExport, all consumers: %v", err)
	}
	if _, err := exported(otherCluster).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("at the endpoint of the APIExport, a workspace without a binding: %v", err)
	}
	config.Host = h.s.URL() + "/services/apiexport/" + h.cluster + "/flavors/clusters/" + h.consumer
	if got := annex.Status(t, config, http.MethodDelete, "/apis/example.com/v1/flavors/small"); got != http.StatusForbidden {
		t.Errorf("deleting at the endpoint of the APIExport: %d", got)
	}

	// Unbinding ends it, for watches too.
	if err := h.consumerDynamic.Resource(bindings).Delete(t.Context(), "flavors", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for open := true; open; {
		select {
		case _, open = <-w.ResultChan():
		case <-time.After(waitTimeout):
			t.Fatal("the watch goes on after unbinding")
		}
	}
	eventually(t, "the endpoint shows nothing after unbinding", func(ctx context.Context) (bool, error) {
		_, err := at(bob, h.consumer).Resource(flavors).List(ctx, metav1.ListOptions{})
		return apierrors.IsForbidden(err), nil
	})
	if _, err := h.own.Get(t.Context(), "small", metav1.GetOptions{}); err != nil {
		t.Errorf("the provider's object after unbinding: %v", err)
	}
}

func ignoreForbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return nil
	}
	return err
}

// Nobody shares what they may not read, nor at all what is not theirs.
func TestCached_WhoMayShare(t *testing.T) {
	h := newLending(t)
	h.make("small", `shared: "yes"`)
	apply(t, h.s.Workspace(h.path), strings.NewReplacer("flavors.example.com", "prices.example.com", "plural: flavors", "plural: prices",
		"singular: flavor", "singular: price", "kind: Flavor", "kind: Price", "FlavorList", "PriceList").Replace(flavorDefinition))
	allow(t, h.s, h.path, enter, rule("cache.kcp.io", []string{"*"}, []string{"*"}), rule("example.com", []string{"prices"}, []string{"get", "list"}))
	_, client := annex.Clients(t, h.s.As(token(bob), h.path))
	eventually(t, "the user may work", func(ctx context.Context) (bool, error) {
		_, err := client.Resource(cachedResources).List(ctx, metav1.ListOptions{})
		return err == nil, ignoreForbidden(err)
	})
	prices := strings.NewReplacer("name: flavors", "name: prices", "resource: flavors", "resource: prices").Replace(sharedFlavors)
	if _, err := client.Resource(cachedResources).Create(t.Context(), parse(t, prices), metav1.CreateOptions{}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "may watch all prices.example.com") {
		t.Errorf("sharing what one may not watch: %v", err)
	}
	if _, err := client.Resource(cachedResources).Patch(t.Context(), "flavors", types.MergePatchType, []byte(`{"spec":{"labelSelector":null}}`), metav1.PatchOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("sharing more of what one may not read: %v", err)
	}
	if _, err := client.Resource(cachedResources).Patch(t.Context(), "flavors", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{}); err != nil {
		t.Errorf("a label: %v", err)
	}
	if _, err := client.Resource(cachedResources).Patch(t.Context(), "flavors", types.MergePatchType, []byte(`{"status":{"phase":"Ready","identityHash":"forged"}}`), metav1.PatchOptions{}, "status"); !apierrors.IsForbidden(err) {
		t.Errorf("writing the status: %v", err)
	}
	if _, err := h.provider.Resource(cachedResources).Create(t.Context(), parse(t, strings.Replace(sharedFlavors, "name: flavors", "name: again", 1)), metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("sharing a resource twice: %v", err)
	}

	// A slice in a workspace that does not own what it names.
	_, other := annex.Clients(t, h.s.Workspace(h.consumerPath))
	for name, spec := range map[string]string{
		"both elsewhere":       "{clusterCachedResource: {path: PROVIDER, name: flavors}, export: {path: PROVIDER, name: flavors}}",
		"resource elsewhere":   "{clusterCachedResource: {path: PROVIDER, name: flavors}, export: {name: flavors}}",
		"export elsewhere":     "{clusterCachedResource: {name: flavors}, export: {path: PROVIDER, name: flavors}}",
		"export that is not":   "{clusterCachedResource: {name: flavors}, export: {path: OWN, name: flavors}}",
		"workspace that isn't": "{clusterCachedResource: {name: flavors}, export: {path: \"root:nowhere\", name: flavors}}",
	} {
		document := strings.Replace(flavorSlice, "{clusterCachedResource: {name: flavors}, export: {name: flavors}}", strings.NewReplacer("PROVIDER", `"`+h.path+`"`, "OWN", `"`+h.consumerPath+`"`).Replace(spec), 1)
		if _, err := other.Resource(cachedSlices).Create(t.Context(), parse(t, document), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is in namespaces cannot be shared.
	namespaced := strings.NewReplacer("flavors", "rooms", "flavor", "room", "Flavor", "Room", "scope: Cluster", "scope: Namespaced").Replace(flavorDefinition)
	apply(t, h.s.Workspace(h.path), namespaced+"---\n"+strings.ReplaceAll(sharedFlavors, "flavors", "rooms"))
	waitCondition(t, h.provider.Resource(cachedResources), "rooms", "ResourceValid", "False", "ResourceNotSupported")
}

// What docs/concepts.md shows works, in that order.
func TestCached_Documented(t *testing.T) {
	h := &lending{t: t, s: start(t)}
	h.path, h.cluster = newWorkspace(t, h.s, "root", uniqueName("sharing"))
	h.consumerPath, h.consumer = newWorkspace(t, h.s, "root", uniqueName("reading"))
	_, h.provider = annex.Clients(t, h.s.Workspace(h.path))
	_, h.consumerDynamic = annex.Clients(t, h.s.Workspace(h.consumerPath))
	h.own, h.reading = h.provider.Resource(flavors), h.consumerDynamic.Resource(flavors)
	apply(t, h.s.Workspace(h.path), flavorDefinition+"---\n"+flavorSchema)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "concepts.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, documents, found := strings.Cut(string(text), "<!-- tested by TestCached_Documented -->\n```yaml\n")
	documents, _, ended := strings.Cut(documents, "```")
	if !found || !ended {
		t.Fatal("docs/concepts.md does not show how objects are shared")
	}
	resource, rest, _ := strings.Cut(documents, "---\n")
	apply(t, h.s.Workspace(h.path), resource)
	waitCondition(t, h.provider.Resource(cachedResources), "flavors", "ReplicationStarted", "True", "")
	shared, err := h.provider.Resource(cachedResources).Get(t.Context(), "flavors", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	identity, _, _ := unstructured.NestedString(shared.Object, "status", "identityHash")
	apply(t, h.s.Workspace(h.path), strings.Replace(rest, "IDENTITY", identity, 1))
	waitCondition(t, h.provider.Resource(exports), "flavors", "IdentityValid", "True", "")
	h.make("small", `shared: "yes"`)
	h.bind()
	h.shows("small")
}

// A provider whose workspace goes takes with it what it shares, and nothing else of its consumers.
func TestCached_ProviderIsGone(t *testing.T) {
	h := newLending(t)
	h.make("small", `shared: "yes"`)
	h.shows("small")
	_, root := annex.Clients(t, h.s.Workspace("root"))
	if err := root.Resource(workspaces).Delete(t.Context(), strings.TrimPrefix(h.path, "root:"), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the workspace is gone", func(ctx context.Context) (bool, error) {
		_, err := root.Resource(workspaces).Get(ctx, strings.TrimPrefix(h.path, "root:"), metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	h.unavailable("the APIExport does not offer")
	if err := root.Resource(workspaces).Delete(t.Context(), strings.TrimPrefix(h.consumerPath, "root:"), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the consumer is gone", func(ctx context.Context) (bool, error) {
		_, err := root.Resource(workspaces).Get(ctx, strings.TrimPrefix(h.consumerPath, "root:"), metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}
