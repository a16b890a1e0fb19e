package definitions

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
)

const limit = 64 << 20

// newCodecs returns a Codec, and the stock one in it.
func newCodecs(t *testing.T) (ours Codec, stock runtime.Codec) {
	t.Helper()
	scheme := runtime.NewScheme()
	install.Install(scheme)
	factory := serializer.NewCodecFactory(scheme)
	wire := protobuf.NewSerializer(scheme, scheme)
	stock = factory.CodecForVersions(wire, wire, apiextensionsv1.SchemeGroupVersion, apiextensions.SchemeGroupVersion)
	return Codec{Codec: stock, Specs: NewSpecs(limit)}, stock
}

// newDefinition returns a definition with a schema of so many properties, for all versions or for each.
func newDefinition(name string, properties, versions int, alike bool) *apiextensions.CustomResourceDefinition {
	crd := &apiextensions.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: name + ".example", UID: "uid", Labels: map[string]string{"a": "b"}},
		Spec: apiextensions.CustomResourceDefinitionSpec{
			Group: "example", Version: "v0", Scope: apiextensions.ClusterScoped,
			Names:      apiextensions.CustomResourceDefinitionNames{Plural: name, Singular: "s", Kind: "K", ListKind: "KList", ShortNames: []string{"k"}},
			Conversion: &apiextensions.CustomResourceConversion{Strategy: apiextensions.NoneConverter},
		},
		Status: apiextensions.CustomResourceDefinitionStatus{StoredVersions: []string{"v0"}},
	}
	for v := range versions {
		one := apiextensions.JSONSchemaProps{Type: "object", Properties: map[string]apiextensions.JSONSchemaProps{}}
		for i := range properties {
			one.Properties[fmt.Sprintf("property%d", i)] = apiextensions.JSONSchemaProps{Type: "string", Description: "a property"}
		}
		version := apiextensions.CustomResourceDefinitionVersion{Name: fmt.Sprintf("v%d", v), Served: true, Storage: v == 0}
		validation := &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &one}
		if alike {
			crd.Spec.Validation = validation
		} else {
			one.Description = version.Name
			version.Schema = validation
		}
		crd.Spec.Versions = append(crd.Spec.Versions, version)
	}
	return crd
}

