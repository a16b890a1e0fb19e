package generated

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	applytenancyv1alpha1 "github.com/annex-dev/annex/generated/applyconfiguration/tenancy/v1alpha1"
	"github.com/annex-dev/annex/generated/clientset/versioned/fake"
	"github.com/annex-dev/annex/generated/clientset/versioned/scheme"
	tenancylisters "github.com/annex-dev/annex/generated/listers/tenancy/v1alpha1"
)

func TestClientset_AgainstItsFake(t *testing.T) {
	ctx := t.Context()
	client := fake.NewSimpleClientset(&tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "team"}})
	ws, err := client.TenancyV1alpha1().Workspaces().Get(ctx, "team", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ws.Status.Phase = "Ready"
	if _, err := client.TenancyV1alpha1().Workspaces().UpdateStatus(ctx, ws, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	list, err := client.TenancyV1alpha1().Workspaces().List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Status.Phase != "Ready" {
		t.Fatalf("got %v, %v", list, err)
	}
	if _, err := client.ApisV1alpha2().APIBindings().Get(ctx, "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want NotFound", err)
	}
}

// The fake applies with real field ownership: two writers of one object keep what is theirs.
func TestClientset_AppliesAgainstItsFake(t *testing.T) {
	ctx := t.Context()
	workspaces := fake.NewClientset().TenancyV1alpha1().Workspaces()
	mine := applytenancyv1alpha1.Workspace("team").WithLabels(map[string]string{"a": "b"})
	if _, err := workspaces.Apply(ctx, mine, metav1.ApplyOptions{FieldManager: "me"}); err != nil {
		t.Fatal(err)
	}
	yours := applytenancyv1alpha1.Workspace("team").WithLabels(map[string]string{"c": "d"})
	ws, err := workspaces.Apply(ctx, yours, metav1.ApplyOptions{FieldManager: "you"})
	if err != nil {
		t.Fatal(err)
	}
	if len(ws.Labels) != 2 || len(ws.ManagedFields) != 2 {
		t.Errorf("labels %v, managers %v", ws.Labels, ws.ManagedFields)
	}
	owned, err := applytenancyv1alpha1.ExtractWorkspace(ws, "me")
	if err != nil || len(owned.Labels) != 1 || owned.Labels["a"] != "b" {
		t.Errorf("extracted %+v, %v", owned, err)
	}
}

func TestScheme_KnowsAllKinds(t *testing.T) {
	for _, gvk := range []struct{ group, version, kind string }{
		{"tenancy.kcp.io", "v1alpha1", "Workspace"}, {"tenancy.kcp.io", "v1alpha1", "WorkspaceType"},
		{"core.kcp.io", "v1alpha1", "LogicalCluster"}, {"core.kcp.io", "v1alpha1", "Shard"},
		{"apis.kcp.io", "v1alpha1", "APIResourceSchema"}, {"apis.kcp.io", "v1alpha1", "APIExportEndpointSlice"},
		{"apis.kcp.io", "v1alpha1", "APIExport"}, {"apis.kcp.io", "v1alpha1", "APIBinding"},
		{"apis.kcp.io", "v1alpha2", "APIExport"}, {"apis.kcp.io", "v1alpha2", "APIBinding"},
		{"topology.kcp.io", "v1alpha1", "Partition"}, {"topology.kcp.io", "v1alpha1", "PartitionSet"},
		{"cache.kcp.io", "v1alpha1", "ClusterCachedResource"}, {"cache.kcp.io", "v1alpha1", "ClusterCachedResourceEndpointSlice"},
		{"annex.dev", "v1alpha1", "HostBinding"},
	} {
		if !scheme.Scheme.Recognizes(schema.GroupVersionKind{Group: gvk.group, Version: gvk.version, Kind: gvk.kind}) {
			t.Errorf("%v is not registered", gvk)
		}
	}
}

func TestApplyConfiguration_BuildsObjects(t *testing.T) {
	ws := applytenancyv1alpha1.Workspace("team").WithSpec(applytenancyv1alpha1.WorkspaceSpec().WithType(
		applytenancyv1alpha1.WorkspaceTypeReference().WithName("universal").WithPath("root")))
	if *ws.Kind != "Workspace" || *ws.APIVersion != "tenancy.kcp.io/v1alpha1" || *ws.Spec.Type.Path != "root" {
		t.Errorf("got %+v", ws)
	}
}

func TestLister_Lists(t *testing.T) {
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	if err := indexer.Add(&tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "team"}}); err != nil {
		t.Fatal(err)
	}
	lister := tenancylisters.NewWorkspaceLister(indexer)
	if list, err := lister.List(labels.Everything()); err != nil || len(list) != 1 {
		t.Errorf("got %v, %v", list, err)
	}
	if _, err := lister.Get("none"); !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want NotFound", err)
	}
}
