package workspaceclaim

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/annex/claiming"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/hostnamespace"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	// pending is the interval of checks for changes without an event here, such as a parent that was created.
	pending = 30 * time.Second
	// elsewhere is the interval of checks whether the host still has the namespace of a claim.
	elsewhere = 10 * time.Minute
)

var (
	claims          = annexv1alpha1.Resource("workspaceclaims")
	classes         = annexv1alpha1.Resource("workspaceclasses")
	accesses        = annexv1alpha1.Resource("workspaceaccesses")
	workspaces      = tenancyv1alpha1.Resource("workspaces")
	logicalClusters = corev1alpha1.Resource("logicalclusters")
	namespaces      = corev1.Resource("namespaces")
)

// Config contains the dependencies of the controller.
type Config struct {
	multicluster.Config
	// Workspace is the host workspace. WorkspaceClaims in other workspaces have no effect.
	Workspace logicalcluster.Path
	// Host reads namespaces of the host; nil if there is none, or if it cannot be asked.
	Host corev1client.NamespacesGetter
	// Clock is the real clock if nil.
	Clock clock.PassiveClock
}

type reconciler struct {
	Config
	// created are workspaces that the watch cache may not show yet. Only reconcile uses it, which runs once at a time.
	created map[client.Key]claiming.Ref
}

// Specs describes the controller. It processes one claim at a time, because it counts the workspaces of a class.
func Specs(c Config) []multicluster.Spec {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	r := &reconciler{Config: c, created: map[client.Key]claiming.Ref{}}
	return []multicluster.Spec{{
		Name: "workspaceclaim",
		Watches: []multicluster.Watch{
			{Resource: claims},
			{Resource: classes, Keys: r.claimsOfClass},
			{Resource: workspaces, Keys: claimOfWorkspace},
			{Resource: accesses, Keys: claimOfAccess},
		},
		Reconcile: r.reconcile,
	}, {
		Name: "workspacereclaim",
		Watches: []multicluster.Watch{
			{Resource: workspaces, Keys: claimed},
			{Resource: claims, Keys: r.workspaceOfClaim},
		},
		Reconcile: r.reclaim,
	}}
}

// host returns the cluster of the host workspace; empty if it does not exist.
func (r *reconciler) host(ctx context.Context) (logicalcluster.Name, error) {
	host, found, err := r.Resolver.Resolve(ctx, r.Workspace)
	if err != nil {
		return "", fmt.Errorf("finding the host workspace: %w", err)
	}
	if !found {
		return "", nil
	}
	return host, nil
}

// claimsOfClass returns the claims that wait for a class.
func (r *reconciler) claimsOfClass(ctx context.Context, event client.Event) ([]client.Key, error) {
	class := client.KeyOf(event.Object)
	all, err := client.List[annexv1alpha1.WorkspaceClaim](ctx, r.Client, claims, client.Scope{Cluster: class.Cluster})
	if err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, claim := range all {
		if claim.Spec.WorkspaceClassName == class.Name && claim.Status.Phase == annexv1alpha1.WorkspaceClaimPending {
			keys = append(keys, client.KeyOf(claim))
		}
	}
	return keys, nil
}

// claimOfWorkspace returns the claim that a workspace was created for.
func claimOfWorkspace(_ context.Context, event client.Event) ([]client.Key, error) {
	ref, ok := refOn(event.Object)
	if !ok {
		return nil, nil
	}
	return []client.Key{{Cluster: ref.Cluster, Namespace: ref.Namespace, Name: ref.Name}}, nil
}

// claimOfAccess returns the claim that a WorkspaceAccess was created for.
func claimOfAccess(_ context.Context, event client.Event) ([]client.Key, error) {
	owner := metav1.GetControllerOf(event.Object)
	if owner == nil || owner.Kind != claimKind.Kind || owner.APIVersion != annexv1alpha1.SchemeGroupVersion.String() {
		return nil, nil
	}
	key := client.KeyOf(event.Object)
	key.Name = owner.Name
	return []client.Key{key}, nil
}

// claimed returns the workspace itself, if it was created for a claim.
func claimed(_ context.Context, event client.Event) ([]client.Key, error) {
	if _, ok := refOn(event.Object); !ok || event.Type == client.Deleted {
		return nil, nil
	}
	return []client.Key{client.KeyOf(event.Object)}, nil
}

