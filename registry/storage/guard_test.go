package storage

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// The guard is a second line: these tests pass by the first.

func TestGuardCodec_TakesTheClusterFromTheKey(t *testing.T) {
	l := layout.Resource{Resource: configMaps, Root: layout.TypedRoot(configMaps)}
	plain, err := coreCodec(t)(configMaps)
	if err != nil {
		t.Fatal(err)
	}
	codec := layout.Codec{Codec: plain, Layout: l, KeyOf: func(obj runtime.Object) (string, error) {
		o := obj.(object)
		return l.Root + "/" + o.GetNamespace() + "/" + o.GetName(), nil
	}}
	obj := configMap("ns", "a")
	obj.Annotations = map[string]string{logicalcluster.AnnotationKey: "c2"}
	data, err := runtime.Encode(plain, obj)
	if err != nil {
		t.Fatal(err)
	}
	got, err := runtime.Decode(codec, append([]byte("c1/ns/a\x00"), data...))
	if err != nil {
		t.Fatal(err)
	}
	if cluster := logicalcluster.From(got.(*corev1.ConfigMap)); cluster != "c1" {
		t.Errorf("an object that says c2 below the key of c1 is read as of %q", cluster)
	}
	for _, claimed := range []string{"c1/ns/b\x00", "c1/other/a\x00", "c1/a\x00", ""} {
		if _, err := runtime.Decode(codec, append([]byte(claimed), data...)); err == nil {
			t.Errorf("ns/a was read from the key %q", claimed)
		}
	}
	obj.Annotations = nil
	if _, err := runtime.Encode(codec, obj); err == nil {
		t.Error("an object without cluster was written")
	}
}

// TestRestoredKeys_BelongToTheClusterOfTheKey copies keys as a restore into another cluster would.
func TestRestoredKeys_BelongToTheClusterOfTheKey(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	typed, custom := configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	for _, s := range []*store{typed, custom} {
		obj := object(configMap("default", "a"))
		from, to := "/annex/core/configmaps/c1/default/a", "/annex/core/configmaps/c2/default/a"
		if s == custom {
			obj, from, to = widget("default", "a", "red"), "/annex/cr/8/example.com/widgets/crd/c1/default/a", "/annex/cr/8/example.com/widgets/crd/c2/default/a"
		}
		create(t, in(t.Context(), "c1"), s, obj)
		resp, err := client.KV.Get(t.Context(), from)
		if err != nil || len(resp.Kvs) != 1 {
			t.Fatalf("reading %s: %v, %d keys", from, err, len(resp.Kvs))
		}
		if _, err := client.KV.Put(t.Context(), to, string(resp.Kvs[0].Value)); err != nil {
			t.Fatal(err)
		}
		for _, opts := range []apistorage.ListOptions{{Recursive: true}, {Recursive: true, ResourceVersion: "0", ResourceVersionMatch: "NotOlderThan"}} {
			got, _ := list(t, everywhere(t.Context()), s, s.root, opts)
			if want := []string{"c1|default/a", "c2|default/a"}; !slices.Equal(got, want) {
				t.Errorf("all clusters hold %v, want %v", got, want)
			}
		}
		out := s.newFunc()
		if err := s.Get(in(t.Context(), "c2"), s.key("default", "a"), apistorage.GetOptions{}, out); err != nil || id(out.(object)) != "c2|default/a" {
			t.Errorf("c2 has %v, %v", out, err)
		}
	}
}

func TestCustomResources_AreStoredWithoutTheirCluster(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	w := widget("default", "a", "red")
	create(t, in(t.Context(), "c1"), s, w)
	if logicalcluster.From(w) != "c1" {
		t.Error("the object that was handed in does not say its cluster")
	}
	resp, err := client.KV.Get(t.Context(), "/annex/cr/8/example.com/widgets/crd/c1/default/a")
	if err != nil || len(resp.Kvs) != 1 {
		t.Fatalf("%v, %d keys", err, len(resp.Kvs))
	}
	if got := string(resp.Kvs[0].Value); strings.Contains(got, "c1") || strings.Contains(got, "annotations") {
		t.Errorf("stored is %s", got)
	}
}
