package content

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

func TestContent_FindsHeadsByKind(t *testing.T) {
	elsewhere := binding("c4", "uid-v2", "hash")
	elsewhere.Status.BoundResources[0].Virtual = &corev1.TypedLocalObjectReference{Kind: "A", Name: "a"}
	h := newHouse(t, definition("c1", widgets.String()), definition(logicalcluster.SystemBoundCRDs, "uid-v2"), binding("c2", "uid-v2", "hash"), elsewhere)
	h.put("crd/c1/default", "a")
	h.put("hash/c2/default", "a")
	widget := widgets.WithVersion("v1").GroupVersion().WithKind("Widget")
	for name, test := range map[string]struct {
		cluster logicalcluster.Name
		gvk     apischema.GroupVersionKind
		want    *client.Kind
	}{
		"a definition":                  {"c1", widget, &client.Kind{Resource: widgets, Bucket: client.LocalBucket, Namespaced: true}},
		"a bound API":                   {"c2", widget, &client.Kind{Resource: widgets, Bucket: "hash", Namespaced: true}},
		"neither":                       {"c3", widget, nil},
		"with virtual storage":          {"c4", widget, nil},
		"another version":               {"c1", apischema.GroupVersionKind{Group: widgets.Group, Version: "v2", Kind: "Widget"}, nil},
		"a built-in":                    {"c3", apischema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, &client.Kind{Resource: apischema.GroupResource{Resource: "configmaps"}, Namespaced: true}},
		"under another name":            {"c3", apischema.GroupVersionKind{Group: "events.k8s.io", Version: "v1", Kind: "Event"}, &client.Kind{Resource: apischema.GroupResource{Resource: "events"}, Namespaced: true}},
		"a built-in of no such version": {"c3", apischema.GroupVersionKind{Version: "v2", Kind: "ConfigMap"}, nil},
		"typed but not bound":           {"c3", apischema.GroupVersionKind{Group: "tenancy.kcp.io", Version: "v1alpha1", Kind: "Workspace"}, nil},
		"not stored":                    {"c3", apischema.GroupVersionKind{Group: "authentication.k8s.io", Version: "v1", Kind: "TokenReview"}, nil},
	} {
		got, err := h.KindOf(t.Context(), test.cluster, test.gvk)
		if err != nil || (got == nil) != (test.want == nil) || (got != nil && *got != *test.want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, test.want)
		}
	}
	local := client.Kind{Resource: widgets, Bucket: client.LocalBucket, Namespaced: true}
	for name, test := range map[string]struct {
		kind client.Kind
		key  client.Key
		want bool
	}{
		"an object":                      {local, client.Key{Cluster: "c1", Namespace: "default", Name: "a"}, true},
		"of another bucket":              {local, client.Key{Cluster: "c2", Namespace: "default", Name: "a"}, false},
		"of another namespace":           {local, client.Key{Cluster: "c1", Namespace: "other", Name: "a"}, false},
		"a name that is part of the key": {local, client.Key{Cluster: "c1", Name: "default/a"}, false},
		"a name that leads elsewhere":    {local, client.Key{Cluster: "c1", Namespace: "other", Name: "../default/a"}, false},
		"no name":                        {local, client.Key{Cluster: "c1", Namespace: "default"}, false},
	} {
		got, err := h.Find(t.Context(), test.kind, test.key, true)
		if err != nil || (got != nil) != test.want || (got != nil && got.UID != "uid-a") {
			t.Errorf("%s: found %+v, %v", name, got, err)
		}
	}
}

func TestContent_ChangesAndDeletesCustomResources(t *testing.T) {
	h := newHouse(t, definition("c1", widgets.String()))
	h.put("crd/c1/default", "a", "example.com/hold")
	kind, key := client.Kind{Resource: widgets, Bucket: client.LocalBucket}, client.Key{Cluster: "c1", Namespace: "default", Name: "a"}
	find := func() client.Head {
		t.Helper()
		found, err := h.Find(t.Context(), kind, key, true)
		if err != nil || found == nil {
			t.Fatalf("found %v, %v", found, err)
		}
		return *found
	}
	label := func(obj client.Object) { obj.SetLabels(map[string]string{"changed": "yes"}) }
	another := find()
	another.UID = "uid-of-another"
	if err := h.Update(t.Context(), another, label); !apierrors.IsNotFound(err) {
		t.Errorf("changing another object of that name: %v", err)
	}
	if err := h.Update(t.Context(), find(), label); err != nil {
		t.Fatal(err)
	}
	first := find()
	if first.Labels["changed"] != "yes" {
		t.Errorf("labels are %v", first.Labels)
	}
	policy, old := metav1.DeletePropagationForeground, "1"
	if err := h.Delete(t.Context(), first, &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &old}}); !apierrors.IsConflict(err) {
		t.Errorf("deleting an older state: %v", err)
	}
	if err := h.Delete(t.Context(), first, &metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
		t.Fatal(err)
	}
	if deleting := find(); deleting.DeletionTimestamp == nil || !slices.Contains(deleting.Finalizers, metav1.FinalizerDeleteDependents) {
		t.Errorf("deleting %+v", deleting)
	}
	if err := h.Update(t.Context(), find(), func(obj client.Object) { obj.SetFinalizers(nil) }); err != nil {
		t.Fatal(err)
	}
	h.wantLeft("c1")
}
