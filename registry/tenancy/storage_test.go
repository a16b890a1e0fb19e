package tenancy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
)

const v1alpha1 = "v1alpha1"

func newGroup(t *testing.T) *group.Group {
	t.Helper()
	s := kinds.All.NewScheme()
	client := testserver.RunEtcd(t, nil)
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: client, Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	urls := URLs{
		External: func() string { return "https://host:6443" },
		Virtual:  func() string { return "https://virtual:6443" },
		PathOf: func(name logicalcluster.Name) (logicalcluster.Path, bool) {
			return map[logicalcluster.Name]logicalcluster.Path{"root": "root", "orgid": "root:org"}[name], name == "root" || name == "orgid"
		},
	}
	g, err := NewGroup(s, backend.RESTOptionsGetter(), urls)
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
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{APIGroup: tenancyv1alpha1.GroupName, APIVersion: v1alpha1})
}

func users(g *group.Group) *kinds.REST { return g.Versions[v1alpha1]["workspaces"].(*kinds.REST) }

func newWorkspace(name string) *tenancyv1alpha1.Workspace {
	return &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func create(ctx context.Context, t *testing.T, by rest.StandardStorage, ws *tenancyv1alpha1.Workspace) *tenancyv1alpha1.Workspace {
	t.Helper()
	obj, err := by.Create(ctx, ws, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return obj.(*tenancyv1alpha1.Workspace)
}

func update(ctx context.Context, by rest.Updater, ws *tenancyv1alpha1.Workspace) (*tenancyv1alpha1.Workspace, error) {
	obj, _, err := by.Update(ctx, ws.Name, rest.DefaultUpdatedObjectInfo(ws), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		return nil, err
	}
	return obj.(*tenancyv1alpha1.Workspace), nil
}

func TestWorkspaces_WhoWritesWhat(t *testing.T) {
	g, ctx := newGroup(t), in(t, "orgid")
	status, system := g.Versions[v1alpha1]["workspaces/status"].(rest.Updater), g.System["workspaces"]

	forged := newWorkspace("team")
	forged.Spec.URL, forged.Status.Phase = "https://evil", corev1alpha1.LogicalClusterPhaseReady
	forged.Labels = map[string]string{tenancyv1alpha1.WorkspacePhaseLabel: "Ready", "mine": "yes"}
	ws := create(ctx, t, users(g), forged)
	if ws.Status.Phase != corev1alpha1.LogicalClusterPhaseScheduling || ws.Spec.URL != "" || ws.Generation != 1 ||
		ws.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != "Scheduling" || ws.Labels["mine"] != "yes" ||
		!slices.Contains(ws.Finalizers, corev1alpha1.LogicalClusterFinalizer) {
		t.Errorf("created as %+v", ws)
	}

	// The server writes everything at once; the address is not stored.
	ws = ws.DeepCopy()
	ws.Spec.Cluster, ws.Spec.URL, ws.Status.Phase = "teamid", "https://somewhere", corev1alpha1.LogicalClusterPhaseReady
	stored, err := update(ctx, system, ws)
	if err != nil {
		t.Fatal(err)
	}
	if stored.Spec.URL != "" || stored.Status.Phase != corev1alpha1.LogicalClusterPhaseReady || stored.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != "Ready" || stored.Generation != 2 {
		t.Errorf("stored as %+v", stored)
	}

	// Users see the address, and what they send back of it is no change.
	obj, err := users(g).Get(ctx, "team", &metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen := obj.(*tenancyv1alpha1.Workspace)
	const url = "https://host:6443/clusters/root:org:team"
	if seen.Spec.URL != url {
		t.Errorf("URL is %q, want %q", seen.Spec.URL, url)
	}
	sent := seen.DeepCopy()
	sent.Status.Phase = corev1alpha1.LogicalClusterPhaseUnavailable
	after, err := update(ctx, users(g), sent)
	if err != nil {
		t.Fatal(err)
	}
	if after.Status.Phase != corev1alpha1.LogicalClusterPhaseReady || after.Generation != 2 || after.ResourceVersion != seen.ResourceVersion {
		t.Errorf("a user wrote the status, or a change that is none: %+v", after)
	}

	// The status subresource writes nothing else.
	sent = after.DeepCopy()
	sent.Status.Phase, sent.Labels, sent.Spec.Cluster = corev1alpha1.LogicalClusterPhaseUnavailable, nil, "other"
	after, err = update(ctx, status, sent)
	if err != nil {
		t.Fatal(err)
	}
	if after.Status.Phase != corev1alpha1.LogicalClusterPhaseUnavailable || after.Spec.Cluster != "teamid" || after.Labels["mine"] != "yes" ||
		after.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != "Unavailable" || after.Generation != 2 || after.Spec.URL != url {
		t.Errorf("after a write of the status: %+v", after)
	}

	sent = after.DeepCopy()
	sent.Spec.Cluster = "other"
	if _, err := update(ctx, users(g), sent); !apierrors.IsInvalid(err) {
		t.Errorf("changing spec.cluster: %v, want Invalid", err)
	}
	sent = after.DeepCopy()
	sent.Status.Phase = "Nonsense"
	if _, err := update(ctx, system, sent); !apierrors.IsInvalid(err) {
		t.Errorf("a phase that does not exist: %v, want Invalid", err)
	}
}

func TestWorkspaces_AddressInListWatchAndTable(t *testing.T) {
	g, ctx := newGroup(t), in(t, "root")
	placed := newWorkspace("org")
	placed.Spec.Cluster, placed.Spec.Type = "orgid", &tenancyv1alpha1.WorkspaceTypeReference{Name: "organization", Path: "root"}
	placed.Labels = map[string]string{"region": "north"}
	create(ctx, t, g.System["workspaces"], placed)
	const url = "https://host:6443/clusters/root:org"

	list := func() runtime.Object {
		obj, err := users(g).List(ctx, &metainternalversion.ListOptions{LabelSelector: labels.SelectorFromSet(labels.Set{tenancyv1alpha1.WorkspacePhaseLabel: "Scheduling"})})
		if err != nil {
			t.Fatal(err)
		}
		return obj
	}
	if items := list().(*tenancyv1alpha1.WorkspaceList).Items; len(items) != 1 || items[0].Spec.URL != url {
		t.Errorf("list has %+v", items)
	}
	table, err := users(g).ConvertToTable(ctx, list(), &metav1.TableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, c := range table.ColumnDefinitions {
		columns = append(columns, strings.ToUpper(c.Name))
	}
	if diff := cmp.Diff([]string{"NAME", "TYPE", "REGION", "PHASE", "URL", "AGE"}, columns); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"org", "organization", "north", "Scheduling", url}, table.Rows[0].Cells[:5]); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}

	// Two watchers share the objects of the watch cache; neither may see or change those of the other.
	for range 2 {
		w, err := users(g).Watch(ctx, &metainternalversion.ListOptions{ResourceVersion: "0", AllowWatchBookmarks: true})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		select {
		case event := <-w.ResultChan():
			ws, ok := event.Object.(*tenancyv1alpha1.Workspace)
			if event.Type != watch.Added || !ok || ws.Spec.URL != url {
				t.Errorf("event %s with %+v", event.Type, event.Object)
			}
		case <-time.After(2 * time.Minute):
			t.Fatal("no event")
		}
	}
	obj, err := g.System["workspaces"].Get(ctx, "org", &metav1.GetOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	if got := obj.(*tenancyv1alpha1.Workspace).Spec.URL; got != "" {
		t.Errorf("the object in the watch cache has URL %q", got)
	}
}

func TestWorkspaces_StayUntilTheFinalizerGoes(t *testing.T) {
	g, ctx := newGroup(t), in(t, "root")
	create(ctx, t, users(g), newWorkspace("early"))
	early, gone, err := users(g).Delete(ctx, "early", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{})
	if err != nil || gone {
		t.Fatalf("gone %v, %v", gone, err)
	}
	// Nobody knows yet whether it has terminators, and it would have to go back to Terminating.
	if ws := early.(*tenancyv1alpha1.Workspace); ws.Status.Phase != corev1alpha1.LogicalClusterPhaseScheduling {
		t.Errorf("the deletion of one that was never placed begins in phase %q", ws.Status.Phase)
	}
	placed := create(ctx, t, users(g), newWorkspace("org")).DeepCopy()
	placed.Spec.Cluster, placed.Status.Phase = "orgid", corev1alpha1.LogicalClusterPhaseReady
	if _, err := update(ctx, g.System["workspaces"], placed); err != nil {
		t.Fatal(err)
	}
	// From here, no phase comes back, whoever writes it.
	for _, back := range []corev1alpha1.LogicalClusterPhaseType{corev1alpha1.LogicalClusterPhaseInitializing, corev1alpha1.LogicalClusterPhaseScheduling} {
		stored, err := users(g).Get(ctx, "org", &metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ws := stored.(*tenancyv1alpha1.Workspace).DeepCopy()
		ws.Status.Phase = back
		if _, err := update(ctx, g.System["workspaces"], ws); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "status.phase") {
			t.Errorf("from Ready to %s: %v", back, err)
		}
	}
	obj, gone, err := users(g).Delete(ctx, "org", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{})
	if err != nil || gone {
		t.Fatalf("gone %v, %v", gone, err)
	}
	ws := obj.(*tenancyv1alpha1.Workspace).DeepCopy()
	if phase := corev1alpha1.LogicalClusterPhaseDeleting; ws.Status.Phase != phase || ws.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != string(phase) {
		t.Errorf("its deletion begins in phase %q, labels %v", ws.Status.Phase, ws.Labels)
	}
	ws.Finalizers = nil
	if _, err := update(ctx, g.System["workspaces"], ws); err != nil {
		t.Fatal(err)
	}
	if _, err := users(g).Get(ctx, "org", &metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want NotFound", err)
	}
}

// The address of a target is stored, and a client that leaves it out does not remove it.
func TestWorkspaces_MountedOnesKeepTheirAddress(t *testing.T) {
	g, ctx := newGroup(t), in(t, "root")
	ws := newWorkspace("org")
	ws.Spec.Mount = &tenancyv1alpha1.Mount{Reference: tenancyv1alpha1.ObjectReference{APIVersion: "example.com/v1", Kind: "X", Name: "x"}}
	ws = create(ctx, t, users(g), ws)
	if ws.Spec.URL != "" || ws.Status.Phase != corev1alpha1.LogicalClusterPhaseScheduling {
		t.Errorf("created as %+v", ws)
	}
	ws = ws.DeepCopy()
	const url = "https://example.com/clusters/x"
	ws.Spec.URL, ws.Status.Phase = url, corev1alpha1.LogicalClusterPhaseReady
	ws, err := update(ctx, g.System["workspaces"], ws)
	if err != nil || ws.Spec.URL != url {
		t.Fatalf("stored as %+v, %v", ws, err)
	}
	sent := ws.DeepCopy()
	sent.Spec.URL, sent.Labels = "", map[string]string{"mine": "yes"}
	if ws, err = update(ctx, users(g), sent); err != nil || ws.Spec.URL != url || ws.Labels["mine"] != "yes" {
		t.Errorf("after a client left the address out: %+v, %v", ws, err)
	}
}

func TestNames(t *testing.T) {
	g := newGroup(t)
	if got := users(g).ShortNames(); !slices.Equal(got, []string{"ws"}) {
		t.Errorf("short names of workspaces are %v", got)
	}
	for path, storage := range g.Versions[v1alpha1] {
		if strings.Contains(path, "/") {
			continue
		}
		if got := storage.(rest.CategoriesProvider).Categories(); !slices.Equal(got, []string{"kcp"}) {
			t.Errorf("categories of %s are %v", path, got)
		}
	}
}

// The URL of a workspace is made from the cluster it lives in, never from the one that its annotations name: the path of another
// cluster is not for everybody to know.
func TestWorkspaces_ForgedClusterIsNeitherKeptNorRendered(t *testing.T) {
	g, ctx := newGroup(t), in(t, "root")
	forge := func(ws *tenancyv1alpha1.Workspace) *tenancyv1alpha1.Workspace {
		ws = ws.DeepCopy()
		ws.Annotations = map[string]string{logicalcluster.AnnotationKey: "orgid", "mine": "yes"}
		ws.Labels = map[string]string{"change": ws.ResourceVersion + "x"}
		return ws
	}
	check := func(what string, obj runtime.Object, err error, url string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if ws := obj.(*tenancyv1alpha1.Workspace); logicalcluster.From(ws) != "root" || ws.Spec.URL != url {
			t.Errorf("%s: says that it lives in %q at %q, want root and %q", what, logicalcluster.From(ws), ws.Spec.URL, url)
		}
	}
	dry := []string{metav1.DryRunAll}
	const url = "https://host:6443/clusters/root:team"

	created, err := users(g).Create(ctx, forge(newWorkspace("team")), rest.ValidateAllObjectFunc, &metav1.CreateOptions{DryRun: dry})
	check("create, dry run", created, err, "")
	created, err = users(g).Create(ctx, forge(newWorkspace("team")), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	check("create", created, err, "")
	ws := created.(*tenancyv1alpha1.Workspace).DeepCopy()
	ws.Spec.Cluster = "teamid"
	ws, err = update(ctx, g.System["workspaces"], forge(ws))
	check("update by the server", ws, err, "")

	for _, path := range []string{"workspaces", "workspaces/status"} {
		by := g.Versions[v1alpha1][path].(rest.Updater)
		for _, options := range []*metav1.UpdateOptions{{DryRun: dry}, {}} {
			obj, err := users(g).Get(ctx, "team", &metav1.GetOptions{})
			check("get", obj, err, url)
			sent := rest.DefaultUpdatedObjectInfo(forge(obj.(*tenancyv1alpha1.Workspace)))
			updated, _, err := by.Update(ctx, "team", sent, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, options)
			check(fmt.Sprintf("update of %s, dry run %v", path, options.DryRun), updated, err, url)
		}
		reset := by.(rest.ResetFieldsStrategy).GetResetFields()["tenancy.kcp.io/v1alpha1"]
		if mark := fieldpath.MakePathOrDie("metadata", "annotations", logicalcluster.AnnotationKey); !reset.Has(mark) && !reset.Has(fieldpath.MakePathOrDie("metadata")) {
			t.Errorf("%s: a client can own the annotation: %v", path, reset)
		}
	}
}
