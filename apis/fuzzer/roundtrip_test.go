package fuzzer

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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/randfill"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
)

// newScheme registers our groups the way the server does: the stored type of each kind is its internal type too.
func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	for _, add := range []func(*runtime.Scheme) error{
		tenancyv1alpha1.AddToScheme, tenancyv1alpha1.RegisterDefaults,
		corev1alpha1.AddToScheme, corev1alpha1.RegisterDefaults,
		topologyv1alpha1.AddToScheme, topologyv1alpha1.RegisterDefaults,
		apisv1alpha1.AddToScheme, apisv1alpha1.RegisterDefaults, apisv1alpha1.RegisterConversions,
		apisv1alpha2.AddToScheme, apisv1alpha2.RegisterDefaults,
		annexv1alpha1.AddToScheme, annexv1alpha1.RegisterDefaults,
	} {
		utilruntime.Must(add(scheme))
	}
	internal := func(group string, objects ...runtime.Object) {
		scheme.AddKnownTypes(schema.GroupVersion{Group: group, Version: runtime.APIVersionInternal}, objects...)
	}
	internal(tenancyv1alpha1.GroupName, &tenancyv1alpha1.Workspace{}, &tenancyv1alpha1.WorkspaceList{}, &tenancyv1alpha1.WorkspaceType{}, &tenancyv1alpha1.WorkspaceTypeList{})
	internal(corev1alpha1.GroupName, &corev1alpha1.LogicalCluster{}, &corev1alpha1.LogicalClusterList{}, &corev1alpha1.Shard{}, &corev1alpha1.ShardList{})
	internal(topologyv1alpha1.GroupName, &topologyv1alpha1.Partition{}, &topologyv1alpha1.PartitionList{}, &topologyv1alpha1.PartitionSet{}, &topologyv1alpha1.PartitionSetList{})
	internal(annexv1alpha1.GroupName, &annexv1alpha1.HostBinding{}, &annexv1alpha1.HostBindingList{})
	internal(apisv1alpha2.GroupName, &apisv1alpha1.APIResourceSchema{}, &apisv1alpha1.APIResourceSchemaList{}, &apisv1alpha1.APIExportEndpointSlice{}, &apisv1alpha1.APIExportEndpointSliceList{},
		&apisv1alpha2.APIExport{}, &apisv1alpha2.APIExportList{}, &apisv1alpha2.APIBinding{}, &apisv1alpha2.APIBindingList{})
	return scheme
}

func newFuzzer(scheme *runtime.Scheme, seed int64) *randfill.Filler {
	return fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, Funcs), rand.NewSource(seed), serializer.NewCodecFactory(scheme))
}

// TestRoundTrip encodes and decodes every kind in every version, JSON and YAML, through the internal type; for exports and
// bindings that includes the conversion from and to the older version.
func TestRoundTrip(t *testing.T) {
	scheme := newScheme(t)
	codecs := serializer.NewCodecFactory(scheme)
	for seed := range int64(3) {
		roundtrip.RoundTripTypesWithoutProtobuf(t, scheme, codecs, newFuzzer(scheme, seed), nil)
	}
}

const conversions = 500

func convertBothWays[A, B any](t *testing.T, kind string, there func(*A, *B) error, back func(*B, *A) error, copyOf func(*A) *A, annotations func(*A) map[string]string, between func(*B) map[string]string) {
	t.Helper()
	scheme := newScheme(t)
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
