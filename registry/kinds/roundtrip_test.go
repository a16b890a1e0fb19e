package kinds

import (
	"math/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/randfill"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	ourfuzzer "github.com/annex-dev/annex/apis/fuzzer"
)

// newScheme knows our groups alone.
func newScheme() *runtime.Scheme { return NewTable(ourGroups()...).NewScheme().Scheme }

func newFuzzer(scheme *runtime.Scheme, seed int64) *randfill.Filler {
	return fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, ourfuzzer.Funcs(scheme)), rand.NewSource(seed), serializer.NewCodecFactory(scheme))
}

// TestRoundTrip encodes and decodes every kind in every version, JSON and YAML, through the internal type; for exports and
// bindings that includes the conversion from and to the older version.
func TestRoundTrip(t *testing.T) {
	scheme := newScheme()
	codecs := serializer.NewCodecFactory(scheme)
	for seed := range int64(3) {
		roundtrip.RoundTripTypesWithoutProtobuf(t, scheme, codecs, newFuzzer(scheme, seed), nil)
	}
}

const conversions = 500

func convertBothWays[A, B any](t *testing.T, kind string, there func(*A, *B) error, back func(*B, *A) error, copyOf func(*A) *A, annotations func(*A) map[string]string, between func(*B) map[string]string) {
	t.Helper()
	scheme := newScheme()
	f := newFuzzer(scheme, 1).NumElements(0, 4).NilChance(.2) // longer lists than a round trip needs: order matters here
	lossy := 0
	for i := range conversions {
		in := new(A)
		f.Fill(in)
		before := copyOf(in)
		mid, out := new(B), new(A)
		if err := there(in, mid); err != nil {
			t.Fatalf("%s %d: there: %v", kind, i, err)
		}
		if !apiequality.Semantic.DeepEqual(in, before) {
			t.Fatalf("%s %d: the conversion changed its source:\n%s", kind, i, cmp.Diff(before, in))
		}
		if len(between(mid)) > len(annotations(in)) {
			lossy++
		}
		if err := back(mid, out); err != nil {
			t.Fatalf("%s %d: back: %v", kind, i, err)
		}
		if !apiequality.Semantic.DeepEqual(before, out) {
			t.Fatalf("%s %d: not the same after conversion there and back:\n%s", kind, i, cmp.Diff(before, out))
		}
	}
	if lossy == 0 {
		t.Errorf("%s: nothing was kept in annotations in %d conversions; the test tests nothing", kind, conversions)
	}
}

func TestConversion_IsLossless(t *testing.T) {
	convertBothWays(t, "v1alpha1 APIExport",
		func(a *apisv1alpha1.APIExport, b *apisv1alpha2.APIExport) error {
			return apisv1alpha1.Convert_v1alpha1_APIExport_To_v1alpha2_APIExport(a, b, nil)
		},
		func(b *apisv1alpha2.APIExport, a *apisv1alpha1.APIExport) error {
			return apisv1alpha1.Convert_v1alpha2_APIExport_To_v1alpha1_APIExport(b, a, nil)
		},
		(*apisv1alpha1.APIExport).DeepCopy, annotationsOf[*apisv1alpha1.APIExport], annotationsOf[*apisv1alpha2.APIExport])
	convertBothWays(t, "v1alpha2 APIExport",
		func(a *apisv1alpha2.APIExport, b *apisv1alpha1.APIExport) error {
			return apisv1alpha1.Convert_v1alpha2_APIExport_To_v1alpha1_APIExport(a, b, nil)
		},
		func(b *apisv1alpha1.APIExport, a *apisv1alpha2.APIExport) error {
			return apisv1alpha1.Convert_v1alpha1_APIExport_To_v1alpha2_APIExport(b, a, nil)
		},
		(*apisv1alpha2.APIExport).DeepCopy, annotationsOf[*apisv1alpha2.APIExport], annotationsOf[*apisv1alpha1.APIExport])
	convertBothWays(t, "v1alpha1 APIBinding",
		func(a *apisv1alpha1.APIBinding, b *apisv1alpha2.APIBinding) error {
			return apisv1alpha1.Convert_v1alpha1_APIBinding_To_v1alpha2_APIBinding(a, b, nil)
		},
		func(b *apisv1alpha2.APIBinding, a *apisv1alpha1.APIBinding) error {
			return apisv1alpha1.Convert_v1alpha2_APIBinding_To_v1alpha1_APIBinding(b, a, nil)
		},
		(*apisv1alpha1.APIBinding).DeepCopy, annotationsOf[*apisv1alpha1.APIBinding], annotationsOf[*apisv1alpha2.APIBinding])
	convertBothWays(t, "v1alpha2 APIBinding",
		func(a *apisv1alpha2.APIBinding, b *apisv1alpha1.APIBinding) error {
			return apisv1alpha1.Convert_v1alpha2_APIBinding_To_v1alpha1_APIBinding(a, b, nil)
		},
		func(b *apisv1alpha1.APIBinding, a *apisv1alpha2.APIBinding) error {
			return apisv1alpha1.Convert_v1alpha1_APIBinding_To_v1alpha2_APIBinding(b, a, nil)
		},
		(*apisv1alpha2.APIBinding).DeepCopy, annotationsOf[*apisv1alpha2.APIBinding], annotationsOf[*apisv1alpha1.APIBinding])
}

// annotationsOf returns the annotations that the conversion has put on an object.
func annotationsOf[T metav1.Object](obj T) map[string]string {
	kept := map[string]string{}
	for k, v := range obj.GetAnnotations() {
		if strings.HasPrefix(k, "apis.v1alpha2.kcp.io/") {
			kept[k] = v
		}
	}
	return kept
}
