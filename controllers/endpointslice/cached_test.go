package endpointslice

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func newCachedSlice(change ...func(*cachev1alpha1.ClusterCachedResourceEndpointSlice)) *cachev1alpha1.ClusterCachedResourceEndpointSlice {
	slice := clienttest.In(provider, &cachev1alpha1.ClusterCachedResourceEndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: key.Name},
		Spec: cachev1alpha1.ClusterCachedResourceEndpointSliceSpec{
			ClusterCachedResource: cachev1alpha1.ClusterCachedResourceReference{Name: "flavors"}, APIExport: cachev1alpha1.ExportBindingReference{Name: "things"},
		},
	})
	for _, c := range change {
		c(slice)
	}
	return slice
}

func newCached(in logicalcluster.Name, phase cachev1alpha1.ClusterCachedResourcePhaseType) *cachev1alpha1.ClusterCachedResource {
	return clienttest.In(in, &cachev1alpha1.ClusterCachedResource{ObjectMeta: metav1.ObjectMeta{Name: "flavors"}, Status: cachev1alpha1.ClusterCachedResourceStatus{Phase: phase}})
}

func runCached(t *testing.T, objects ...client.Object) *cachev1alpha1.ClusterCachedResourceEndpointSlice {
	t.Helper()
	fake := clienttest.NewFake(objects...)
	r := &cachedReconciler{reconciler{client: fake, resolver: resolver{"root:org:provider": provider, "root:other": "other"}}}
	for range 2 {
		if _, err := r.reconcile(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if len(fake.Writes()) > 1 || len(fake.Mutated()) > 0 {
		t.Errorf("writes: %v, changed in the cache: %v", fake.Writes(), fake.Mutated())
	}
	slice, err := client.Find[cachev1alpha1.ClusterCachedResourceEndpointSlice](t.Context(), fake, cachedSlices, key)
	if err != nil {
		t.Fatal(err)
	}
	return slice
}

func TestCached_Endpoints(t *testing.T) {
	const ready = cachev1alpha1.ClusterCachedResourcePhaseReady
	path := func(cached, export string) func(*cachev1alpha1.ClusterCachedResourceEndpointSlice) {
		return func(s *cachev1alpha1.ClusterCachedResourceEndpointSlice) {
			s.Spec.ClusterCachedResource.Path, s.Spec.APIExport.Path = cached, export
		}
	}
	for name, tc := range map[string]struct {
		objects []client.Object
		urls    []string
		reasons map[conditionsv1alpha1.ConditionType]string
	}{
		"complete": {objects: []client.Object{newCachedSlice(), newCached(provider, ready), newExport(), newBinding("a", "things")},
			urls: []string{"/services/replication/provider/slice"}},
		"with paths of its own": {objects: []client.Object{newCachedSlice(path("root:org:provider", "root:org:provider")), newCached(provider, ready), newExport(), newBinding("a", "things")},
			urls: []string{"/services/replication/provider/slice"}},
		"without a consumer": {objects: []client.Object{newCachedSlice(), newCached(provider, ready), newExport(), newBinding("a", "others")}},
		"not ready": {objects: []client.Object{newCachedSlice(), newCached(provider, cachev1alpha1.ClusterCachedResourcePhaseInitializing), newExport(), newBinding("a", "things")},
			reasons: map[conditionsv1alpha1.ConditionType]string{cachev1alpha1.ClusterCachedResourceValid: cachev1alpha1.ClusterCachedResourceNotReadyReason}},
		"nothing there": {objects: []client.Object{newCachedSlice(), newBinding("a", "things")}, reasons: map[conditionsv1alpha1.ConditionType]string{
			cachev1alpha1.ClusterCachedResourceValid: cachev1alpha1.ClusterCachedResourceNotFoundReason, cachev1alpha1.APIExportValid: cachev1alpha1.APIExportNotFoundReason,
		}},
		"of another workspace": {objects: []client.Object{newCachedSlice(path("root:other", "root:other")), newCached("other", ready), newCached(provider, ready), newExport(), newBinding("a", "things")},
			reasons: map[conditionsv1alpha1.ConditionType]string{
				cachev1alpha1.ClusterCachedResourceValid: cachev1alpha1.ClusterCachedResourceNotFoundReason, cachev1alpha1.APIExportValid: cachev1alpha1.APIExportNotFoundReason,
			}},
		"in a partition that does not exist": {objects: []client.Object{newCachedSlice(func(s *cachev1alpha1.ClusterCachedResourceEndpointSlice) { s.Spec.Partition = "p" }),
			newCached(provider, ready), newExport(), newBinding("a", "things")},
			reasons: map[conditionsv1alpha1.ConditionType]string{cachev1alpha1.PartitionValid: "PartitionInvalidReference"}},
	} {
		t.Run(name, func(t *testing.T) {
			slice := runCached(t, tc.objects...)
			var urls []string
			for _, e := range slice.Status.Endpoints {
				urls = append(urls, e.URL)
			}
			if diff := cmp.Diff(tc.urls, urls); diff != "" {
				t.Error(diff)
			}
			for _, condition := range []conditionsv1alpha1.ConditionType{cachev1alpha1.ClusterCachedResourceValid, cachev1alpha1.APIExportValid, cachev1alpha1.PartitionValid} {
				if got := conditionsv1alpha1.GetReason(slice, condition); got != tc.reasons[condition] || conditionsv1alpha1.IsTrue(slice, condition) != (got == "") {
					t.Errorf("%s: reason %q, want %q", condition, got, tc.reasons[condition])
				}
			}
		})
	}
}

func TestCached_Keys(t *testing.T) {
	full := newCachedSlice(func(s *cachev1alpha1.ClusterCachedResourceEndpointSlice) {
		s.Status.Endpoints = []cachev1alpha1.ClusterCachedResourceEndpoint{{URL: "/services"}}
	})
	for name, tc := range map[string]struct {
		slice *cachev1alpha1.ClusterCachedResourceEndpointSlice
		event client.Event
		want  []client.Key
	}{
		"the first consumer":              {newCachedSlice(), client.Event{Type: client.Added, Object: newBinding("a", "things")}, []client.Key{key}},
		"one more consumer":               {full, client.Event{Type: client.Added, Object: newBinding("b", "things")}, nil},
		"perhaps the last consumer":       {full, client.Event{Type: client.Deleted, Object: newBinding("b", "things")}, []client.Key{key}},
		"a consumer of another export":    {newCachedSlice(), client.Event{Type: client.Added, Object: newBinding("a", "others")}, nil},
		"a consumer without an export":    {newCachedSlice(), client.Event{Type: client.Added, Object: &apisv1alpha2.APIBinding{}}, nil},
		"something that is not a binding": {newCachedSlice(), client.Event{Type: client.Added, Object: newExport()}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := &cachedReconciler{reconciler{client: clienttest.NewFake(tc.slice)}}
			if diff := cmp.Diff(tc.want, clienttest.Keys(t)(r.forConsumer(t.Context(), tc.event))); diff != "" {
				t.Error(diff)
			}
		})
	}
	r := &cachedReconciler{reconciler{client: clienttest.NewFake(newCachedSlice())}}
	for _, watch := range r.spec().Watches {
		if watch.Resource != cachedResources && watch.Resource != exports {
			continue
		}
		obj := client.Object(newExport())
		if watch.Resource == cachedResources {
			obj = newCached(provider, "")
		}
		if diff := cmp.Diff([]client.Key{key}, clienttest.Keys(t)(watch.Keys(t.Context(), client.Event{Type: client.Modified, Object: obj}))); diff != "" {
			t.Error(watch.Resource, diff)
		}
	}
}
