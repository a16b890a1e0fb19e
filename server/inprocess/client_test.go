package inprocess

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/apiextensions"
	"github.com/annex-dev/annex/registry/content"
	"github.com/annex-dev/annex/registry/core"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/registry/storage/head"
)

var (
	configMaps = schema.GroupResource{Resource: "configmaps"}
	namespaces = schema.GroupResource{Resource: "namespaces"}
	crds       = schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}
)

// refuser is an admission plugin that refuses the name "refused" and one more, and remembers who asked.
type refuser struct {
	*admission.Handler
	mu      sync.Mutex
	users   []string
	refused string
}

func (r *refuser) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	r.mu.Lock()
	r.users = append(r.users, a.GetUserInfo().GetName())
	r.mu.Unlock()
	if a.GetName() == "refused" || a.GetName() == r.refused {
		return admission.NewForbidden(a, errors.New("by the test"))
	}
	return nil
}

func newClient(t *testing.T) (*Client, *storage.Backend, *refuser) {
	t.Helper()
	types := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: testserver.RunEtcd(t, nil), Codec: types.StorageCodec})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	var groups []*group.Group
	for _, build := range []func(*kinds.Scheme, generic.RESTOptionsGetter) (*group.Group, error){core.NewGroup, apiextensions.NewGroup} {
		g, err := build(types, backend.RESTOptionsGetter())
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, g)
	}
	plugin := &refuser{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete)}
	reader, err := NewReader(types.Scheme, groups)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(reader, Config{Scheme: types.Scheme, TypeConverter: managedfields.NewDeducedTypeConverter(), Admission: admission.NewChainHandler(plugin)})
	if err != nil {
		t.Fatal(err)
	}
	err = wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	})
	if err != nil {
		t.Fatalf("watch caches do not start: %v", backend.Ready())
	}
	return c, backend, plugin
}

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: map[string]string{"key": value}}
}

// nobody is a filter that shows nothing.
type nobody struct{}

func (nobody) Shows(head.Head) bool { return false }

func TestClient_WritesAsTheServerInOneCluster(t *testing.T) {
	c, _, plugin := newClient(t)
	for _, cluster := range []logicalcluster.Name{"one", "two"} {
		created, err := c.Create(t.Context(), configMaps, cluster, configMap("same", string(cluster)))
		if err != nil {
			t.Fatal(err)
		}
		if logicalcluster.From(created) != cluster {
			t.Errorf("created in %q, want %q", logicalcluster.From(created), cluster)
		}
		if fields := created.GetManagedFields(); len(fields) != 1 || fields[0].Manager != FieldManager {
			t.Errorf("fields are managed by %v", fields)
		}
	}
	if _, err := c.Live().Get(storage.WithFilter(t.Context(), nobody{}), configMaps, client.Key{Cluster: "one", Namespace: "default", Name: "same"}); err != nil {
		t.Errorf("reading while a request is answered that sees nothing: %v", err)
	}
	if !slices.Contains(plugin.users, UserName) {
		t.Errorf("admission saw %v", plugin.users)
	}
	if _, err := c.Create(t.Context(), configMaps, "one", configMap("same", "")); !apierrors.IsAlreadyExists(err) {
		t.Errorf("a second create: %v", err)
	}
	if _, err := c.Create(t.Context(), configMaps, "one", configMap("refused", "")); !apierrors.IsForbidden(err) {
		t.Errorf("a create that admission refuses: %v", err)
	}
	if _, err := c.Create(t.Context(), configMaps, "", configMap("nowhere", "")); !apierrors.IsBadRequest(err) {
		t.Errorf("a create in no cluster: %v", err)
	}
	if _, err := c.Create(t.Context(), schema.GroupResource{Resource: "pods"}, "one", configMap("a", "")); !apierrors.IsNotFound(err) {
		t.Errorf("a create of an unknown resource: %v", err)
	}

	live := c.Live()
	key := client.Key{Cluster: "one", Namespace: "default", Name: "same"}
	found, err := live.Get(t.Context(), configMaps, key)
	if err != nil {
		t.Fatal(err)
	}
	changed := found.DeepCopyObject().(*corev1.ConfigMap)
	changed.Data["key"] = "changed"
	if _, err := c.Update(t.Context(), configMaps, "one", changed); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Update(t.Context(), configMaps, "one", changed); !apierrors.IsConflict(err) {
		t.Errorf("an update of an old state: %v", err)
	}
	if err := c.Delete(t.Context(), configMaps, key, &metav1.Preconditions{UID: new(found.GetUID() + "x")}); !apierrors.IsConflict(err) {
		t.Errorf("a delete of somebody else: %v", err)
	}
	if err := c.Delete(t.Context(), configMaps, key, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), configMaps, key, nil); !apierrors.IsNotFound(err) {
		t.Errorf("a second delete: %v", err)
	}
	key.Cluster = "two"
	if other, err := live.Get(t.Context(), configMaps, key); err != nil || other.(*corev1.ConfigMap).Data["key"] != "two" {
		t.Errorf("the other cluster has %v, %v", other, err)
	}
}

// outdated is a store whose cache is behind at the first deletion: it writes the UID that it has read into the options, as stock ones do.
type outdated struct{ conditions []*metav1.Preconditions }

