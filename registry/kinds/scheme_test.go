package kinds

import (
	"math/rand"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	crdfuzzer "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/fuzzer"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	runtimeserializer "k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/randfill"
)

func TestStorageCodec_RoundTrip(t *testing.T) {
	t.Parallel()
	s := All.NewScheme()
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	fill := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, crdfuzzer.Funcs, fuzzFuncs), rand.NewSource(seed), s.Codecs)
	for _, r := range storedRows() {
		gr := r.GroupResource()
		t.Run(gr.String(), func(t *testing.T) {
			codec, err := s.StorageCodec(gr)
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				// What lies in etcd has been defaulted in its version before; so one pass first.
				in := r.Object.DeepCopyObject()
				fill.Fill(in)
				in = roundTrip(t, codec, in)
				out := roundTrip(t, codec, in)
				if !apiequality.Semantic.DeepEqual(in, out) {
					t.Fatalf("changed on its way through storage (-before +after):\n%s", cmp.Diff(in, out))
				}
			}
			list := r.List.DeepCopyObject()
			if got := roundTrip(t, codec, list); !apiequality.Semantic.DeepEqual(list, got) {
				t.Fatalf("list changed on its way through storage:\n%s", cmp.Diff(list, got))
			}
		})
	}
}

func roundTrip(t *testing.T, codec runtime.Codec, in runtime.Object) runtime.Object {
	t.Helper()
	data, err := runtime.Encode(codec, in)
	if err != nil {
		t.Fatalf("encoding: %v", err)
	}
	out, err := runtime.Decode(codec, data)
	if err != nil {
		t.Fatalf("decoding: %v", err)
	}
	if kind := out.GetObjectKind().GroupVersionKind(); !kind.Empty() {
		t.Fatalf("decoded into %s, want an internal object without a kind", kind)
	}
	return out
}

// fuzzFuncs keeps random values within what the wire formats can carry.
func fuzzFuncs(runtimeserializer.CodecFactory) []any {
	return []any{
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewQuantity(c.Int63n(1000), resource.DecimalSI)
		},
		func(raw *runtime.RawExtension, _ randfill.Continue) { raw.Raw = []byte(`{"a":"b"}`) },
	}
}

func TestStorageCodec_Unknown(t *testing.T) {
	t.Parallel()
	if _, err := All.NewScheme().StorageCodec(schema.GroupResource{Resource: "pods"}); err == nil {
		t.Error("a codec for pods, want an error")
	}
}

func storedRows() []*Row { return All.where(func(r *Row) bool { return r.MediaType != "" }) }

// Every kind must be known as internal and in the versions that are served, and every version must know the options.
func TestNewScheme_Kinds(t *testing.T) {
	t.Parallel()
	s := All.NewScheme()
	for _, r := range All.Rows() {
		gk := schema.GroupKind{Group: r.group, Kind: r.Kind()}
		for _, version := range append([]string{runtime.APIVersionInternal}, r.Versions...) {
			if !s.Scheme.Recognizes(gk.WithVersion(version)) {
				t.Errorf("%s is not registered in %s", gk, version)
			}
		}
		for _, gv := range s.Scheme.PrioritizedVersionsForGroup(r.group) {
			for _, kind := range []string{"ListOptions", "GetOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "DeleteOptions", "WatchEvent"} {
				if !s.Scheme.Recognizes(gv.WithKind(kind)) {
					t.Errorf("%s does not know %s", gv, kind)
				}
			}
		}
	}
	for _, g := range All.groups {
		for _, object := range g.Carried {
			gvks, _, err := s.Scheme.ObjectKinds(object)
			if err != nil || !s.Scheme.Recognizes(schema.GroupVersionKind{Group: g.Name, Version: runtime.APIVersionInternal, Kind: gvks[0].Kind}) {
				t.Errorf("%T is not registered as internal in %s: %v", object, g.Name, err)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	quantity := resource.MustParse
	tests := map[string]struct{ in, want runtime.Object }{
		"a namespace has its name as a label and is active": {
			in: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{corev1.LabelMetadataName: "b", "x": "y"}}},
			want: &corev1.Namespace{
				ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{corev1.LabelMetadataName: "a", "x": "y"}},
				Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
			},
		},
		"a namespace without a name has no such label yet": {
			in:   &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "a-"}},
			want: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "a-"}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}},
		},
		"a secret is opaque, and stringData wins over data": {
			in:   &corev1.Secret{Data: map[string][]byte{"a": []byte("1"), "b": []byte("2")}, StringData: map[string]string{"b": "3"}},
			want: &corev1.Secret{Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"a": []byte("1"), "b": []byte("3")}},
		},
		"container limits follow max, requests follow the limit or min": {
			in: &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type: corev1.LimitTypeContainer,
				Max:  corev1.ResourceList{"cpu": quantity("2")}, Min: corev1.ResourceList{"memory": quantity("1Mi"), "cpu": quantity("0.5m")},
			}}}},
			want: &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type: corev1.LimitTypeContainer,
				Max:  corev1.ResourceList{"cpu": quantity("2")}, Min: corev1.ResourceList{"memory": quantity("1Mi"), "cpu": quantity("1m")},
				Default:        corev1.ResourceList{"cpu": quantity("2")},
				DefaultRequest: corev1.ResourceList{"cpu": quantity("2"), "memory": quantity("1Mi")},
			}}}},
		},
		"pod limits have no defaults": {
			in:   &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypePod, Max: corev1.ResourceList{"cpu": quantity("2")}}}}},
			want: &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypePod, Max: corev1.ResourceList{"cpu": quantity("2")}}}}},
		},
		"the groups of a binding are filled in": {
			in: &rbacv1.ClusterRoleBinding{RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "a"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "u"}, {Kind: "ServiceAccount", Name: "s"}}},
			want: &rbacv1.ClusterRoleBinding{
				RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "a"},
				Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "u"}, {Kind: "ServiceAccount", Name: "s"}},
			},
		},
	}
	s := All.NewScheme()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for range 2 { // The second pass changes nothing.
				s.Scheme.Default(tt.in)
				if !apiequality.Semantic.DeepEqual(tt.want, tt.in) {
					t.Fatalf("(-want +got):\n%s", cmp.Diff(tt.want, tt.in))
				}
			}
		})
	}
}

