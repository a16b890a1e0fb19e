package storage

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/registry/storage/owners"
)

// Every storage of a Backend writes through package owners, whether it creates or its update does.
func TestBackend_RefusesOrphans(t *testing.T) {
	client := runEtcd(t)
	b, err := NewBackend(Config{Client: client, Codec: coreCodec(t), CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Destroy)
	namespaces, configMaps, widgets := namespaceStore(t, b), configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	ctx := in(t.Context(), "c1")
	definition := owners.Owner{Resource: owners.Definitions, Name: "widgets.example.com", UID: "uid"}
	attempts := func(want func(error) bool) {
		t.Helper()
		cm, w := configMap("default", "a"), widget("default", "a", "red")
		for name, err := range map[string]error{
			"create":                       configMaps.Create(ctx, keyFor(configMaps, cm), cm, &corev1.ConfigMap{}, 0),
			"create of a custom resource":  widgets.Create(WithOwner(ctx, definition), keyFor(widgets, w), w, newWidget(), 0),
			"update that creates":          ensure(ctx, configMaps, configMap("default", "b")),
			"update that creates a custom": ensure(WithOwner(ctx, definition), widgets, widget("default", "b", "red")),
		} {
			if !want(err) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
	attempts(apierrors.IsForbidden)
	put := func(key, uid string) {
		t.Helper()
		if _, err := client.KV.Put(ctx, "/annex"+key, `{"metadata":{"uid":"`+uid+`"}}`); err != nil {
			t.Fatal(err)
		}
	}
	put(owners.ClusterKey("c1").String(), "lc")
	put("/apiextensions.k8s.io/customresourcedefinitions/c1/widgets.example.com", "uid")
	attempts(apierrors.IsNotFound) // the namespace
	w := widget("default", "a", "red")
	if err := widgets.Create(ctx, keyFor(widgets, w), w, newWidget(), 0); !apierrors.IsInternalError(err) {
		t.Errorf("a create that does not say what serves the resource: %v", err)
	}
	create(t, ctx, namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", UID: "ns"}})
	attempts(func(err error) bool { return err == nil })
	// The watch cache knows the namespace by now, or will: its deletion is seen all the same.
	remove(t, ctx, namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	late := configMap("default", "late")
	if err := configMaps.Create(ctx, keyFor(configMaps, late), late, &corev1.ConfigMap{}, 0); !apierrors.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
}

// ensure updates an object that does not exist.
func ensure(ctx context.Context, s *store, obj object) error {
	return s.GuaranteedUpdate(ctx, keyFor(s, obj), s.newFunc(), true, nil, apistorage.SimpleUpdate(func(runtime.Object) (runtime.Object, error) {
		return obj, nil
	}), nil)
}
