package annex

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
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
	g, err := NewGroup(s, backend.RESTOptionsGetter(), func() string { return "https://annex" })
	if err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	ctx := logicalcluster.WithCluster(genericapirequest.WithNamespace(t.Context(), ""), "root")
	ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{APIGroup: annexv1alpha1.GroupName, APIVersion: "v1alpha1"})
	served := g.Versions["v1alpha1"]

	binding := &annexv1alpha1.HostBinding{ObjectMeta: metav1.ObjectMeta{Name: "widgets"}}
	binding.Spec.Authorization = annexv1alpha1.AuthorizationHost
	binding.Spec.Workspace.Path = "root:teams:{namespace}"
	if _, err := served["hostbindings"].(rest.StandardStorage).Create(ctx, binding, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("without an export: %v, want Invalid", err)
	}
	binding.Spec.Reference.Export = &annexv1alpha1.HostBindingExport{Name: "widgets.example.com"}
	binding.Status.IdentityHash = "forged"
	obj, err := served["hostbindings"].(rest.StandardStorage).Create(ctx, binding, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stored := obj.(*annexv1alpha1.HostBinding).DeepCopy()
	if stored.Status.IdentityHash != "" {
		t.Error("a user wrote the status")
	}
	if !slices.Contains(stored.Finalizers, annexv1alpha1.HostBindingFinalizer) {
		t.Errorf("finalizers %v", stored.Finalizers)
	}
	conditionsv1alpha1.MarkTrue(stored, conditionsv1alpha1.ReadyCondition)
	obj, _, err = served["hostbindings/status"].(rest.Updater).Update(ctx, "widgets", rest.DefaultUpdatedObjectInfo(stored),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	table, err := served["hostbindings"].(rest.TableConvertor).ConvertToTable(ctx, obj, nil)
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, column := range table.ColumnDefinitions[:5] {
		columns = append(columns, column.Name)
	}
	if diff := cmp.Diff([]string{"Name", "Ready", "Export", "Workspace", "Age"}, columns); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"widgets", "True", "widgets.example.com", "root:teams:{namespace}"}, table.Rows[0].Cells[:4]); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
}
