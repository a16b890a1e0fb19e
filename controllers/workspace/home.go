package workspace

import (
	"context"
	"errors"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/core/clustername"
	"github.com/annex-dev/annex/apis/core/limits"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// Homes makes the home workspaces of users: logical clusters without a Workspace. Every server makes them, whether it runs the controllers
// or not, because a user waits for it. It is safe for concurrent use.
type Homes struct {
	config Config
	binder func() Binder
}

// NewHomes returns a maker of home workspaces. binder is called for each one, and ignores the Binder of c: what a controller keeps of a
// binding it forgets by events, which it does not get everywhere.
func NewHomes(c Config, binder func() Binder) *Homes { return &Homes{config: c, binder: binder} }

// Make returns the LogicalCluster of the home workspace of a user, which it creates if there is none. Usually it is Ready. If it has to wait,
// for example for an API that it binds, the controller completes it. It may be that of another user whose name has the same hash.
func (h *Homes) Make(ctx context.Context, owner *authenticationv1.UserInfo) (*corev1alpha1.LogicalCluster, error) {
	c := h.config
	c.Binder = h.binder()
	r := &reconciler{Config: c}
	p, err := r.planHome(ctx, owner)
	if err != nil {
		return nil, err
	}
	name := clustername.Home(owner.Username)
	bindings, final, err := r.bindings(ctx, name, p)
	if err != nil {
		return nil, err
	}
	lc, err := newHome(p)
	if err != nil {
		return nil, err
	}
	if final {
		if err := r.makeFrom(ctx, name, lc, p, bindings); err != nil {
			return nil, err
		}
	}
	// Until the controller has made what is in it, a home workspace has the initializer of default bindings.
	lc.Spec.Initializers = withoutBindings(lc.Spec.Initializers)
	if lc.Annotations[corev1alpha1.MadeFromAnnotationKey] == "" {
		lc.Spec.Initializers = append(lc.Spec.Initializers, typeresolution.SystemAPIBindingsInitializer)
	}
	lc.Status.Initializers, lc.Status.Terminators = lc.Spec.Initializers, lc.Spec.Terminators
	if lc.Status.Phase = corev1alpha1.LogicalClusterPhaseReady; len(lc.Status.Initializers) > 0 {
		lc.Status.Phase = corev1alpha1.LogicalClusterPhaseInitializing
	}
	created, err := r.Client.Create(ctx, logicalClusters, name, lc)
	if apierrors.IsAlreadyExists(err) {
		created, err = r.Live.Get(ctx, logicalClusters, client.Key{Cluster: name, Name: corev1alpha1.LogicalClusterName})
	}
	if err != nil {
		return nil, fmt.Errorf("creating the LogicalCluster of %s: %w", name, err)
	}
	return typed(created)
}

// planHome returns the plan for the home workspace of a user.
func (r *reconciler) planHome(ctx context.Context, owner *authenticationv1.UserInfo) (plan, error) {
	ref := &tenancyv1alpha1.WorkspaceTypeReference{Name: tenancyv1alpha1.HomeWorkspaceTypeName, Path: logicalcluster.Root.String()}
	home := &tenancyv1alpha1.Workspace{Spec: tenancyv1alpha1.WorkspaceSpec{Type: ref}}
	shard, reason, err := r.schedule(ctx, home)
	if err != nil {
		return plan{}, err
	}
	if shard == nil {
		return plan{}, errors.New(reason)
	}
	p := plan{shard: shard, path: clustername.HomePath(owner.Username), creator: owner}
	p.types, err = r.aliases(ctx, home)
	return p, err
}

// newHome returns the LogicalCluster of a home workspace in its final state, except the phase. Its owner may delete it: there is no Workspace to delete.
func newHome(p plan) (*corev1alpha1.LogicalCluster, error) {
	note, err := shortNote(p.creator)
	if err != nil {
		return nil, err
	}
	lc := &corev1alpha1.LogicalCluster{
		ObjectMeta: metav1.ObjectMeta{
			Name: corev1alpha1.LogicalClusterName,
			Annotations: map[string]string{
				logicalcluster.PathAnnotationKey:                        p.path.String(),
				corev1alpha1.LogicalClusterShardAnnotationKey:           p.shard.Name,
				corev1alpha1.LogicalClusterTypeAnnotationKey:            homeType,
				tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey: note,
			},
			Finalizers: []string{corev1alpha1.LogicalClusterDeletionFinalizer},
		},
		Spec: corev1alpha1.LogicalClusterSpec{
			DirectlyDeletable: true,
			CreatedBy:         p.creator,
			Initializers:      typeresolution.Initializers(p.types),
			Terminators:       typeresolution.Terminators(p.types),
		},
	}
	if ofTypes := limits.OfTypes(p.types); ofTypes.Any() {
		lc.Annotations[corev1alpha1.TypeLimitsAnnotationKey] = limits.Amount(ofTypes).String()
	}
	if clusters := typeresolution.RecordedClusters(p.types); clusters != "" {
		lc.Annotations[corev1alpha1.TypeClustersAnnotationKey] = clusters
	}
	if len(typeresolution.Maintained(p.types)) > 0 {
		conditionsv1alpha1.MarkTrue(lc, corev1alpha1.APIBindingsReconciled)
	}
	return lc, nil
}

// homeType is the type of home workspaces as it is in the annotation of their LogicalClusters.
var homeType = logicalcluster.Root.Path().Join(string(tenancyv1alpha1.HomeWorkspaceTypeName)).String()

// isHome reports whether lc is that of a home workspace.
func isHome(lc *corev1alpha1.LogicalCluster) bool {
	by := lc.Spec.CreatedBy
	return lc.Spec.Owner == nil && by != nil && lc.Annotations[corev1alpha1.LogicalClusterTypeAnnotationKey] == homeType &&
		logicalcluster.From(lc) == clustername.Home(by.Username)
}
