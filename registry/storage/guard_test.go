package storage

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// The guard is a second line: these tests pass by the first.

func TestGuardTransformer_RefusesKeysThatAreNotTheObjects(t *testing.T) {
	typed := guardTransformer{layout: layout{resource: configMaps, root: typedRoot(configMaps)}, prefix: DefaultPrefix}
	custom := guardTransformer{layout: layout{resource: widgets, root: customResourceRoot(widgets), custom: true}, prefix: DefaultPrefix}
	c1 := in(t.Context(), "c1")
	for _, c := range []struct {
		name      string
		guard     guardTransformer
		key, data string
		want      string // part of the error; empty for success
	}{
		{"typed, its own key", typed, "/annex/core/configmaps/c1/ns/a", "c1/ns/a\x00data", ""},
		{"typed, the key of another cluster", typed, "/annex/core/configmaps/c2/ns/a", "c1/ns/a\x00data", "refused write: the object belongs to"},
		{"typed, the key of another name", typed, "/annex/core/configmaps/c1/ns/b", "c1/ns/a\x00data", "refused write: the object belongs to"},
		{"typed, object and key of another cluster than the request", typed, "/annex/core/configmaps/c2/ns/a", "c2/ns/a\x00data", "refused write: the request is for"},
		{"typed, the key of another resource", typed, "/annex/core/secrets/c1/ns/a", "c1/ns/a\x00data", "does not belong"},
		{"typed, no envelope", typed, "/annex/core/configmaps/c1/ns/a", "data", "refused write"},
		{"custom, its own key", custom, "/annex/cr/8/example.com/widgets/crd/c1/ns/a", "c1/ns/a\x00data", ""},
		{"custom, another bucket", custom, "/annex/cr/8/example.com/widgets/other/c1/ns/a", "c1/ns/a\x00data", "refused write: the request is for bucket"},
		{"custom, another cluster", custom, "/annex/cr/8/example.com/widgets/crd/c2/ns/a", "c2/ns/a\x00data", "refused write: the request is for cluster"},
	} {
		out, err := c.guard.TransformToStorage(c1, []byte(c.data), value.DefaultContext(c.key))
		switch {
		case c.want == "" && (err != nil || string(out) != "data"):
			t.Errorf("%s: %q, %v", c.name, out, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %q, %v; want an error with %q", c.name, out, err, c.want)
		}
	}
	if _, err := typed.TransformToStorage(t.Context(), []byte("c1/ns/a\x00data"), value.DefaultContext("/annex/core/configmaps/c1/ns/a")); err == nil {
		t.Error("a write without target was let through")
	}
}

func TestGuardCodec_TakesTheClusterFromTheKey(t *testing.T) {
	l := layout{resource: configMaps, root: typedRoot(configMaps)}
	plain, err := coreCodec(t)(configMaps)
	if err != nil {
		t.Fatal(err)
	}
	codec := guardCodec{Codec: plain, layout: l, keyOf: func(obj runtime.Object) (string, error) {
		o := obj.(object)
		return l.root + "/" + o.GetNamespace() + "/" + o.GetName(), nil
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