func (o *outdated) Delete(_ context.Context, name string, _ rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	o.conditions = append(o.conditions, options.Preconditions)
	options.Preconditions = metav1.NewUIDPreconditions("outdated")
	if len(o.conditions) == 1 {
		return nil, false, apierrors.NewConflict(configMaps, name, errors.New("another UID"))
	}
	return nil, true, nil
}

func TestClient_DeletesWhatTheCacheDoesNotKnowYet(t *testing.T) {
	c, _, _ := newClient(t)
	store := &outdated{}
	c.resources[configMaps].deleter = store
	if err := c.Delete(t.Context(), configMaps, client.Key{Cluster: "c1", Namespace: "default", Name: "a"}, nil); err != nil {
		t.Error(err)
	}
	if len(store.conditions) != 2 || store.conditions[1] != nil {
		t.Errorf("the second attempt has the conditions of the first: %v", store.conditions)
	}
}

func TestClient_WatchFollowsAllClusters(t *testing.T) {
	c, _, _ := newClient(t)
	if _, err := c.Create(t.Context(), configMaps, "one", configMap("same", "")); err != nil {
		t.Fatal(err)
	}
	events := make(chan string, 100)
	go func() {
		_ = c.Watch(t.Context(), configMaps, func(e client.Event) {
			text := string(e.Type)
			if e.Object != nil {
				text += " " + client.KeyOf(e.Object).String()
			}
			events <- text
		})
	}()
	want := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			select {
			case got := <-events:
				if got != text {
					t.Fatalf("event %q, want %q", got, text)
				}
			case <-time.After(2 * time.Minute):
				t.Fatalf("no event, want %q", text)
			}
		}
	}
	want("RESET", "ADDED one|default/same", "SYNCED")
	created, err := c.Create(t.Context(), configMaps, "two", configMap("same", ""))
	if err != nil {
		t.Fatal(err)
	}
	want("ADDED two|default/same")
	created.(*corev1.ConfigMap).Data["key"] = "changed"
	if _, err := c.Update(t.Context(), configMaps, "two", created); err != nil {
		t.Fatal(err)
	}
	want("MODIFIED two|default/same")
	if err := c.Delete(t.Context(), configMaps, client.KeyOf(created), nil); err != nil {
		t.Fatal(err)
	}
	want("DELETED two|default/same")
	if err := c.Watch(t.Context(), schema.GroupResource{Resource: "pods"}, nil); !apierrors.IsNotFound(err) {
		t.Errorf("a watch of an unknown resource: %v", err)
	}
}

// CustomResourceDefinitions are stored as another Go type than the one served.
func TestClient_ConvertsWhatIsStoredAsAnotherType(t *testing.T) {
	c, _, _ := newClient(t)
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "gadgets.example.org"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.org", Scope: apiextensionsv1.ClusterScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "gadgets", Singular: "gadget", Kind: "Gadget", ListKind: "GadgetList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}},
			}},
		},
	}
	created, err := c.Create(t.Context(), crds, "one", crd)
	if err != nil {
		t.Fatal(err)
	}
	served, ok := created.(*apiextensionsv1.CustomResourceDefinition)
	if !ok || len(served.Spec.Versions) != 1 {
		t.Fatalf("created a %T", created)
	}
	served.Status.AcceptedNames = served.Spec.Names
	if _, err := c.Update(t.Context(), crds, "one", served); err != nil {
		t.Fatal(err)
	}
	list, err := c.Live().List(t.Context(), crds, client.Scope{Cluster: "one"})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].(*apiextensionsv1.CustomResourceDefinition).Status.AcceptedNames.Kind != "Gadget" {
		t.Errorf("listed %v", list)
	}
}

func TestContent_DeletesOneClusterAndSaysWhatStays(t *testing.T) {
	c, backend, _ := newClient(t)
	for _, cluster := range []logicalcluster.Name{"one", "two"} {
		for i := range 3 {
			if _, err := c.Create(t.Context(), configMaps, cluster, configMap(fmt.Sprint("n", i), "")); err != nil {
				t.Fatal(err)
			}
		}
	}
	held := configMap("held", "")
	held.Finalizers = []string{"example.com/hold"}
	if _, err := c.Create(t.Context(), configMaps, "one", held); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(t.Context(), namespaces, "one", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}); err != nil {
		t.Fatal(err)
	}
	content := content.New(content.Config{Backend: backend, Client: c, Live: c.Live()})
	keepNamespaces := func(gr schema.GroupResource, _ string) bool { return gr != namespaces }
	remaining, err := content.DeleteAll(t.Context(), client.ContentScope{Cluster: "one", Wanted: keepNamespaces})
	if err != nil {
		t.Fatal(err)
	}
	if remaining.Resources[configMaps] != 1 || len(remaining.Resources) != 1 || remaining.Finalizers["example.com/hold"] != 1 {
		t.Errorf("remaining = %+v", remaining)
	}
	if heads, err := content.List(t.Context(), client.ContentScope{Cluster: "two"}); err != nil || len(heads) != 3 {
		t.Errorf("the other cluster holds %v (%v), want 3 objects", heads, err)
	}
	if purged, err := content.Purge(t.Context(), "one"); err != nil || purged != 2 {
		t.Errorf("purged %d keys (%v), want the held one and the namespace", purged, err)
	}
}
