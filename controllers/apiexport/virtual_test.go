package apiexport

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// sliceContent has one object that can list endpoints, if anything serves its kind.
type sliceContent struct {
	client.Content
	kind  *client.Kind
	slice *unstructured.Unstructured
}

func (s *sliceContent) KindOf(_ context.Context, _ logicalcluster.Name, gvk schema.GroupVersionKind) (*client.Kind, error) {
	if gvk != (schema.GroupVersionKind{Group: "example.net", Kind: "Slice"}) {
		return nil, nil
	}
	return s.kind, nil
}

func (s *sliceContent) Find(_ context.Context, kind client.Kind, key client.Key, _ bool) (*client.Head, error) {
	if s.slice == nil || key != (client.Key{Cluster: cluster, Name: "s"}) {
		return nil, nil
	}
	return &client.Head{Resource: kind.Resource, Bucket: kind.Bucket, Cluster: key.Cluster, Name: key.Name}, nil
}

func (s *sliceContent) Get(context.Context, client.Head) (client.Object, error) { return s.slice, nil }

func leadsTo(urls ...any) *unstructured.Unstructured {
	var endpoints []any
	for _, url := range urls {
		endpoints = append(endpoints, map[string]any{"url": url})
	}
	return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "s"}, "status": map[string]any{"endpoints": endpoints}}}
}

// The condition says why consumers get 503, follows the slice, and goes with the storage that it is about.
func TestReconcile_EndpointsOfVirtualStorage(t *testing.T) {
	group, cached := "example.net", "cache.kcp.io"
	custom := &client.Kind{Resource: schema.GroupResource{Group: group, Resource: "slices"}, Bucket: client.LocalBucket}
	refersTo := func(group *string, kind string) func(*apisv1alpha2.APIExport) {
		return func(export *apisv1alpha2.APIExport) {
			export.Spec.Resources = []apisv1alpha2.ResourceSchema{{Name: "gadgets", Group: "example.net", Schema: "v1.gadgets.example.net", Storage: apisv1alpha2.ResourceSchemaStorage{
				Virtual: &apisv1alpha2.ResourceSchemaStorageVirtual{Reference: corev1.TypedLocalObjectReference{APIGroup: group, Kind: kind, Name: "s"}},
			}}}
		}
	}
	fake := clienttest.NewFake(newExport(refersTo(&group, "Slice")), clienttest.In("root", &corev1alpha1.Shard{ObjectMeta: metav1.ObjectMeta{Name: "root"}}))
	content := &sliceContent{}
	r := &reconciler{client: fake, content: content, forwards: true, targets: multicluster.NewTargets()}
	change := func(change func(*apisv1alpha2.APIExport)) func() {
		return func() {
			export, err := client.Find[apisv1alpha2.APIExport](t.Context(), fake, exports, key)
			if err != nil {
				t.Fatal(err)
			}
			export = export.DeepCopy()
			change(export)
			if _, err := fake.Update(t.Context(), exports, cluster, export); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, step := range []struct {
		name string
		do   func()
		// reason is "" for True, and "none" for no condition.
		reason string
	}{
		{"nothing serves the kind", func() {}, apisv1alpha2.EndpointNotFoundReason},
		{"the server itself has it", func() { content.kind = &client.Kind{Resource: custom.Resource} }, apisv1alpha2.EndpointNotFoundReason},
		{"it is in namespaces", func() { content.kind = &client.Kind{Resource: custom.Resource, Bucket: "crd", Namespaced: true} }, apisv1alpha2.EndpointNotFoundReason},
		{"it does not exist", func() { content.kind = custom }, apisv1alpha2.EndpointNotFoundReason},
		{"it has no endpoint", func() { content.slice = leadsTo() }, apisv1alpha2.EndpointNotFoundReason},
		{"it has one", func() { content.slice = leadsTo("https://example.com") }, ""},
		{"it has two", func() { content.slice = leadsTo("https://example.com", "https://example.org") }, apisv1alpha2.EndpointNotFoundReason},
		{"it has one again", func() { content.slice = leadsTo("https://example.com") }, ""},
		{"another kind", change(refersTo(&group, "Other")), apisv1alpha2.EndpointNotFoundReason},
		{"this kind again", change(refersTo(&group, "Slice")), ""},
		{"not enabled", func() { r.forwards = false }, apisv1alpha2.VirtualStorageNotEnabledReason},
		{"a ClusterCachedResource", change(refersTo(&cached, "ClusterCachedResourceEndpointSlice")), "none"},
	} {
		step.do()
		var again time.Duration
		for range 3 {
			result, err := r.reconcile(t.Context(), key)
			if err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			again = result.RequeueAfter
		}
		export, err := client.Find[apisv1alpha2.APIExport](t.Context(), fake, exports, key)
		if err != nil {
			t.Fatal(err)
		}
		got := "none"
		if c := conditionsv1alpha1.Get(export, apisv1alpha2.VirtualStorageReady); c != nil {
			got = c.Reason
		}
		if got != step.reason {
			t.Errorf("%s: %s %s, want %s", step.name, got, conditionsv1alpha1.GetMessage(export, apisv1alpha2.VirtualStorageReady), step.reason)
		}
		if (again > 0) != (step.reason == apisv1alpha2.EndpointNotFoundReason) {
			t.Errorf("%s: looked at again after %s", step.name, again)
		}
	}
	if !r.targets.Empty() {
		t.Error("something is still followed")
	}
}
