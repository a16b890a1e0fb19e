package storage

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"
)

// decodesCounted counts what a codec decodes.
type decodesCounted struct {
	runtime.Codec
	decodes *atomic.Int64
}

func (c decodesCounted) Decode(data []byte, kind *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	c.decodes.Add(1)
	return c.Codec.Decode(data, kind, into)
}

// However many watch, list and read a big object, what is stored of it is decoded once for each state.
func TestTyped_IsDecodedOnceForAllReaders(t *testing.T) {
	const watches = 7
	decodes, codec := &atomic.Int64{}, coreCodec(t)
	b, err := NewBackend(Config{
		Orphans: true, Client: runEtcd(t), CompactionInterval: -1,
		Codec: func(gr schema.GroupResource) (runtime.Codec, error) {
			plain, err := codec(gr)
			return decodesCounted{plain, decodes}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Destroy)
	s := configMapStore(t, b)
	waitReady(t, b)
	ctx := in(t.Context(), "c1")
	all := apistorage.ListOptions{ResourceVersion: "0", Recursive: true, Predicate: apistorage.Everything}
	key := s.root + "/default/a"
	var open []watch.Interface
	for range watches {
		w, err := s.Watch(ctx, s.root, all)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Stop)
		open = append(open, w)
	}
	big := configMap("default", "a")
	big.Data = map[string]string{"a": strings.Repeat("x", 8<<10)} // lists hold no small ones
	create(t, ctx, s, big)
	decodes.Store(0) // a write decodes what it wrote, for itself
	for i, w := range open {
		select {
		case event := <-w.ResultChan():
			shared, ok := event.Object.(runtime.CacheableObject)
			if !ok {
				t.Fatalf("watch %d gets a %T", i, event.Object)
			}
			obj, ok := shared.GetObject().(*corev1.ConfigMap)
			if !ok || event.Type != watch.Added || obj.Name != "a" {
				t.Fatalf("watch %d gets %v", i, event)
			}
			obj.Data = nil // it is a copy
			// So is what is encoded: stock encoders write kind and version into it.
			if err := shared.CacheEncode("test", func(obj runtime.Object, _ io.Writer) error {
				obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Version: "v0", Kind: "Changed"})
				return nil
			}, io.Discard); err != nil {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatalf("watch %d gets nothing", i)
		}
	}
	for range 3 {
		var got corev1.ConfigMap
		if err := s.Get(ctx, key, apistorage.GetOptions{ResourceVersion: "0"}, &got); err != nil || got.Name != "a" || got.Kind == "Changed" {
			t.Fatalf("%q, %v", got.Name, err)
		}
		var list corev1.ConfigMapList
		if err := s.GetList(ctx, s.root, all, &list); err != nil || len(list.Items) != 1 || list.Items[0].Name != "a" || list.Items[0].Kind == "Changed" {
			t.Fatalf("%v, %v", list.Items, err)
		}
	}
	if n := decodes.Load(); n > 1 {
		t.Errorf("one state is decoded %d times", n)
	}
}

// What is listed again and again is decoded twice: once when it is seen, and once when it is seen again. A state that was replaced is not
// shown again, and who changes what a list returned changes nobody else's.
func TestTyped_SmallObjectsOfListsAreDecodedTwice(t *testing.T) {
	decodes, codec := &atomic.Int64{}, coreCodec(t)
	b, err := NewBackend(Config{
		Orphans: true, Client: runEtcd(t), CompactionInterval: -1,
		Codec: func(gr schema.GroupResource) (runtime.Codec, error) {
			plain, err := codec(gr)
			return decodesCounted{plain, decodes}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Destroy)
	s := configMapStore(t, b)
	waitReady(t, b)
	ctx := in(t.Context(), "c1")
	const objects = 3
	for _, name := range []string{"a", "b", "c"} {
		create(t, ctx, s, configMap("default", name))
	}
	list := func(want string) {
		t.Helper()
		var list corev1.ConfigMapList
		if err := s.GetList(ctx, s.root, apistorage.ListOptions{Recursive: true, Predicate: apistorage.Everything}, &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Items) != objects || list.Items[0].Data["changed"] != want {
			t.Fatalf("%d objects, %v; want %d and %q", len(list.Items), list.Items[0].Data, objects, want)
		}
		for i := range list.Items {
			list.Items[i].Data = nil
			list.Items[i].Name = ""
		}
	}
	decodes.Store(0)
	for range 5 {
		list("")
	}
	if n := decodes.Load(); n != 2*objects {
		t.Errorf("%d objects were decoded %d times", objects, n)
	}
	if bytes, _ := b.ListedBytes(); bytes == 0 {
		t.Error("nothing is held")
	}
	var changed corev1.ConfigMap
	if err := s.GuaranteedUpdate(ctx, s.root+"/default/a", &changed, false, nil, func(obj runtime.Object, _ apistorage.ResponseMeta) (runtime.Object, *uint64, error) {
		cm := obj.(*corev1.ConfigMap)
		cm.Data = map[string]string{"changed": "yes"}
		return cm, nil, nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		list("yes")
	}
	b.Forget("c1")
	if bytes, _ := b.ListedBytes(); bytes != 0 {
		t.Errorf("%d bytes are held for a cluster that is forgotten", bytes)
	}
}
