package lent

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"
)

// stored is a storage of one object, whose maps it shares with all readers, as the real one does.
type stored struct {
	apistorage.Interface
	obj    *unstructured.Unstructured
	writes int
	w      *watch.FakeWatcher
}

func (s *stored) Get(_ context.Context, _ string, _ apistorage.GetOptions, out runtime.Object) error {
	*out.(*unstructured.Unstructured) = *s.obj
	return nil
}

func (s *stored) GetList(_ context.Context, _ string, _ apistorage.ListOptions, out runtime.Object) error {
	out.(*unstructured.UnstructuredList).Items = []unstructured.Unstructured{*s.obj}
	return nil
}

func (s *stored) Watch(context.Context, string, apistorage.ListOptions) (watch.Interface, error) {
	return s.w, nil
}

func (s *stored) Create(context.Context, string, runtime.Object, runtime.Object, uint64) error {
	s.writes++
	return nil
}

func (s *stored) Delete(context.Context, string, runtime.Object, *apistorage.Preconditions, apistorage.ValidateObjectFunc, runtime.Object, apistorage.DeleteOptions) error {
	s.writes++
	return nil
}

func (s *stored) GuaranteedUpdate(context.Context, string, runtime.Object, bool, *apistorage.Preconditions, apistorage.UpdateFunc, runtime.Object) error {
	s.writes++
	return nil
}

func newStored() *stored {
	return &stored{w: watch.NewFakeWithOptions(watch.FakeOptions{ChannelSize: 4}), obj: &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Flavor",
		"metadata": map[string]any{
			"name": "small", "uid": "1", "resourceVersion": "7", "labels": map[string]any{"shared": "yes"},
			"finalizers": []any{"example.com/hold"}, "managedFields": []any{map[string]any{"manager": "internal-tool"}},
			"ownerReferences": []any{map[string]any{"kind": "Secret", "name": "internal", "uid": "2"}},
			"annotations": map[string]any{
				"kcp.io/cluster": "provider", "kcp.io/shard": "s", "kcp.io/path": "root:provider", "mine": "kept",
				"kubectl.kubernetes.io/last-applied-configuration": `{"spec":{"internal":true}}`,
			},
		},
		"spec": map[string]any{"cpus": int64(2)},
	}}}
}

var asSeen = map[string]any{
	"apiVersion": "example.com/v1", "kind": "Flavor",
	"metadata": map[string]any{
		"name": "small", "uid": "1", "resourceVersion": "7", "labels": map[string]any{"shared": "yes"},
		"annotations": map[string]any{"kcp.io/cluster": "consumer", "mine": "kept"},
	},
	"spec": map[string]any{"cpus": int64(2)},
}

func TestStorage_ReadsTellNothingOfOtherObjects(t *testing.T) {
	below := newStored()
	before := below.obj.DeepCopy()
	s := Storage{Interface: below, Resource: schema.GroupResource{Group: "example.com", Resource: "flavors"}}
	ctx := With(t.Context(), "consumer")

	var got unstructured.Unstructured
	if err := s.Get(ctx, "k", apistorage.GetOptions{}, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asSeen, got.Object); diff != "" {
		t.Error("get:", diff)
	}
	var list unstructured.UnstructuredList
	if err := s.GetList(ctx, "k", apistorage.ListOptions{}, &list); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asSeen, list.Items[0].Object); diff != "" {
		t.Error("list:", diff)
	}
	w, err := s.Watch(ctx, "k", apistorage.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for _, kind := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted} {
		below.w.Action(kind, below.obj)
		event := <-w.ResultChan()
		if diff := cmp.Diff(asSeen, event.Object.(*unstructured.Unstructured).Object); diff != "" || event.Type != kind {
			t.Error("watch:", kind, event.Type, diff)
		}
	}
	if diff := cmp.Diff(before.Object, below.obj.Object); diff != "" {
		t.Error("what others read was changed:", diff)
	}

	// Without the mark, everything is as it is stored.
	if err := s.Get(t.Context(), "k", apistorage.GetOptions{}, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Object, got.Object); diff != "" {
		t.Error("the cluster's own reads:", diff)
	}
}

func TestStorage_WritesNothingOfOthers(t *testing.T) {
	below := newStored()
	s := Storage{Interface: below, Resource: schema.GroupResource{Group: "example.com", Resource: "flavors"}}
	write := func(ctx context.Context) []error {
		return []error{
			s.Create(ctx, "k", below.obj, nil, 0),
			s.Delete(ctx, "k", nil, nil, nil, nil, apistorage.DeleteOptions{}),
			s.GuaranteedUpdate(ctx, "k", nil, false, nil, nil, nil),
		}
	}
	for i, err := range write(With(t.Context(), "consumer")) {
		if !apierrors.IsMethodNotSupported(err) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if below.writes != 0 {
		t.Errorf("%d writes went through", below.writes)
	}
	for i, err := range write(t.Context()) {
		if err != nil {
			t.Errorf("the cluster's own write %d: %v", i, err)
		}
	}
	if below.writes != 3 {
		t.Errorf("%d of the cluster's own writes went through", below.writes)
	}
}
