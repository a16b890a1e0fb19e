package clienttest

import (
	"context"
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

var (
	configMaps = schema.GroupResource{Resource: "configmaps"}
	namespaces = schema.GroupResource{Resource: "namespaces"}
)

func configMap(cluster logicalcluster.Name, namespace, name string) *corev1.ConfigMap {
	return In(cluster, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"name": name}}})
}

func TestFake_ListScopes(t *testing.T) {
	t.Parallel()
	f := NewFake(configMap("b", "x", "one"), configMap("a", "x", "two"), configMap("a", "x", "one"), configMap("a", "y", "one"))
	tests := map[string]struct {
		scope client.Scope
		want  []string
	}{
		"everything":  {client.Scope{}, []string{"a|x/one", "a|x/two", "a|y/one", "b|x/one"}},
		"a cluster":   {client.Scope{Cluster: "a"}, []string{"a|x/one", "a|x/two", "a|y/one"}},
		"a namespace": {client.Scope{Cluster: "a", Namespace: "y"}, []string{"a|y/one"}},
		"labels":      {client.Scope{Selector: labels.SelectorFromSet(labels.Set{"name": "two"})}, []string{"a|x/two"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			found, err := f.List(t.Context(), configMaps, tt.scope)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, obj := range found {
				got = append(got, client.KeyOf(obj).String())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestFake_Writes(t *testing.T) {
	t.Parallel()
	f := NewFake()
	created, err := f.Create(t.Context(), configMaps, "a", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "one"}})
	if err != nil {
		t.Fatal(err)
	}
	if logicalcluster.From(created) != "a" || created.GetUID() == "" || created.GetResourceVersion() == "" || created.GetGeneration() != 1 {
		t.Errorf("created %+v", created)
	}
	if _, err := f.Create(t.Context(), configMaps, "a", configMap("a", "x", "one")); !apierrors.IsAlreadyExists(err) {
		t.Errorf("creating it twice: %v", err)
	}
	if _, err := f.Create(t.Context(), configMaps, "b", configMap("a", "x", "one")); err != nil {
		t.Errorf("creating it in another cluster: %v", err)
	}
	if same, err := f.Update(t.Context(), configMaps, "a", created); err != nil || same.GetResourceVersion() != created.GetResourceVersion() {
		t.Errorf("an update without a change: %v %v", same, err)
	}
	changed := created.DeepCopyObject().(*corev1.ConfigMap)
	changed.Data = map[string]string{"a": "b"}
	updated, err := f.Update(t.Context(), configMaps, "a", changed)
	if err != nil || updated.GetGeneration() != 2 {
		t.Fatalf("updated %+v: %v", updated, err)
	}
	if _, err := f.Update(t.Context(), configMaps, "a", changed); !apierrors.IsConflict(err) {
		t.Errorf("updating an old version: %v", err)
	}
	stale := created.GetResourceVersion()
	if err := f.Delete(t.Context(), configMaps, client.KeyOf(created), &metav1.Preconditions{ResourceVersion: &stale}); !apierrors.IsConflict(err) {
		t.Errorf("deleting an old version: %v", err)
	}
	if err := f.Delete(t.Context(), configMaps, client.KeyOf(created), nil); err != nil {
		t.Error(err)
	}
	if _, err := f.Get(t.Context(), configMaps, client.KeyOf(created)); !apierrors.IsNotFound(err) {
		t.Errorf("getting what is gone: %v", err)
	}
	want := []string{"create configmaps a|x/one", "create configmaps b|x/one", "update configmaps a|x/one", "delete configmaps a|x/one"}
	if got := f.Writes(); !slices.Equal(got, want) {
		t.Errorf("got writes %v, want %v", got, want)
	}
}

func TestFake_Finalizers(t *testing.T) {
	t.Parallel()
	held := configMap("a", "x", "one")
	held.Finalizers = []string{"example.com/hold"}
	ns := In("a", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}}})
	f := NewFake(held, ns)
	for resource, obj := range map[schema.GroupResource]client.Object{configMaps: held, namespaces: ns} {
		key := client.KeyOf(obj)
		for range 2 {
			if err := f.Delete(t.Context(), resource, key, nil); err != nil {
				t.Fatal(err)
			}
		}
		obj, err := f.Get(t.Context(), resource, key)
		if err != nil || obj.GetDeletionTimestamp() == nil {
			t.Fatalf("held by a finalizer: %v %v", obj, err)
		}
		obj = obj.DeepCopyObject().(client.Object)
		obj.SetFinalizers(nil)
		if ns, ok := obj.(*corev1.Namespace); ok {
			if ns.Status.Phase != corev1.NamespaceTerminating {
				t.Errorf("phase %s", ns.Status.Phase)
			}
			ns.Spec.Finalizers = nil
		}
		if _, err := f.Update(t.Context(), resource, key.Cluster, obj); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Get(t.Context(), resource, key); !apierrors.IsNotFound(err) {
			t.Errorf("getting what is gone: %v", err)
		}
	}
}

