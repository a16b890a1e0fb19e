package workspace

import (
	"context"
	"fmt"
	"slices"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/core/lifecycle"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// Name is the name of the controller.
const Name = "workspace"

const workers = 16

var (
	workspaces          = tenancyv1alpha1.Resource("workspaces")
	workspaceTypes      = tenancyv1alpha1.Resource("workspacetypes")
	logicalClusters     = corev1alpha1.Resource("logicalclusters")
	shards              = corev1alpha1.Resource("shards")
	apiBindings         = apisv1alpha2.Resource("apibindings")
	namespaces          = schema.GroupResource{Resource: "namespaces"}
	clusterRoleBindings = rbacv1.Resource("clusterrolebindings")
)

// Binder creates the default bindings of new workspaces.
type Binder interface {
	// FinalBinding returns the APIBinding for an APIExport, for creation in cluster. If everything that it needs exists, it is
	// already Bound and can be created in this state. Otherwise it is in an earlier phase and is bound later.
	FinalBinding(ctx context.Context, cluster logicalcluster.Name, wanted typeresolution.DefaultBinding) (client.Object, error)
}

// Config contains the dependencies of the controller.
type Config struct {
	multicluster.Config
	Binder Binder
	// Templates lets workspaces contain objects without storing them; nil stores all.
	Templates client.Templates
	// Contents returns what every namespace contains; nil for nothing. Without templates, the namespaces are filled later.
	Contents func(namespace string) []client.Initial
	// Clock is the real clock if nil.
	Clock clock.PassiveClock
}

type reconciler struct {
	Config
	// targets are the objects that Workspaces are mounted on.
	targets *multicluster.Targets
}

// Specs returns the controllers of this package.
func Specs(c Config) []multicluster.Spec {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	r := &reconciler{Config: c, targets: multicluster.NewTargets()}
	return []multicluster.Spec{{
		Name:    Name,
		Workers: workers,
		Watches: []multicluster.Watch{
			{Resource: workspaces, Keys: r.keysOfWorkspace},
			{Resource: logicalClusters, Keys: r.keysOfLogicalCluster},
			{Resource: shards, Keys: r.keysOfShard},
			{Resource: apiBindings, Content: c.Content, HeadKeys: r.keysOfBinding, Listed: multicluster.OnlyChanges},
			{Resource: clusterRoleBindings, Content: c.Content, HeadKeys: r.keysOfClusterRoleBinding, Listed: multicluster.OnlyChanges},
		},
		Feeds:     []func(context.Context, func(client.Key, time.Duration)){r.collectTemplates, r.targets.Feed(r.Content)},
		Reconcile: r.reconcile,
	}, r.homeSpec()}
}

const (
	// collectSoon is when unused templates are looked for first, because at the start there is other work.
	collectSoon = time.Minute
	// collectInterval is the time between two looks.
	collectInterval = time.Hour
)

// collectTemplates removes templates that nothing is made from. It queues nothing.
func (r *reconciler) collectTemplates(ctx context.Context, _ func(client.Key, time.Duration)) {
	if r.Templates == nil {
		return
	}
	for wait := collectSoon; ; wait = collectInterval {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := r.Templates.Collect(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Unused templates of workspaces cannot be removed; trying again later")
		}
	}
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	ws, err := client.Find[tenancyv1alpha1.Workspace](ctx, r.Client, workspaces, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if ws == nil || ws.DeletionTimestamp != nil || ws.Spec.Mount == nil {
		r.targets.Follow(key)
	}
	if ws == nil {
		return reconcile.Result{}, nil
	}
	var result reconcile.Result
	switch {
	case ws.DeletionTimestamp != nil:
		result, err = r.finalize(ctx, ws)
	case ws.Spec.Mount != nil:
		result, err = r.mount(ctx, ws)
	case isPlaced(ws):
		result, err = r.maintain(ctx, ws)
	case ws.Spec.Cluster != "" && ws.Status.Phase == corev1alpha1.LogicalClusterPhaseInitializing:
		result, err = r.initialize(ctx, ws)
	default:
		result, err = r.provision(ctx, ws)
	}
	return result, err
}

// isPlaced reports whether provisioning of ws has ended.
func isPlaced(ws *tenancyv1alpha1.Workspace) bool {
	return ws.Spec.Cluster != "" && ws.Status.Phase != "" &&
		ws.Status.Phase != corev1alpha1.LogicalClusterPhaseScheduling && ws.Status.Phase != corev1alpha1.LogicalClusterPhaseInitializing
}

// keysOfWorkspace returns the workspace, unless it is there when the watch begins and as it should be. Whether its phase is that of its
// LogicalCluster, the watch of these finds out.
func (r *reconciler) keysOfWorkspace(ctx context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	ws, ok := event.Object.(*tenancyv1alpha1.Workspace)
	if !ok || event.Type != client.Added || ws.DeletionTimestamp != nil || !isPlaced(ws) || ws.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != string(ws.Status.Phase) {
		return []client.Key{key}, nil
	}
	cluster := logicalcluster.Name(ws.Spec.Cluster)
	lc, err := r.find(ctx, logicalClusters, client.Key{Cluster: cluster, Name: corev1alpha1.LogicalClusterName})
	if err != nil || lc == nil || lc.DeletionTimestamp != nil {
		return []client.Key{key}, err
	}
	if ws.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey] != "" {
		admin, err := r.find(ctx, clusterRoleBindings, client.Key{Cluster: cluster, Name: AdminBindingName})
		if err != nil || admin == nil {
			return []client.Key{key}, err
		}
	}
	if conditionsv1alpha1.GetReason(ws, corev1alpha1.WorkspaceInitialized) == corev1alpha1.WorkspaceDisappearedReason {
		return []client.Key{key}, nil
	}
	return nil, nil
}

// keysOfLogicalCluster returns the owner, unless this controller made the change and continues by itself.
func (r *reconciler) keysOfLogicalCluster(ctx context.Context, event client.Event) ([]client.Key, error) {
	lc, ok := event.Object.(*corev1alpha1.LogicalCluster)
	if !ok {
		return nil, nil
	}
	key, ok := ownerOf(lc)
	if !ok {
		return nil, nil
	}
	if lc.DeletionTimestamp != nil || event.Type == client.Deleted {
		return []client.Key{key}, nil
	}
	obj, err := r.Client.Get(ctx, workspaces, key)
	if err != nil {
		return []client.Key{key}, nil
	}
	ws, ok := obj.(*tenancyv1alpha1.Workspace)
	if !ok || mirrors(ws, lc) || (event.Type == client.Added && ws.Status.Phase == corev1alpha1.LogicalClusterPhaseScheduling) {
		return nil, nil
	}
	return []client.Key{key}, nil
}

// mirrors reports whether ws shows the status of lc, as far as that changes by itself.
func mirrors(ws *tenancyv1alpha1.Workspace, lc *corev1alpha1.LogicalCluster) bool {
	return ws.Status.Phase == lc.Status.Phase && slices.Equal(ws.Status.Initializers, lc.Status.Initializers) &&
		slices.Equal(ws.Status.Terminators, lc.Status.Terminators)
}

// ownerOf returns the key of the Workspace that lc belongs to; false when it belongs to none.
func ownerOf(lc *corev1alpha1.LogicalCluster) (client.Key, bool) {
	owner := lc.Spec.Owner
	if owner == nil || owner.Resource != workspaces.Resource || owner.APIVersion != tenancyv1alpha1.SchemeGroupVersion.String() {
		return client.Key{}, false
	}
	return client.Key{Cluster: logicalcluster.Name(owner.Cluster), Name: owner.Name}, true
}

// keysOfShard returns the workspaces without a shard, because this shard may match them.
func (r *reconciler) keysOfShard(ctx context.Context, event client.Event) ([]client.Key, error) {
	if event.Type == client.Deleted {
		return nil, nil
	}
	waiting, err := r.Client.List(ctx, workspaces, client.Scope{Selector: labels.SelectorFromSet(labels.Set{
		tenancyv1alpha1.WorkspacePhaseLabel: string(corev1alpha1.LogicalClusterPhaseScheduling),
	})})
	if err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, ws := range waiting {
		keys = append(keys, client.KeyOf(ws))
	}
	return keys, nil
}

// keysOfBinding returns the workspace that waits for a binding.
func (r *reconciler) keysOfBinding(ctx context.Context, event client.HeadEvent) ([]client.Key, error) {
	if event.Type == client.Deleted {
		return nil, nil
	}
	return r.owner(ctx, event, awaitsBindings)
}

// keysOfClusterRoleBinding returns the workspace that lost its administrator.
func (r *reconciler) keysOfClusterRoleBinding(ctx context.Context, event client.HeadEvent) ([]client.Key, error) {
	if event.Type != client.Deleted || event.Head.Name != AdminBindingName {
		return nil, nil
	}
	return r.owner(ctx, event, func(lc *corev1alpha1.LogicalCluster) bool { return lc.DeletionTimestamp == nil })
}

// owner returns the Workspace of the cluster in which the event happened, if wanted is true for its LogicalCluster.
func (r *reconciler) owner(ctx context.Context, event client.HeadEvent, wanted func(*corev1alpha1.LogicalCluster) bool) ([]client.Key, error) {
	found, err := r.find(ctx, logicalClusters, client.Key{Cluster: event.Head.Cluster, Name: corev1alpha1.LogicalClusterName})
	if err != nil || found == nil || event.Type == client.Added && client.MadeTogether(*found, event.Head) {
		return nil, err
	}
	lc, err := r.logicalCluster(ctx, r.Client, event.Head.Cluster)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if key, ok := ownerOf(lc); ok && wanted(lc) {
		return []client.Key{key}, nil
	}
	return nil, nil
}

// find returns the head of a cluster-scoped object; nil if there is none.
func (r *reconciler) find(ctx context.Context, resource schema.GroupResource, key client.Key) (*client.Head, error) {
	found, err := r.Content.Find(ctx, client.Kind{Resource: resource}, key, false)
	if err != nil {
		return nil, fmt.Errorf("finding %s %s: %w", resource, key, err)
	}
	return found, nil
}

// logicalCluster returns the LogicalCluster of a cluster, which is shared; NotFound if there is none.
func (r *reconciler) logicalCluster(ctx context.Context, from client.Reader, name logicalcluster.Name) (*corev1alpha1.LogicalCluster, error) {
	obj, err := from.Get(ctx, logicalClusters, client.Key{Cluster: name, Name: corev1alpha1.LogicalClusterName})
	if err != nil {
		return nil, err
	}
	lc, ok := obj.(*corev1alpha1.LogicalCluster)
	if !ok {
		return nil, fmt.Errorf("reading the LogicalCluster of %s: got a %T", name, obj)
	}
	return lc, nil
}

// owns reports whether lc was made for ws.
func owns(ws *tenancyv1alpha1.Workspace, lc *corev1alpha1.LogicalCluster) bool {
	_, ok := ownerOf(lc)
	return ok && lc.Spec.Owner.UID == ws.UID
}

// updateWorkspace writes the copy of ws that change was applied to, if that changes anything.
func (r *reconciler) updateWorkspace(ctx context.Context, ws *tenancyv1alpha1.Workspace, change func(*tenancyv1alpha1.Workspace)) error {
	updated := ws.DeepCopy()
	change(updated)
	if same(ws, updated) {
		return nil
	}
	if err := lifecycle.CheckWorkspace(updated, ws); err != nil {
		return fmt.Errorf("updating the workspace: %w", err)
	}
	if _, err := r.Client.Update(ctx, workspaces, logicalcluster.From(ws), updated); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("updating the workspace: %w", err)
	}
	return nil
}
