package endpointslice

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

const provider = logicalcluster.Name("provider")

var key = client.Key{Cluster: provider, Name: "slice"}

type resolver map[logicalcluster.Path]logicalcluster.Name

func (r resolver) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	name, ok := r[path]
	return name, ok, nil
}

type fixture struct {
	t *testing.T
	*reconciler
	fake *clienttest.Fake
}

func newFixture(t *testing.T, objects ...client.Object) *fixture {
	fake := clienttest.NewFake(objects...)
	return &fixture{t: t, fake: fake, reconciler: &reconciler{client: fake, resolver: resolver{"root:org:provider": provider, "provider": provider}}}
}

func (f *fixture) run() *apisv1alpha1.APIExportEndpointSlice {
	f.t.Helper()
	for range 3 {
		before := len(f.fake.Writes())
		if _, err := f.reconcile(f.t.Context(), key); err != nil {
			f.t.Fatal(err)
		}
		if len(f.fake.Writes()) > before {
			continue
		}
		if keys := f.fake.Mutated(); len(keys) > 0 {
			f.t.Errorf("objects of the watch cache were changed: %v", keys)
		}
		slice, err := client.Find[apisv1alpha1.APIExportEndpointSlice](f.t.Context(), f.fake, slices, key)
		if err != nil {
			f.t.Fatal(err)
		}
		return slice
	}
	f.t.Fatalf("reconciling does not settle: %v", f.fake.Writes())
	return nil
}

func (f *fixture) bind(cluster logicalcluster.Name) []client.Key {
	f.t.Helper()
	binding := newBinding(cluster, "things")
	if _, err := f.fake.Create(f.t.Context(), bindings, cluster, binding); err != nil {
		f.t.Fatal(err)
	}
	return clienttest.Keys(f.t)(f.forBinding(f.t.Context(), client.Event{Type: client.Added, Object: binding}))
}

func (f *fixture) unbind(cluster logicalcluster.Name) []client.Key {
	f.t.Helper()
	binding := newBinding(cluster, "things")
	if err := f.fake.Delete(f.t.Context(), bindings, client.KeyOf(binding), nil); err != nil {
		f.t.Fatal(err)
	}
	return clienttest.Keys(f.t)(f.forBinding(f.t.Context(), client.Event{Type: client.Deleted, Object: binding}))
}

func newBinding(cluster logicalcluster.Name, export string) *apisv1alpha2.APIBinding {
	return clienttest.In(cluster, &apisv1alpha2.APIBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "b", Labels: map[string]string{
			apisv1alpha2.InternalAPIBindingExportLabelKey: identity.ExportLabelValue(provider, export),
		}},
		Spec: apisv1alpha2.APIBindingSpec{Reference: apisv1alpha2.BindingReference{
			Export: &apisv1alpha2.ExportBindingReference{Path: "root:org:provider", Name: export},
		}},
		Status: apisv1alpha2.APIBindingStatus{APIExportClusterName: string(provider)},
	})
}

func newSlice(path, partition string) *apisv1alpha1.APIExportEndpointSlice {
	return clienttest.In(provider, &apisv1alpha1.APIExportEndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: key.Name},
		Spec: apisv1alpha1.APIExportEndpointSliceSpec{
			APIExport: apisv1alpha1.ExportBindingReference{Path: path, Name: "things"}, Partition: partition,
		},
	})
}

func newExport() *apisv1alpha2.APIExport {
	return clienttest.In(provider, &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "things"}})
}

func urls(slice *apisv1alpha1.APIExportEndpointSlice) []string {
	var all []string
	for _, endpoint := range slice.Status.APIExportEndpoints {
		all = append(all, endpoint.URL)
	}
	return all
}

var filled = []string{"/services/apiexport/provider/things"}

func TestReconcile_EndpointComesAndGoesWithConsumers(t *testing.T) {
	f := newFixture(t, newExport(), newSlice("", ""))
	slice := f.run()
	if len(urls(slice)) > 0 || !conditionsv1alpha1.IsTrue(slice, apisv1alpha1.APIExportValid) || !conditionsv1alpha1.IsTrue(slice, apisv1alpha1.PartitionValid) {
		t.Errorf("status of a fresh slice: %+v", slice.Status)
	}
	if diff := cmp.Diff([]client.Key{key}, f.bind("a")); diff != "" {
		t.Error("the slice is not told of the first consumer:", diff)
	}
	if diff := cmp.Diff(filled, urls(f.run())); diff != "" {
		t.Error(diff)
	}
	if keys := f.bind("b"); len(keys) > 0 {
		t.Errorf("the slice is told of one more consumer: %v", keys)
	}
	f.unbind("a")
	if diff := cmp.Diff(filled, urls(f.run())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]client.Key{key}, f.unbind("b")); diff != "" {
		t.Error("the slice is not told that the last consumer is gone:", diff)
	}
	if got := urls(f.run()); len(got) > 0 {
		t.Errorf("endpoints without consumers: %v", got)
	}
}