func TestEventConversion_RoundTrip(t *testing.T) {
	t.Parallel()
	s := All.NewScheme()
	fill := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, fuzzFuncs), rand.NewSource(1), s.Codecs)
	for range 50 {
		in := &corev1.EventList{}
		fill.Fill(in)
		for i := range in.Items {
			in.Items[i].TypeMeta = metav1.TypeMeta{}
		}
		in.TypeMeta = metav1.TypeMeta{}
		served, err := s.Scheme.ConvertToVersion(in, eventsv1.SchemeGroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := served.(*eventsv1.EventList); !ok {
			t.Fatalf("converted to %T", served)
		}
		out, err := s.Scheme.ConvertToVersion(served, schema.GroupVersion{Group: eventsv1.GroupName, Version: runtime.APIVersionInternal})
		if err != nil {
			t.Fatal(err)
		}
		if !apiequality.Semantic.DeepEqual(in, out) {
			t.Fatalf("(-want +got):\n%s", cmp.Diff(in, out))
		}
	}
}

func TestFieldLabels(t *testing.T) {
	t.Parallel()
	s := All.NewScheme()
	tests := []struct {
		kind        schema.GroupVersionKind
		label, want string // want is empty where the label is refused
	}{
		{corev1.SchemeGroupVersion.WithKind("Namespace"), "status.phase", "status.phase"},
		{corev1.SchemeGroupVersion.WithKind("Namespace"), "metadata.namespace", ""},
		{corev1.SchemeGroupVersion.WithKind("Secret"), "type", "type"},
		{corev1.SchemeGroupVersion.WithKind("ConfigMap"), "metadata.name", "metadata.name"},
		{corev1.SchemeGroupVersion.WithKind("ConfigMap"), "data", ""},
		{corev1.SchemeGroupVersion.WithKind("Event"), "involvedObject.uid", "involvedObject.uid"},
		{corev1.SchemeGroupVersion.WithKind("Event"), "regarding.uid", ""},
		{eventsv1.SchemeGroupVersion.WithKind("Event"), "regarding.uid", "involvedObject.uid"},
		{eventsv1.SchemeGroupVersion.WithKind("Event"), "reportingController", "reportingComponent"},
	}
	for _, tt := range tests {
		got, value, err := s.Scheme.ConvertFieldLabel(tt.kind, tt.label, "v")
		if (err != nil) != (tt.want == "") || got != tt.want || (err == nil && value != "v") {
			t.Errorf("%s %s: got %q %q %v, want %q", tt.kind.Kind, tt.label, got, value, err, tt.want)
		}
	}
}
