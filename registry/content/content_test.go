package content

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/registry/storage/head"
)

// patience is how long tests wait for what must happen; nothing waits that long when it works.
const patience = 30 * time.Second

var widgets = apischema.GroupResource{Group: "example.com", Resource: "widgets"}

// house is a Content over an etcd of its own, whose definitions and bindings are in memory.
type house struct {
	*Content
	t    *testing.T
	etcd *kubernetes.Client
}

func newHouse(t *testing.T, objects ...client.Object) *house {
	t.Helper()
	etcd := testserver.RunEtcd(t, nil)
	t.Cleanup(func() { _ = etcd.Close() })
	backend, err := storage.NewBackend(storage.Config{
		Orphans: true, Client: etcd, CompactionInterval: -1,
		Codec: func(apischema.GroupResource) (runtime.Codec, error) { return unstructured.UnstructuredJSONScheme, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	schemas, err := schema.New(schema.Config{RESTOptionsGetter: backend.CustomResources(), Authorizer: authorizerfactory.NewAlwaysAllowAuthorizer()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(schemas.Close)
	fake := clienttest.NewFake(objects...)
	return &house{t: t, etcd: etcd, Content: New(Config{
		Backend: backend, Client: fake, Live: fake, Catalog: catalog.New(catalog.Config{Reader: fake}), Schemas: schemas,
	})}
}

// definition returns an established definition of widgets.
func definition(cluster logicalcluster.Name, name string) *apiextensionsv1.CustomResourceDefinition {
	names := apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"}
	return clienttest.In(cluster, &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: widgets.Group, Names: names, Scope: apiextensionsv1.NamespaceScoped,
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": {Type: "object"}},
				}},
			}},
		},
		Status: apiextensionsv1.CustomResourceDefinitionStatus{
			AcceptedNames: names, StoredVersions: []string{"v1"},
			Conditions: []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue}},
		},
	})
}

// binding returns a binding of cluster that has bound widgets of the schema uid under identity.
func binding(cluster logicalcluster.Name, uid, identity string) *apisv1alpha2.APIBinding {
	b := &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}}
	b.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{
		Group: widgets.Group, Resource: widgets.Resource, Schema: apisv1alpha2.BoundAPIResourceSchema{UID: uid, IdentityHash: identity},
	}}
	return clienttest.In(cluster, b)
}