func TestReconcile_ConsumersOfOthersDoNotCount(t *testing.T) {
	other := newBinding("a", "other")
	waiting := newBinding("b", "things")
	waiting.Status.APIExportClusterName = ""
	elsewhere := newBinding("c", "things")
	elsewhere.Status.APIExportClusterName = "elsewhere"
	f := newFixture(t, newExport(), newSlice("root:org:provider", ""), other, waiting, elsewhere)
	f.run()
	for _, binding := range []*apisv1alpha2.APIBinding{other, waiting, elsewhere} {
		clienttest.Keys(t)(f.forBinding(t.Context(), client.Event{Type: client.Added, Object: binding}))
	}
	if got := urls(f.run()); len(got) > 0 {
		t.Errorf("endpoints = %v", got)
	}
}

func TestReconcile_EndpointStaysWhileTheIndexIsFilled(t *testing.T) {
	slice := newSlice("", "")
	slice.Status.APIExportEndpoints = []apisv1alpha1.APIExportEndpoint{{URL: filled[0]}}
	f := newFixture(t, newExport(), slice, newBinding("a", "things"))
	if diff := cmp.Diff(filled, urls(f.run())); diff != "" {
		t.Error(diff)
	}
}

func TestReconcile_Export(t *testing.T) {
	f := newFixture(t, newSlice("root:org:provider", ""), newBinding("a", "things"))
	slice := f.run()
	if conditionsv1alpha1.GetReason(slice, apisv1alpha1.APIExportValid) != apisv1alpha1.APIExportNotFoundReason || len(urls(slice)) > 0 {
		t.Errorf("status: %+v", slice.Status)
	}
	clienttest.Keys(t)(f.forBinding(t.Context(), client.Event{Type: client.Added, Object: newBinding("a", "things")}))
	export := newExport()
	if _, err := f.fake.Create(t.Context(), exports, provider, export); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]client.Key{key}, clienttest.Keys(t)(f.forExport(t.Context(), client.Event{Type: client.Added, Object: export}))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(filled, urls(f.run())); diff != "" {
		t.Error(diff)
	}
	if err := f.fake.Delete(t.Context(), exports, client.KeyOf(export), nil); err != nil {
		t.Fatal(err)
	}
	if got := urls(f.run()); len(got) > 0 {
		t.Errorf("endpoints of an export that is gone: %v", got)
	}

	// A workspace that takes the place of the first.
	if diff := cmp.Diff([]client.Key{key}, clienttest.Keys(t)(f.forExport(t.Context(), client.Event{Type: client.Added, Object: clienttest.In("next", newExport())}))); diff != "" {
		t.Error(diff)
	}

	// A workspace that comes up later.
	f = newFixture(t, newSlice("root:later", ""))
	f.run()
	if diff := cmp.Diff([]client.Key{key}, clienttest.Keys(t)(f.forExport(t.Context(), client.Event{Type: client.Added, Object: newExport()}))); diff != "" {
		t.Error(diff)
	}
}

func TestReconcile_Partition(t *testing.T) {
	shard := clienttest.In(logicalcluster.Root, &corev1alpha1.Shard{ObjectMeta: metav1.ObjectMeta{Name: "root", Labels: map[string]string{"region": "north"}}})
	partition := func(selector *metav1.LabelSelector) *topologyv1alpha1.Partition {
		return clienttest.In(provider, &topologyv1alpha1.Partition{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: topologyv1alpha1.PartitionSpec{Selector: selector}})
	}
	region := func(name string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"region": name}}
	}
	for name, tc := range map[string]struct {
		partition *topologyv1alpha1.Partition
		valid     bool
		selector  string
		want      []string
	}{
		"with the shard":    {partition(region("north")), true, "region=north", filled},
		"without the shard": {partition(region("south")), true, "region=south", nil},
		"of all shards":     {partition(nil), true, "", filled},
		"missing":           {nil, false, "", nil},
		"malformed":         {partition(&metav1.LabelSelector{MatchLabels: map[string]string{"-": "-"}}), false, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{newExport(), newSlice("", "p"), shard, newBinding("a", "things")}
			if tc.partition != nil {
				objects = append(objects, tc.partition)
			}
			f := newFixture(t, objects...)
			clienttest.Keys(t)(f.forBinding(t.Context(), client.Event{Type: client.Added, Object: newBinding("a", "things")}))
			slice := f.run()
			if diff := cmp.Diff(tc.want, urls(slice)); diff != "" {
				t.Error(diff)
			}
			if valid := conditionsv1alpha1.IsTrue(slice, apisv1alpha1.PartitionValid); valid != tc.valid || slice.Status.ShardSelector != tc.selector {
				t.Errorf("status: %+v", slice.Status)
			}
			for _, keys := range [][]client.Key{
				clienttest.Keys(t)(f.forPartition(t.Context(), client.Event{Type: client.Modified, Object: partition(nil)})),
				clienttest.Keys(t)(f.forShard(t.Context(), client.Event{Type: client.Modified, Object: shard})),
			} {
				if diff := cmp.Diff([]client.Key{key}, keys); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}
