package topology

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/apis/logicalcluster"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
)

func TestStorage(t *testing.T) {
	s := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: testserver.RunEtcd(t, nil), Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	g, err := NewGroup(s, backend.RESTOptionsGetter())
	if err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	ctx := logicalcluster.WithCluster(genericapirequest.WithNamespace(t.Context(), ""), "orgid")
	ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{APIGroup: topologyv1alpha1.GroupName, APIVersion: "v1alpha1"})
	served := g.Versions["v1alpha1"]
	if _, has := served["partitions/status"]; has {
		t.Error("partitions have no status")
	}

	set := &topologyv1alpha1.PartitionSet{ObjectMeta: metav1.ObjectMeta{Name: "regions"}, Spec: topologyv1alpha1.PartitionSetSpec{Dimensions: []string{"region", "region"}}}
	set.Status.Count = 7
	obj, err := served["partitionsets"].(rest.StandardStorage).Create(ctx, set, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stored := obj.(*topologyv1alpha1.PartitionSet).DeepCopy()
	if stored.Status.Count != 0 {
		t.Error("a user wrote the status")
	}
	stored.Status.Count = 2
	obj, _, err = served["partitionsets/status"].(rest.Updater).Update(ctx, "regions", rest.DefaultUpdatedObjectInfo(stored),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	table, err := served["partitionsets"].(rest.TableConvertor).ConvertToTable(ctx, obj, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"regions", int64(2)}, table.Rows[0].Cells[:2]); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}

	bad := &topologyv1alpha1.Partition{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	bad.Spec.Selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "region", Operator: "Near"}}}
	if _, err := served["partitions"].(rest.StandardStorage).Create(ctx, bad, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("got %v, want Invalid", err)
	}
}