// put stores a widget; where is bucket/cluster/namespace.
func (h *house) put(where, name string, finalizers ...string) {
	h.t.Helper()
	namespace := where[strings.LastIndex(where, "/")+1:]
	held := ""
	if len(finalizers) > 0 {
		held = fmt.Sprintf(`,"finalizers":["%s"]`, strings.Join(finalizers, `","`))
	}
	h.write(where, name, fmt.Sprintf(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":%q,"namespace":%q,"uid":"uid-%s"%s}}`, name, namespace, name, held))
}

func (h *house) write(where, name, data string) {
	h.t.Helper()
	if _, err := h.etcd.KV.Put(h.t.Context(), "/annex/cr/8/example.com/widgets/"+where+"/"+name, data); err != nil {
		h.t.Fatal(err)
	}
}

// left returns what a cluster holds, each as bucket/namespace/name.
func (h *house) left(cluster logicalcluster.Name) []string {
	h.t.Helper()
	heads, err := h.List(h.t.Context(), client.ContentScope{Cluster: cluster})
	if err != nil {
		h.t.Fatal(err)
	}
	names := []string{}
	for _, o := range heads {
		names = append(names, o.Bucket+"/"+o.Namespace+"/"+o.Name)
	}
	return names
}

func (h *house) wantLeft(cluster logicalcluster.Name, want ...string) {
	h.t.Helper()
	if got := h.left(cluster); !slices.Equal(got, want) {
		h.t.Errorf("%s holds %q, want %q", cluster, got, want)
	}
}

func (h *house) deleteAll(scope client.ContentScope) client.Remaining {
	h.t.Helper()
	remaining, err := h.DeleteAll(h.t.Context(), scope)
	if err != nil {
		h.t.Fatal(err)
	}
	return remaining
}

// only wants one resource in one bucket.
func only(resource apischema.GroupResource, bucket string) func(apischema.GroupResource, string) bool {
	return func(gr apischema.GroupResource, b string) bool { return gr == resource && b == bucket }
}

func TestLocalBucket_IsTheOneOfStorage(t *testing.T) {
	if client.LocalBucket != storage.LocalBucket {
		t.Errorf("%q is not %q", client.LocalBucket, storage.LocalBucket)
	}
}

func TestContent_DeletesWithFinalizersHonored(t *testing.T) {
	h := newHouse(t, definition("c1", widgets.String()), definition("c2", widgets.String()))
	for _, cluster := range []string{"c1", "c2"} {
		for _, namespace := range []string{"default", "other"} {
			h.put("crd/"+cluster+"/"+namespace, "free")
		}
	}
	h.put("crd/c1/default", "held", "example.com/hold")

	if remaining := h.deleteAll(client.ContentScope{Cluster: "c1", Namespace: "other"}); !remaining.Empty() {
		t.Errorf("remaining %+v", remaining)
	}
	h.wantLeft("c1", "crd/default/free", "crd/default/held")
	scope := client.ContentScope{Cluster: "c1", Wanted: only(widgets, client.LocalBucket)}
	for range 2 { // what is being deleted counts until it is gone
		remaining := h.deleteAll(scope)
		if remaining.Resources[widgets] != 1 || !maps.Equal(remaining.Finalizers, map[string]int{"example.com/hold": 1}) {
			t.Errorf("remaining %+v", remaining)
		}
	}
	h.wantLeft("c1", "crd/default/held")
	h.wantLeft("c2", "crd/default/free", "crd/other/free")
	if _, err := h.DeleteAll(t.Context(), client.ContentScope{}); !apierrors.IsBadRequest(err) {
		t.Errorf("deleting everything everywhere: %v", err)
	}
}

func TestContent_ScopeNamesResourceAndBucket(t *testing.T) {
	h := newHouse(t, definition("c1", widgets.String()), definition(logicalcluster.SystemBoundCRDs, "uid-v1"), binding("c1", "uid-v1", "identity"))
	h.put("crd/c1/default", "local")
	h.put("identity/c1/default", "bound", "example.com/hold")
	h.put("identity/c1/default", "free")
	for name, scope := range map[string]client.ContentScope{
		"a typed resource": {Cluster: "c1", Wanted: only(widgets, "")},
		"another resource": {Cluster: "c1", Wanted: only(apischema.GroupResource{Group: "example.com", Resource: "gadgets"}, client.LocalBucket)},
		"nothing":          {Cluster: "c1", Wanted: func(apischema.GroupResource, string) bool { return false }},
	} {
		if remaining := h.deleteAll(scope); !remaining.Empty() {
			t.Errorf("%s: remaining %+v", name, remaining)
		}
	}
	h.wantLeft("c1", "crd/default/local", "identity/default/bound", "identity/default/free")
	// The binding has the name of the definition: whose objects go is the bucket's word.
	if remaining := h.deleteAll(client.ContentScope{Cluster: "c1", Wanted: only(widgets, client.LocalBucket)}); !remaining.Empty() {
		t.Errorf("remaining %+v", remaining)
	}
	h.wantLeft("c1", "identity/default/bound", "identity/default/free")
	if remaining := h.deleteAll(client.ContentScope{Cluster: "c1", Wanted: only(widgets, "identity")}); remaining.Resources[widgets] != 1 {
		t.Errorf("remaining %+v", remaining)
	}
	h.wantLeft("c1", "identity/default/bound")
}

func TestContent_DeletesInStages(t *testing.T) {
	h := newHouse(t, definition("c1", widgets.String()), binding("c1", "uid-v1", "identity"))
	h.put("crd/c1/default", "held", "example.com/hold")
	// Nothing serves it; it comes before widgets by its name.
	if _, err := h.etcd.KV.Put(t.Context(), "/annex/cr/8/example.com/things6/gone/c1/default/late", "{}"); err != nil {
		t.Fatal(err)
	}
	scope := client.ContentScope{Cluster: "c1", Stage: func(gr apischema.GroupResource) int {
		if gr == widgets {
			return 1
		}
		return 2
	}}
	if remaining := h.deleteAll(scope); len(remaining.Resources) != 1 || remaining.Resources[widgets] != 1 {
		t.Errorf("remaining %+v", remaining)
	}
	h.wantLeft("c1", "gone/default/late", "crd/default/held")
	h.put("crd/c1/default", "held")
	if remaining := h.deleteAll(scope); !remaining.Empty() {
		t.Errorf("remaining %+v", remaining)
	}
	h.wantLeft("c1")
}

// What is released was being deleted when it was looked at, after everything of the earlier stages was gone.
func TestContent_ReleasesInStages(t *testing.T) {
	h := newHouse(t, definition("c1", widgets.String()))
	const mine, other = "example.com/mine", "example.com/other"
	h.put("crd/c1/default", "a", mine)
	h.put("crd/c1/default", "b", mine, other)
	if _, err := h.etcd.KV.Put(t.Context(), "/annex/cr/8/example.com/things6/gone/c1/default/last", "{}"); err != nil {
		t.Fatal(err)
	}
	var released []string
	release := func(_ context.Context, gr apischema.GroupResource, key client.Key) (bool, error) {
		heads, err := h.List(t.Context(), client.ContentScope{Cluster: "c1", Wanted: only(gr, client.LocalBucket)})
		if err != nil {
			return false, err
		}
		at := slices.IndexFunc(heads, func(h head.Head) bool { return h.Name == key.Name })
		if at < 0 || heads[at].DeletionTimestamp == nil {
			t.Errorf("released %s, which is not being deleted", key)
			return false, nil
		}
		released = append(released, key.Name)
		if left := slices.DeleteFunc(heads[at].Finalizers, func(f string) bool { return f == mine }); len(left) > 0 {
			return false, nil
		}
		_, err = h.etcd.KV.Delete(t.Context(), "/annex/cr/8/example.com/widgets/crd/c1/default/"+key.Name)
		return true, err
	}
	scope := client.ContentScope{
		Cluster: "c1", Release: release,
		Stage: func(gr apischema.GroupResource) int {
			if gr == widgets {
				return 1
			}
			return 2
		},
	}
	if remaining := h.deleteAll(scope); remaining.Resources[widgets] != 1 || len(remaining.Resources) != 1 {
		t.Errorf("remaining %+v", remaining)
	}
	h.wantLeft("c1", "gone/default/last", "crd/default/b")
	if slices.Sort(released); !slices.Equal(released, []string{"a", "b"}) {
		t.Errorf("released %q", released)
	}
	h.put("crd/c1/default", "b", mine)
	if remaining := h.deleteAll(scope); !remaining.Empty() {
		t.Errorf("remaining %+v", remaining)
	}
	h.wantLeft("c1")

	h.put("crd/c1/default", "a", mine)
	scope.Release = func(context.Context, apischema.GroupResource, client.Key) (bool, error) {
		return false, errors.New("etcd is away")
	}
	remaining, err := h.DeleteAll(t.Context(), scope)
	if err == nil || !strings.Contains(err.Error(), "releasing widgets.example.com c1|default/a: etcd is away") || remaining.Resources[widgets] != 1 {
		t.Errorf("remaining %+v, %v", remaining, err)
	}
}

func TestContent_DeletesWhatNothingCanRead(t *testing.T) {
	h := newHouse(t, definition("c1", widgets.String()))
	h.write("crd/c1/default", "broken", "{not json")
	h.write("crd/c1/default", "other", `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"somebody-else","namespace":"default"}}`)
	h.put("crd/c1/default", "held", "example.com/hold")
	h.put("gone/c1/default", "orphan", "example.com/hold")
	h.write("gone/c1/default", "broken", "{not json")
	h.put("gone/c2/default", "orphan", "example.com/hold")
	h.write("gone/c1/default", "waiting", `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"waiting","namespace":"default","uid":"uid-waiting",
		"deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["example.com/hold"]}}`)
	remaining := h.deleteAll(client.ContentScope{Cluster: "c1"})
	if remaining.Resources[widgets] != 1 {
		t.Errorf("remaining %+v", remaining)
	}
	h.wantLeft("c1", "crd/default/held")
	h.wantLeft("c2", "gone/default/orphan")
	if n, err := h.Purge(t.Context(), "c1"); err != nil || n != 1 {
		t.Errorf("purged %d, %v", n, err)
	}
}

// An older version stored objects whose definition had been replaced by one with another scope. No request can name them.
func TestContent_DeletesWhatAnotherScopeCannotName(t *testing.T) {
	h := newHouse(t, definition("c1", widgets.String()), definition(logicalcluster.SystemBoundCRDs, "uid-v1"), binding("c1", "uid-v1", "identity"))
	for _, bucket := range []string{"crd", "identity"} {
		h.put(bucket+"/c1/default", "mine")
		h.put(bucket+"/c1/default", "held", "example.com/hold")
		h.write(bucket+"/c1", "lost", `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"lost","uid":"uid-lost","finalizers":["example.com/hold"]}}`)
		h.write(bucket+"/c1", "going", `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"going","uid":"uid-going","finalizers":["example.com/hold"],"deletionTimestamp":"2026-01-01T00:00:00Z"}}`)
		remaining := h.deleteAll(client.ContentScope{Cluster: "c1", Wanted: only(widgets, bucket)})
		if remaining.Resources[widgets] != 1 {
			t.Errorf("remaining %+v", remaining)
		}
	}
	h.wantLeft("c1", "crd/default/held", "identity/default/held")
}

// A definition that was made anew a moment ago serves nothing yet, and will: its objects are not dropped.
func TestContent_WaitsForDefinitionsWhoseNamesAreNotDecided(t *testing.T) {
	young := definition("c1", widgets.String())
	young.Status = apiextensionsv1.CustomResourceDefinitionStatus{}
	h := newHouse(t, young)
	h.put("crd/c1/default", "held", "example.com/hold")
	if _, err := h.DeleteAll(t.Context(), client.ContentScope{Cluster: "c1", Wanted: only(widgets, client.LocalBucket)}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("got %v, want ServiceUnavailable", err)
	}
	h.wantLeft("c1", "crd/default/held")

	// Names of a definition that is being deleted are never decided: it must not wait for its own objects for ever.
	going := definition("c1", widgets.String())
	going.Status = apiextensionsv1.CustomResourceDefinitionStatus{}
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{apiextensionsv1.CustomResourceCleanupFinalizer}
	h = newHouse(t, going)
	h.put("crd/c1/default", "held", "example.com/hold")
	if remaining := h.deleteAll(client.ContentScope{Cluster: "c1", Wanted: only(widgets, client.LocalBucket)}); !remaining.Empty() {
		t.Errorf("remaining %+v", remaining)
	}
}

func TestContent_ReadsAndDeletesTheObjectOfAHead(t *testing.T) {
	h := newHouse(t, definition("c1", widgets.String()))
	h.put("crd/c1/default", "a")
	h.put("gone/c1/default", "orphan")
	heads, err := h.List(t.Context(), client.ContentScope{Cluster: "c1"})
	if err != nil || len(heads) != 2 {
		t.Fatalf("%v, %v", heads, err)
	}
	obj, err := h.Get(t.Context(), heads[0])
	if u, ok := obj.(*unstructured.Unstructured); err != nil || !ok || u.GetName() != "a" || u.GetKind() != "Widget" || logicalcluster.From(u) != "c1" {
		t.Errorf("got %v, %v", obj, err)
	}
	if _, err := h.Get(t.Context(), heads[1]); !apierrors.IsNotFound(err) {
		t.Errorf("reading what nothing serves: %v", err)
	}
	another := heads[0]
	another.UID = "uid-of-another"
	if _, err := h.Get(t.Context(), another); !apierrors.IsNotFound(err) {
		t.Errorf("reading another object of that name: %v", err)
	}
	if err := h.Delete(t.Context(), another, nil); !apierrors.IsConflict(err) {
		t.Errorf("deleting another object of that name: %v", err)
	}
	if err := h.Delete(t.Context(), heads[1], nil); !apierrors.IsNotFound(err) {
		t.Errorf("deleting what nothing serves: %v", err)
	}
	old := heads[1]
	old.ResourceVersion = "1"
	if err := h.access().delete(t.Context(), old); !apierrors.IsConflict(err) {
		t.Errorf("dropping an older state of what nothing serves: %v", err)
	}
	h.wantLeft("c1", "crd/default/a", "gone/default/orphan")
	if err := h.Delete(t.Context(), heads[0], nil); err != nil {
		t.Error(err)
	}
	h.wantLeft("c1", "gone/default/orphan")
	if err := h.access().delete(t.Context(), heads[1]); err != nil {
		t.Error(err)
	}
	h.wantLeft("c1")
	typed := head.Head{Cluster: "c1", Resource: apischema.GroupResource{Resource: "configmaps"}, Namespace: "default", Name: "none"}
	if err := h.Delete(t.Context(), typed, nil); !apierrors.IsNotFound(err) {
		t.Errorf("deleting a typed object that is gone: %v", err)
	}
}