func encode(t *testing.T, codec runtime.Codec, obj runtime.Object) []byte {
	t.Helper()
	var data bytes.Buffer
	if err := codec.Encode(obj, &data); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

func decode(t *testing.T, codec runtime.Codec, data []byte) *apiextensions.CustomResourceDefinition {
	t.Helper()
	into := &apiextensions.CustomResourceDefinition{}
	obj, _, err := codec.Decode(data, nil, into)
	if err != nil {
		t.Fatal(err)
	}
	if obj != runtime.Object(into) {
		t.Fatal("it was decoded into another object")
	}
	return into
}

func TestCodec_AsTheStockOne(t *testing.T) {
	bare := newDefinition("a", 1000, 1, true)
	bare.Status = apiextensions.CustomResourceDefinitionStatus{}
	for name, crd := range map[string]*apiextensions.CustomResourceDefinition{
		"small":                   newDefinition("small", 3, 1, true),
		"large":                   newDefinition("large", 1000, 1, true),
		"several versions, alike": newDefinition("alike", 1000, 3, true),
		"several versions":        newDefinition("several", 500, 2, false),
		"without stored versions": bare,
		"very large":              newDefinition(strings.Repeat("n", 40), 20000, 1, true),
	} {
		t.Run(name, func(t *testing.T) {
			ours, stock := newCodecs(t)
			data := encode(t, stock, crd)
			want := decode(t, stock, data)
			for turn := range 3 { // the later ones know the spec
				got := decode(t, ours, data)
				if !apiequality.Semantic.DeepEqual(got, want) {
					t.Fatalf("turn %d: got another object", turn)
				}
				if again := encode(t, ours, got); !bytes.Equal(again, encode(t, stock, want)) {
					t.Fatalf("turn %d: encoded differently", turn)
				}
				// What storage changes.
				got.Status.Conditions = append(got.Status.Conditions, apiextensions.CustomResourceDefinitionCondition{Type: apiextensions.Established})
				got.Labels["c"] = "d"
				got.Spec.Versions[0].Deprecated = true
				if again := encode(t, ours, got); !bytes.Equal(again, encode(t, stock, got)) {
					t.Fatalf("turn %d: a changed one is encoded differently", turn)
				}
			}
		})
	}
}

func TestCodec_SharesLargeSpecs(t *testing.T) {
	ours, stock := newCodecs(t)
	one := newDefinition("same", 1000, 1, true)
	data := encode(t, stock, one)
	one.UID, one.Status.Conditions = "another", []apiextensions.CustomResourceDefinitionCondition{{Type: apiextensions.Established}}
	other := encode(t, stock, one)
	x, y := decode(t, ours, data), decode(t, ours, other)
	if x.Spec.Validation != y.Spec.Validation {
		t.Error("two definitions with the same spec do not share it")
	}
	if &x.Spec.Versions[0] == &y.Spec.Versions[0] {
		t.Error("they share what tells them apart")
	}
	if x.UID == y.UID || len(y.Status.Conditions) != 1 {
		t.Error("they share more than the spec")
	}
	copied := ours.Copy(x).(*apiextensions.CustomResourceDefinition)
	copied.Labels["changed"], copied.Status.StoredVersions[0], copied.Spec.Versions[0].Served = "", "v9", false
	if _, ok := x.Labels["changed"]; ok || x.Status.StoredVersions[0] != "v0" || !x.Spec.Versions[0].Served {
		t.Error("a change of a copy changes the original")
	}
	small := encode(t, stock, newDefinition("small", 3, 1, true))
	if one, other := decode(t, ours, small), decode(t, ours, small); one.Spec.Validation == other.Spec.Validation {
		t.Error("small specs are shared")
	}
}

func TestSpecs_AreBounded(t *testing.T) {
	ours, stock := newCodecs(t)
	for i := range 100 {
		crd := decode(t, ours, encode(t, stock, newDefinition(fmt.Sprintf("n%d", i), 2000, 1, true)))
		if got, most := ours.Specs.Bytes(); got > most || got == 0 {
			t.Fatalf("%d of %d bytes", got, most)
		}
		if ours.Specs.bytes(&crd.Spec) == nil {
			t.Fatal("the last one is not remembered")
		}
	}
	bytes, _ := ours.Specs.Bytes()
	if n := len(ours.Specs.of); n == 0 || int64(n) > bytes/(2000*nodeBytes) {
		t.Errorf("%d are found by their schema", n)
	}
	ours.Specs.DropIdle()
	ours.Specs.DropIdle()
	if got, _ := ours.Specs.Bytes(); got != 0 || len(ours.Specs.of) != 0 {
		t.Errorf("%d bytes remain of what nobody uses, %d are found by their schema", got, len(ours.Specs.of))
	}
}

func TestCodec_RefusesWhatTheStockOneDoes(t *testing.T) {
	ours, stock := newCodecs(t)
	data := encode(t, stock, newDefinition("large", 1000, 1, true))
	decode(t, ours, data)
	for name, wrong := range map[string][]byte{
		"cut":     data[:len(data)-20],
		"nothing": {},
		"other":   append([]byte("k8s\x00"), bytes.Repeat([]byte{0xff}, 100)...),
		"no spec": append([]byte("k8s\x00"), 0x12, 0x00),
	} {
		_, _, wantErr := stock.Decode(wrong, nil, &apiextensions.CustomResourceDefinition{})
		_, _, err := ours.Decode(wrong, nil, &apiextensions.CustomResourceDefinition{})
		if (err == nil) != (wantErr == nil) {
			t.Errorf("%s: %v, want %v", name, err, wantErr)
		}
	}
}
