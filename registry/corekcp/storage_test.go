package corekcp

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
)

func newGroup(t *testing.T, external func() string) *group.Group {
	t.Helper()
	s := kinds.All.NewScheme()
	client := testserver.RunEtcd(t, nil)
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: client, Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	g, err := NewGroup(s, backend.RESTOptionsGetter(), external)
	if err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	return g
}

func in(t *testing.T, cluster logicalcluster.Name) context.Context {
	ctx := logicalcluster.WithCluster(genericapirequest.WithNamespace(t.Context(), ""), cluster)
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{APIGroup: corev1alpha1.GroupName, APIVersion: "v1alpha1"})
}

// headers returns the columns of a table in capitals.
func headers(t *testing.T, g *group.Group, resource string, obj runtime.Object) []string {
	t.Helper()
	table, err := g.Versions["v1alpha1"][resource].(rest.TableConvertor).ConvertToTable(t.Context(), obj, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range table.ColumnDefinitions {
		names = append(names, strings.ToUpper(c.Name))
	}
	return names
}

func TestLogicalClusters_AddressFollowsTheServer(t *testing.T) {
	external := "https://old"
	g, ctx := newGroup(t, func() string { return external }), in(t, "orgid")
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}}
	lc.Status.Phase, lc.Status.URL = corev1alpha1.LogicalClusterPhaseReady, "https://made-up"
	obj, err := g.System["logicalclusters"].Create(ctx, lc, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stored := obj.(*corev1alpha1.LogicalCluster)
	if stored.Status.URL != "" || stored.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != "Ready" {
		t.Errorf("stored as %+v", stored)
	}
	for _, external = range []string{"https://old", "https://new"} {
		obj, err := g.Versions["v1alpha1"]["logicalclusters"].(rest.Getter).Get(ctx, "cluster", &metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := obj.(*corev1alpha1.LogicalCluster).Status.URL; got != external+"/clusters/orgid" {
			t.Errorf("URL is %q", got)
		}
	}
	if diff := cmp.Diff([]string{"NAME", "PHASE", "URL", "AGE"}, headers(t, g, "logicalclusters", stored)); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestLogicalClusters_ThereIsOne(t *testing.T) {
	g := newGroup(t, func() string { return "" })
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "another"}}
	if _, err := g.System["logicalclusters"].Create(in(t, "orgid"), lc, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("got %v, want Invalid", err)
	}
}

func TestLogicalClusters_TheirDeletionBeginsInItsPhase(t *testing.T) {
	g, ctx := newGroup(t, func() string { return "" }), in(t, "orgid")
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster", Finalizers: []string{corev1alpha1.LogicalClusterDeletionFinalizer}}}
	lc.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
	if _, err := g.System["logicalclusters"].Create(ctx, lc, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	obj, gone, err := g.Versions["v1alpha1"]["logicalclusters"].(rest.GracefulDeleter).Delete(ctx, "cluster", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{})
	if err != nil || gone {
		t.Fatalf("gone %v, %v", gone, err)
	}
	deleted, phase := obj.(*corev1alpha1.LogicalCluster), corev1alpha1.LogicalClusterPhaseDeleting
	if deleted.DeletionTimestamp == nil || deleted.Status.Phase != phase || deleted.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != string(phase) {
		t.Errorf("marked as %+v", deleted)
	}
}

// The storage depends on what a cluster is made from, so nobody changes it.
func TestLogicalClusters_KeepWhatTheyAreMadeFrom(t *testing.T) {
	for was, to := range map[string]string{"": "other", "this": "other", "that": ""} {
		old, lc := &corev1alpha1.LogicalCluster{}, &corev1alpha1.LogicalCluster{}
		for of, value := range map[*corev1alpha1.LogicalCluster]string{old: was, lc: to} {
			if value != "" {
				of.Annotations = map[string]string{corev1alpha1.MadeFromAnnotationKey: value}
			}
		}
		prepareLogicalCluster(lc, old)
		if got := lc.Annotations[corev1alpha1.MadeFromAnnotationKey]; got != was {
			t.Errorf("%q became %q", was, got)
		}
	}
}

func TestShards_AddressesDefaultToTheBase(t *testing.T) {
	g := newGroup(t, func() string { return "" })
	shard := &corev1alpha1.Shard{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1alpha1.ShardSpec{BaseURL: "https://base", VirtualWorkspaceURL: "https://virtual"}}
	obj, err := g.Versions["v1alpha1"]["shards"].(rest.StandardStorage).Create(in(t, "root"), shard, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := corev1alpha1.ShardSpec{BaseURL: "https://base", ExternalURL: "https://base", VirtualWorkspaceURL: "https://virtual"}
	if diff := cmp.Diff(want, obj.(*corev1alpha1.Shard).Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"NAME", "REGION", "URL", "EXTERNAL URL", "AGE"}, headers(t, g, "shards", obj)); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}
