package annex

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

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
)

func TestStorage_Claims(t *testing.T) {
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
	ctx := logicalcluster.WithCluster(genericapirequest.WithNamespace(t.Context(), "team-a"), "root")
	ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{APIGroup: annexv1alpha1.GroupName, APIVersion: "v1alpha1"})
	served := g.Versions["v1alpha1"]

	claim := &annexv1alpha1.WorkspaceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app"}}
	if _, err := served["workspaceclaims"].(rest.StandardStorage).Create(ctx, claim.DeepCopy(), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("without a class: %v, want Invalid", err)
	}
	claim.Spec.WorkspaceClassName, claim.Spec.Secret = "standard", &annexv1alpha1.WorkspaceClaimSecret{Name: "s"}
	claim.Status.Phase, claim.Status.URL = annexv1alpha1.WorkspaceClaimBound, "https://evil"
	obj, err := served["workspaceclaims"].(rest.StandardStorage).Create(ctx, claim, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stored := obj.(*annexv1alpha1.WorkspaceClaim).DeepCopy()
	if stored.Status.Phase != annexv1alpha1.WorkspaceClaimPending || stored.Status.URL != "" || stored.Spec.Secret.Format != annexv1alpha1.AccessFormatKubeconfig {
		t.Errorf("a new claim is %+v", stored)
	}
	stored.Status = annexv1alpha1.WorkspaceClaimStatus{Phase: annexv1alpha1.WorkspaceClaimBound, Workspace: &annexv1alpha1.ClaimedWorkspace{Path: "root:teams:x", Cluster: "abc"}}
	if _, _, err := served["workspaceclaims/status"].(rest.Updater).Update(ctx, "app", rest.DefaultUpdatedObjectInfo(stored),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	read, err := served["workspaceclaims"].(rest.Getter).Get(ctx, "app", &metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if url := read.(*annexv1alpha1.WorkspaceClaim).Status.URL; url != "https://annex/clusters/root:teams:x" {
		t.Errorf("the URL is %q", url)
	}
	table, err := served["workspaceclaims"].(rest.TableConvertor).ConvertToTable(ctx, read, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"app", "Bound", nil, "root:teams:x", "standard"}, table.Rows[0].Cells[:5]); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}

	ctx = genericapirequest.WithNamespace(ctx, "")
	class := &annexv1alpha1.WorkspaceClass{ObjectMeta: metav1.ObjectMeta{Name: "standard", Annotations: map[string]string{annexv1alpha1.DefaultClassAnnotationKey: "true"}}}
	class.Spec.Parent, class.Spec.Secret = "root:teams", &annexv1alpha1.WorkspaceClassSecret{}
	if obj, err = served["workspaceclasses"].(rest.StandardStorage).Create(ctx, class, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if spec := obj.(*annexv1alpha1.WorkspaceClass).Spec; spec.Owner != annexv1alpha1.WorkspaceClassOwnerCreator || spec.ReclaimPolicy != annexv1alpha1.WorkspaceReclaimDelete ||
		*spec.GracePeriodSeconds != 259200 || *spec.MaxWorkspacesPerNamespace != 10 || spec.Secret.ClusterRole != "admin" {
		t.Errorf("a class has the defaults %+v", spec)
	}
	if table, err = served["workspaceclasses"].(rest.TableConvertor).ConvertToTable(ctx, obj, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"standard", "root:teams", "Delete", "true"}, table.Rows[0].Cells[:4]); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
}
