package inprocess

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/client"
)

func TestUpdate_EndsAnObjectThatNothingHolds(t *testing.T) {
	c, _, plugin := newClient(t)
	live := c.Live()
	const hold, other = "example.com/hold", "example.com/other"
	key := client.Key{Cluster: "one", Namespace: "default", Name: "a"}
	held := configMap("a", "")
	held.Finalizers = []string{hold, other}
	if _, err := c.Create(t.Context(), configMaps, "one", held); err != nil {
		t.Fatal(err)
	}
	read := func() *corev1.ConfigMap {
		t.Helper()
		obj, err := live.Get(t.Context(), configMaps, key)
		if err != nil {
			t.Fatal(err)
		}
		return obj.DeepCopyObject().(*corev1.ConfigMap)
	}
	free := read()
	free.Finalizers = nil
	free.DeletionTimestamp = new(metav1.Now())
	if _, err := c.Update(t.Context(), configMaps, "one", free); !apierrors.IsInvalid(err) {
		t.Errorf("an update that begins a deletion: %v", err)
	}
	read()
	if err := c.Delete(t.Context(), configMaps, key, nil); err != nil {
		t.Fatal(err)
	}
	half, old := read(), read()
	half.Finalizers = []string{other}
	if _, err := c.Update(t.Context(), configMaps, "one", half); err != nil {
		t.Fatal(err)
	}
	old.Finalizers = nil
	if _, err := c.Update(t.Context(), configMaps, "one", old); !apierrors.IsConflict(err) {
		t.Errorf("an update of an old state: %v", err)
	}
	stranger := read()
	stranger.Finalizers, stranger.UID = nil, "another"
	if _, err := c.Update(t.Context(), configMaps, "one", stranger); !apierrors.IsConflict(err) {
		t.Errorf("an update of another object: %v", err)
	}
	last := read()
	last.Finalizers = nil
	plugin.users = nil
	if _, err := c.Update(t.Context(), configMaps, "one", last); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(plugin.users, UserName) {
		t.Error("admission has not seen the update")
	}
	if _, err := live.Get(t.Context(), configMaps, key); !apierrors.IsNotFound(err) {
		t.Errorf("the object is still there: %v", err)
	}
	if _, err := c.Update(t.Context(), configMaps, "one", last); !apierrors.IsNotFound(err) {
		t.Errorf("an update of what is gone: %v", err)
	}
}

func TestUpdate_AdmissionMayKeepWhatItWouldEnd(t *testing.T) {
	c, _, plugin := newClient(t)
	held := configMap("a", "")
	held.Finalizers = []string{"example.com/hold"}
	if _, err := c.Create(t.Context(), configMaps, "one", held); err != nil {
		t.Fatal(err)
	}
	key := client.Key{Cluster: "one", Namespace: "default", Name: "a"}
	if err := c.Delete(t.Context(), configMaps, key, nil); err != nil {
		t.Fatal(err)
	}
	obj, err := c.Live().Get(t.Context(), configMaps, key)
	if err != nil {
		t.Fatal(err)
	}
	plugin.refused = "a"
	free := obj.DeepCopyObject().(*corev1.ConfigMap)
	free.Finalizers = nil
	if _, err := c.Update(t.Context(), configMaps, "one", free); !apierrors.IsForbidden(err) {
		t.Errorf("an update that admission refuses: %v", err)
	}
	if obj, err = c.Live().Get(t.Context(), configMaps, key); err != nil || len(obj.GetFinalizers()) != 1 {
		t.Errorf("it left %v, %v", obj, err)
	}
}

func TestUpdate_NamespacesEndWithTheFinalizersOfTheirSpec(t *testing.T) {
	c, _, _ := newClient(t)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", Finalizers: []string{"example.com/hold"}}}
	if _, err := c.Create(t.Context(), namespaces, "one", ns); err != nil {
		t.Fatal(err)
	}
	key := client.Key{Cluster: "one", Name: "a"}
	if err := c.Delete(t.Context(), namespaces, key, nil); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*corev1.Namespace){
		func(ns *corev1.Namespace) { ns.Finalizers = nil },
		func(ns *corev1.Namespace) { ns.Spec.Finalizers = nil },
	} {
		obj, err := c.Live().Get(t.Context(), namespaces, key)
		if err != nil {
			t.Fatalf("it went before its last finalizer: %v", err)
		}
		changed := obj.DeepCopyObject().(*corev1.Namespace)
		change(changed)
		if _, err := c.Update(t.Context(), namespaces, "one", changed); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Live().Get(t.Context(), namespaces, key); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
}
