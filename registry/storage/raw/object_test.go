package raw

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/annex-dev/annex/registry/storage/intern"
	"github.com/annex-dev/annex/registry/storage/pack"
)

func stored(tb testing.TB, asProtobuf bool, fill int) []byte {
	tb.Helper()
	meta := metav1.ObjectMeta{
		Name: "default", Namespace: "ns", UID: "11111111-2222-4333-8444-555555555555",
		Labels: map[string]string{"a": "b"}, Finalizers: []string{"example.com/hold"},
	}
	if asProtobuf {
		n := &corev1.Namespace{ObjectMeta: meta, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerName(strings.Repeat("x", fill))}}}
		object, err := n.Marshal()
		if err != nil {
			tb.Fatal(err)
		}
		unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, Raw: object}
		data, err := unknown.Marshal()
		if err != nil {
			tb.Fatal(err)
		}
		return append([]byte(ProtobufMagic), data...)
	}
	w := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Widget"}}
	w.SetName(meta.Name)
	w.SetNamespace(meta.Namespace)
	w.SetUID(meta.UID)
	w.SetLabels(meta.Labels)
	w.SetFinalizers(meta.Finalizers)
	w.Object["spec"] = map[string]any{"x": strings.Repeat("x", fill)}
	data, err := json.Marshal(w)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestRaw_HoldsBytesAndHead(t *testing.T) {
	for _, asProtobuf := range []bool{false, true} {
		for _, fill := range []int{1, 10 * minShared} {
			t.Run(fmt.Sprintf("protobuf=%v,spec=%d", asProtobuf, fill), func(t *testing.T) {
				codec := Codec{labels: intern.NewMaps(), packs: pack.NewPacker(), share: true}
				data := stored(t, asProtobuf, fill)
				parse := func(cluster string) Object {
					return codec.parse("/cr/8/example.com/widgets/crd/"+cluster+"/ns/default\x00"+string(data), 0)
				}
				one, two := parse("c1"), parse("c2")
				for _, r := range []*Object{&one, &two} {
					if r.Damaged() || !bytes.Equal(r.Data(), data) {
						t.Errorf("damaged=%v, data is %q, want %q", r.Damaged(), r.Data(), data)
					}
					if r.GetUID() != "11111111-2222-4333-8444-555555555555" || r.GetLabels()["a"] != "b" || !slices.Equal(r.GetFinalizers(), []string{"example.com/hold"}) {
						t.Errorf("head is %q %v %v", r.GetUID(), r.GetLabels(), r.GetFinalizers())
					}
					if r.GetName() != "default" || r.GetNamespace() != "ns" {
						t.Errorf("it is %s/%s", r.GetNamespace(), r.GetName())
					}
				}
				if shared := len(one.head.cuts) == 1 && len(two.head.cuts) == 1 && one.head.cuts[0] == two.head.cuts[0]; shared != (fill > minShared) {
					t.Errorf("specs of %d bytes are shared: %v", fill, shared)
				}
				if len(one.envelope) > 600 {
					t.Errorf("%d bytes of its own are left", len(one.envelope))
				}
				c, ok := one.DeepCopyObject().(*Object)
				c.SetResourceVersion("7")
				c.SetAnnotations(map[string]string{"x": "y"})
				if !ok || one.GetResourceVersion() != "" || one.GetAnnotations()["kcp.io/cluster"] != "c1" || c.GetAnnotations()["x"] != "y" || c.GetResourceVersion() != "7" {
					t.Errorf("changing a copy: %v %v", one.GetAnnotations(), c.GetAnnotations())
				}
			})
		}
	}
}

func TestRaw_PacksWhatIsAlike(t *testing.T) {
	for _, asProtobuf := range []bool{false, true} {
		for _, fill := range []int{300, 10 * minShared} { // the larger specs are taken out before
			codec := Codec{labels: intern.NewMaps(), packs: pack.NewPacker(), share: true}
			kept, size := 0, 0
			for n := range 100 {
				uid := types.UID(uuid.NewUUID())
				data := bytes.ReplaceAll(stored(t, asProtobuf, fill), []byte("11111111-2222-4333-8444-555555555555"), []byte(uid))
				data = bytes.ReplaceAll(data, []byte("default"), fmt.Appendf(nil, "name%03d", n)) // as long: protobuf has lengths
				r := codec.parse(fmt.Sprintf("/core/namespaces/c1/name%03d\x00%s", n, data), 0)
				if !bytes.Equal(r.Data(), data) || r.Size() != len(data) {
					t.Fatalf("object %d: %d bytes, %q became %q", n, r.Size(), data, r.Data())
				}
				if r.GetUID() != uid || r.GetLabels()["a"] != "b" || !slices.Equal(r.GetFinalizers(), []string{"example.com/hold"}) || r.GetName() != fmt.Sprintf("name%03d", n) {
					t.Fatalf("object %d is %s, head %q %v %v", n, r.GetName(), r.GetUID(), r.GetLabels(), r.GetFinalizers())
				}
				if n >= 50 { // the first ones are not packed
					kept, size = kept+len(r.envelope), size+len(data)
				}
			}
			if kept*2 > size {
				t.Errorf("protobuf=%v, specs of %d bytes: %d bytes of %d are kept", asProtobuf, fill, kept, size)
			}
		}
	}
}

