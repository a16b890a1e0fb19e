package watchcache

import (
	"context"
	"math"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"
)

// listed is a storage with nothing in it.
type listed struct {
	apistorage.Interface
	revision string
}

func (l listed) GetList(_ context.Context, _ string, _ apistorage.ListOptions, list runtime.Object) error {
	list.(*corev1.ConfigMapList).ResourceVersion = l.revision
	return nil
}

func TestWrites(t *testing.T) {
	w := newWrites()
	// Most of these clusters share no number.
	other := ""
	for _, cluster := range []string{"b", "c", "d", "e", "f"} {
		if w.in(cluster) != w.in("a") {
			other = cluster
		}
	}
	at := func(version string) runtime.Object {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}}
	}
	w.note("a", at("7"))
	w.note("a", at("5")) // a list shows old objects
	if w.upTo("a") != 7 || w.upTo(other) != 0 {
		t.Errorf("the last writes are at %d and %d", w.upTo("a"), w.upTo(other))
	}
	// A list may lack what was deleted while nobody watched.
	if err := (listOnly{Interface: listed{revision: "9"}, writes: w}).GetList(t.Context(), "", apistorage.ListOptions{}, &corev1.ConfigMapList{}); err != nil {
		t.Fatal(err)
	}
	if w.upTo("a") != 9 || w.upTo(other) != 9 {
		t.Errorf("after a list, the last writes are at %d and %d", w.upTo("a"), w.upTo(other))
	}
	if err := (listOnly{Interface: listed{revision: "x"}, writes: w}).GetList(t.Context(), "", apistorage.ListOptions{}, &corev1.ConfigMapList{}); err == nil {
		t.Error("a list without a revision counts")
	}
	w.note("a", at("x"))
	if w.upTo("a") != math.MaxUint64 {
		t.Errorf("a write at an unknown revision is at %d", w.upTo("a"))
	}
}