// workspaceOfClaim returns the workspace of a claim that is gone.
func (r *reconciler) workspaceOfClaim(ctx context.Context, event client.Event) ([]client.Key, error) {
	claim, ok := event.Object.(*annexv1alpha1.WorkspaceClaim)
	if !ok || event.Type != client.Deleted {
		return nil, nil
	}
	if ws := claim.Status.Workspace; ws != nil && ws.Cluster != "" {
		key, found, err := r.workspaceOf(ctx, logicalcluster.Name(ws.Cluster))
		if err != nil || !found {
			return nil, err
		}
		return []client.Key{key}, nil
	}
	// The workspace may have been created although the claim did not say so yet.
	ref, err := claiming.RefOf(claim)
	if err != nil {
		return nil, nil //nolint:nilerr // such a claim has no workspace
	}
	class, err := client.Find[annexv1alpha1.WorkspaceClass](ctx, r.Client, classes, client.Key{Cluster: logicalcluster.From(claim), Name: ref.Class})
	if err != nil || class == nil {
		return nil, err
	}
	parent, _ := acceptedFor(class)
	return []client.Key{{Cluster: parent, Name: nameOf(claim, ref)}}, nil
}

// workspaceOf returns the key of the Workspace of a logical cluster; false if there is none.
func (r *reconciler) workspaceOf(ctx context.Context, cluster logicalcluster.Name) (client.Key, bool, error) {
	lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, r.Client, logicalClusters, client.Key{Cluster: cluster, Name: corev1alpha1.LogicalClusterName})
	if err != nil || lc == nil || lc.Spec.Owner == nil || lc.Spec.Owner.Resource != workspaces.Resource {
		return client.Key{}, false, err
	}
	return client.Key{Cluster: logicalcluster.Name(lc.Spec.Owner.Cluster), Name: lc.Spec.Owner.Name}, true, nil
}

// refOn returns the identity of the claim that a workspace was created for; false if it was created for none.
func refOn(obj metav1.Object) (claiming.Ref, bool) {
	return claiming.ParseRef(obj.GetAnnotations()[annexv1alpha1.ClaimRefAnnotationKey])
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	host, err := r.host(ctx)
	if err != nil || host.Empty() || host != key.Cluster {
		return reconcile.Result{}, err
	}
	old, err := client.Find[annexv1alpha1.WorkspaceClaim](ctx, r.Client, claims, key)
	if err != nil || old == nil || old.DeletionTimestamp != nil {
		return reconcile.Result{}, err
	}
	outlived, again, err := r.outlived(ctx, old)
	if err != nil {
		return reconcile.Result{}, err
	}
	if outlived {
		klog.FromContext(ctx).V(2).Info("Deleting a claim whose namespace of the host is gone", "claim", key)
		if err := r.Client.Delete(ctx, claims, key, &metav1.Preconditions{UID: &old.UID}); err != nil && !apierrors.IsNotFound(err) {
			return reconcile.Result{}, fmt.Errorf("deleting WorkspaceClaim %s, whose namespace of the host is gone: %w", key, err)
		}
		return reconcile.Result{}, nil
	}
	claim := old.DeepCopy()
	done, err := r.fill(ctx, claim)
	if err != nil {
		return reconcile.Result{}, err
	}
	claim.Status.ObservedGeneration = claim.Generation
	if !apiequality.Semantic.DeepEqual(old.Status, claim.Status) {
		if _, err := r.Client.Update(ctx, claims, key.Cluster, claim); err != nil && !apierrors.IsNotFound(err) {
			return reconcile.Result{}, fmt.Errorf("updating WorkspaceClaim %s: %w", key, err)
		}
	}
	if !done {
		return reconcile.Result{RequeueAfter: pending}, nil
	}
	return reconcile.Result{RequeueAfter: again}, nil
}

// outlived reports whether a claim has outlived its namespace of the host, and when to look again; 0 for when something else looks. What is in
// a Namespace that was created for a namespace of the host goes with that: see controllers/hostnamespace. Other Namespaces of the host
// workspace stay.
func (r *reconciler) outlived(ctx context.Context, claim *annexv1alpha1.WorkspaceClaim) (gone bool, again time.Duration, err error) {
	if r.Host == nil || hostnamespace.Of(claim) == "" {
		return false, 0, nil
	}
	ns, err := client.Find[corev1.Namespace](ctx, r.Client, namespaces, client.Key{Cluster: logicalcluster.From(claim), Name: claim.Namespace})
	if err != nil || ns == nil || ns.Labels[annexv1alpha1.HostNamespaceLabelKey] != "" {
		return false, 0, err
	}
	gone, err = hostnamespace.Gone(ctx, r.Host, claim)
	return gone, elsewhere, err
}