func TestRaw_KnowsWhereKeysOfBothKindsDivide(t *testing.T) {
	for _, c := range []struct{ key, base, clusterBase, cluster, namespace, name string }{
		{"/cr/8/example.com/widgets/crd/c1/ns/n", "/cr/8/example.com/widgets/crd", "/cr/8/example.com/widgets/crd/c1", "c1", "ns", "n"},
		{"/cr/8/example.com/widgets/crd/c1/n", "/cr/8/example.com/widgets/crd", "/cr/8/example.com/widgets/crd/c1", "c1", "", "n"},
		{"/apis.kcp.io/apiresourceschemas/root/v1.x", "/apis.kcp.io/apiresourceschemas", "/apis.kcp.io/apiresourceschemas/root", "root", "", "v1.x"},
		{"/core/configmaps/c1/ns/n", "/core/configmaps", "/core/configmaps/c1", "c1", "ns", "n"},
		{"", "", "", "", "", ""},
		{"/cr/8", "", "", "", "", ""},
	} {
		r := Object{envelope: c.key + "\x00", keySize: uint32(len(c.key))}
		cluster, namespace, name, _ := r.Tail()
		if r.base() != c.base || cluster != c.cluster || namespace != c.namespace || name != c.name || r.clusterBase() != c.clusterBase {
			t.Errorf("%q is %q %q, %q %q %q", c.key, r.base(), r.clusterBase(), cluster, namespace, name)
		}
	}
}

// FuzzRaw holds that no stored bytes keep a cache from reading them, and that none are changed.
func FuzzRaw(f *testing.F) {
	for _, asProtobuf := range []bool{false, true} {
		f.Add(stored(f, asProtobuf, 1))
		f.Add(stored(f, asProtobuf, 2*minShared))
	}
	f.Add([]byte("{not json"))
	f.Add([]byte(ProtobufMagic + "\x12"))
	codec := Codec{labels: intern.NewMaps(), packs: pack.NewPacker(), share: true}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := codec.parse("/core/configmaps/c1/ns/n\x00"+string(data), 0)
		if !bytes.Equal(r.Data(), data) {
			t.Errorf("%q became %q", data, r.Data())
		}
		_, _, _ = r.GetUID(), r.GetLabels(), r.GetFinalizers()
	})
}

// twice is what two objects are made from, in revision 7.
type twice struct {
	data  []byte
	alike *Alike
}

// Data implements Made.
func (m twice) Data(part int) []byte {
	return bytes.ReplaceAll(m.data, []byte("default"), fmt.Appendf(nil, "object%d", part)) // as long: protobuf has lengths
}

// UID implements Made.
func (m twice) UID(part int) types.UID { return types.UID(fmt.Sprint("uid-", part)) }

// Revision implements Made.
func (m twice) Revision() int64 { return 7 }

// Alike implements Made.
func (m twice) Alike(int) *Alike { return m.alike }

func TestRaw_KeepsNoBytesOfWhatIsMade(t *testing.T) {
	for _, asProtobuf := range []bool{false, true} {
		for _, alike := range []*Alike{nil, {}} {
			from := twice{stored(t, asProtobuf, 10*minShared), alike}
			codec := Codec{labels: intern.NewMaps(), packs: pack.NewPacker(), share: true, find: func(key string) (Made, int) {
				if strings.HasSuffix(key, "/object1") {
					return from, 1
				}
				return nil, 0
			}}
			parse := func(data []byte, revision int64) Object {
				return codec.parse("/core/namespaces/c1/object1\x00"+string(data), revision)
			}
			// Its revision says what it is made from, and its bytes do if that is not known.
			for _, revision := range []int64{0, 7} {
				made := parse(from.Data(1), revision)
				if !bytes.Equal(made.Data(), from.Data(1)) || made.Size() != len(from.Data(1)) || made.GetUID() != "uid-1" {
					t.Errorf("data is %q of %d bytes, UID %q", made.Data(), made.Size(), made.GetUID())
				}
				if made.GetLabels()["a"] != "b" || !slices.Equal(made.GetFinalizers(), []string{"example.com/hold"}) {
					t.Errorf("head is %v %v", made.GetLabels(), made.GetFinalizers())
				}
				if made.envelope != "/core/namespaces/c1/object1" || made.Key() != made.envelope || len(made.readHead().cuts) != 0 {
					t.Errorf("it keeps %q and %d parts", made.envelope, len(made.readHead().cuts))
				}
			}
			if first, second := parse(from.Data(1), 7), parse(from.Data(1), 7); (first.head == second.head) != (alike != nil) {
				t.Errorf("heads are the same: %v", first.head == second.head)
			}
			for name, changed := range map[string]Object{"bytes": parse(from.Data(2), 0), "revision": parse(from.Data(2), 8)} {
				if !bytes.Equal(changed.Data(), from.Data(2)) || changed.made != nil {
					t.Errorf("what has another %s became %q", name, changed.Data())
				}
			}
		}
	}
}