func TestFake_Watch(t *testing.T) {
	t.Parallel()
	f := NewFake(configMap("a", "x", "one"))
	ctx, cancel := context.WithCancel(t.Context())
	events := make(chan string, 10)
	done := make(chan error)
	go func() {
		done <- f.Watch(ctx, configMaps, func(event client.Event) {
			name := string(event.Type)
			if event.Object != nil {
				name += " " + client.KeyOf(event.Object).String()
			}
			events <- name
		})
	}()
	expect := func(want ...string) {
		t.Helper()
		for _, w := range want {
			if got := <-events; got != w {
				t.Fatalf("got %s, want %s", got, w)
			}
		}
	}
	expect("RESET", "ADDED a|x/one", "SYNCED")
	if _, err := f.Create(ctx, configMaps, "b", configMap("b", "x", "one")); err != nil {
		t.Fatal(err)
	}
	expect("ADDED b|x/one")
	if err := f.Delete(ctx, configMaps, client.Key{Cluster: "a", Namespace: "x", Name: "one"}, nil); err != nil {
		t.Fatal(err)
	}
	expect("DELETED a|x/one")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
}

func TestFake_InterceptAndMutated(t *testing.T) {
	t.Parallel()
	one := configMap("a", "x", "one")
	f := NewFake(one)
	broken := errors.New("broken")
	f.Intercept(func(verb string, _ schema.GroupResource, key client.Key) error {
		if verb == "delete" && key.Name == "one" {
			return broken
		}
		return nil
	})
	if err := f.Delete(t.Context(), configMaps, client.KeyOf(one), nil); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if keys := f.Mutated(); len(keys) != 0 {
		t.Errorf("mutated: %v", keys)
	}
	obj, err := f.Get(t.Context(), configMaps, client.KeyOf(one))
	if err != nil {
		t.Fatal(err)
	}
	obj.SetLabels(nil)
	if keys := f.Mutated(); len(keys) != 1 {
		t.Errorf("a change of a shared object went unseen")
	}
}

func TestContent(t *testing.T) {
	t.Parallel()
	held := configMap("a", "x", "held")
	held.Finalizers = []string{"example.com/hold"}
	f := NewFake(held, configMap("a", "x", "one"), configMap("a", "y", "one"), configMap("b", "x", "one"))
	content := NewContent(f)
	remaining, err := content.DeleteAll(t.Context(), client.ContentScope{Cluster: "a", Namespace: "x"})
	if err != nil || remaining.Resources[configMaps] != 1 || remaining.Finalizers["example.com/hold"] != 1 {
		t.Errorf("remaining %v, %v", remaining, err)
	}
	if left := f.list(configMaps, client.Scope{}); len(left) != 3 {
		t.Errorf("%d left, want 3", len(left))
	}
	if n, err := content.Purge(t.Context(), "a"); n != 2 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	if remaining, err := content.DeleteAll(t.Context(), client.ContentScope{Cluster: "b", Wanted: func(schema.GroupResource, string) bool { return false }}); err != nil || !remaining.Empty() {
		t.Errorf("remaining %v, %v", remaining, err)
	}
	if left := f.list(configMaps, client.Scope{}); len(left) != 1 {
		t.Errorf("%d left, want the one that was skipped", len(left))
	}
}
