package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/core/clustername"
	"github.com/annex-dev/annex/apis/core/limits"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

const (
	// maxAttempts is how many names are tried; a second one is needed for about one in 10^24 workspaces.
	maxAttempts = 8
	// soonest and latest limit the time between two checks of a waiting workspace, whose event may have been missed. A check needs
	// reads and writes, and some workspaces wait forever.
	soonest = time.Second
	latest  = time.Minute
	// waitForTypes is how long until types that could not be resolved are tried again.
	waitForTypes = 5 * time.Second
)

// plan is the plan for a new workspace.
type plan struct {
	shard   *corev1alpha1.Shard
	path    logicalcluster.Path
	types   []*typeresolution.Type
	creator *authenticationv1.UserInfo
}

// provision creates what ws needs, and then updates ws once.
func (r *reconciler) provision(ctx context.Context, ws *tenancyv1alpha1.Workspace) (reconcile.Result, error) {
	parent, err := r.logicalCluster(ctx, r.Client, logicalcluster.From(ws))
	if apierrors.IsNotFound(err) {
		// Either the cache is outdated, or the cluster is deleted together with this workspace.
		return reconcile.Result{RequeueAfter: r.patience(ws)}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the LogicalCluster of the parent: %w", err)
	}
	if parent.DeletionTimestamp != nil {
		return reconcile.Result{}, nil // the workspace is about to be deleted
	}
	shard, reason, err := r.schedule(ctx, ws)
	if err != nil {
		return reconcile.Result{}, err
	}
	if shard == nil {
		return reconcile.Result{}, r.updateWorkspace(ctx, ws, func(ws *tenancyv1alpha1.Workspace) {
			conditionsv1alpha1.MarkFalse(ws, tenancyv1alpha1.WorkspaceScheduled, tenancyv1alpha1.WorkspaceReasonUnschedulable,
				conditionsv1alpha1.ConditionSeverityError, "%s", reason)
		})
	}
	p := plan{shard: shard, path: pathOf(parent).Join(ws.Name)}
	if p.creator, err = creator(ws); err != nil {
		return reconcile.Result{}, r.stuck(ctx, ws, corev1alpha1.WorkspaceInitialized, tenancyv1alpha1.WorkspaceReasonReasonUnknown, err)
	}
	if p.types, err = r.aliases(ctx, ws); err != nil {
		if isTransient(err) {
			return reconcile.Result{}, err
		}
		return reconcile.Result{RequeueAfter: waitForTypes}, r.stuck(ctx, ws, corev1alpha1.APIBindingsInitialized, corev1alpha1.WorkspaceTypesInvalidReason, err)
	}
	return r.build(ctx, ws, p)
}

// patience returns the time until the next check of a waiting workspace. The older the workspace, the longer the time.
func (r *reconciler) patience(ws *tenancyv1alpha1.Workspace) time.Duration {
	return min(max(r.Clock.Since(ws.CreationTimestamp.Time)/4, soonest), latest)
}

// pathOf returns the canonical path of the cluster of lc.
func pathOf(lc *corev1alpha1.LogicalCluster) logicalcluster.Path {
	if path := lc.Annotations[logicalcluster.PathAnnotationKey]; path != "" {
		return logicalcluster.Path(path)
	}
	return logicalcluster.From(lc).Path()
}

// isTransient reports whether err came from the storage, and not from what users wrote.
func isTransient(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && !apierrors.IsNotFound(err)
}

// stuck sets a condition of ws with the obstacle.
func (r *reconciler) stuck(ctx context.Context, ws *tenancyv1alpha1.Workspace, condition conditionsv1alpha1.ConditionType, reason string, cause error) error {
	return r.updateWorkspace(ctx, ws, func(ws *tenancyv1alpha1.Workspace) {
		conditionsv1alpha1.MarkFalse(ws, condition, reason, conditionsv1alpha1.ConditionSeverityError, "%s", cause)
	})
}

// build creates the logical cluster and its initial content.
func (r *reconciler) build(ctx context.Context, ws *tenancyv1alpha1.Workspace, p plan) (reconcile.Result, error) {
	lc, bindings, err := r.ensureLogicalCluster(ctx, ws, p)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !owns(ws, lc) {
		// An administrator set an existing cluster, so there is nothing to create.
		return reconcile.Result{}, r.finish(ctx, ws, lc, p)
	}
	if lc.DeletionTimestamp != nil {
		return reconcile.Result{}, nil // the workspace is about to be deleted
	}
	name := logicalcluster.From(lc)
	var refused error
	missing := append(bindings, basics(p)...)
	if lc.Annotations[corev1alpha1.MadeFromAnnotationKey] != "" {
		missing = nil
	}
	for _, c := range missing {
		_, err := r.Client.Create(ctx, c.Resource, name, c.Object)
		switch {
		case err == nil, apierrors.IsAlreadyExists(err):
		case apierrors.HasStatusCause(err, limits.ExceededCause):
			// The limits of the type do not leave room for what every workspace contains.
			return reconcile.Result{RequeueAfter: r.patience(ws)}, r.stuck(ctx, ws, corev1alpha1.WorkspaceInitialized, tenancyv1alpha1.WorkspaceReasonReasonUnknown, err)
		case c.Resource == apiBindings && (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)):
			// The type names an export that does not exist. Report the fault, and create the rest of the workspace.
			refused = cmp.Or(refused, fmt.Errorf("creating APIBinding %q: %w", c.Object.GetName(), err))
		default:
			return reconcile.Result{}, fmt.Errorf("creating %s %q in %s: %w", c.Resource, c.Object.GetName(), name, err)
		}
	}
	if awaitsBindings(lc) {
		if waiting := r.unbound(ctx, name, bindings); waiting != "" {
			return reconcile.Result{RequeueAfter: r.patience(ws)}, r.initializing(ctx, ws, lc, p, waiting, refused)
		}
		if lc, err = r.haveBound(ctx, lc); err != nil {
			return reconcile.Result{}, err
		}
	}
	if refused != nil {
		// The export was deleted after the logical cluster was created. The logical cluster is ready.
		return reconcile.Result{RequeueAfter: r.patience(ws)}, r.stuck(ctx, ws, corev1alpha1.APIBindingsInitialized, corev1alpha1.APIBindingErrorsReason, refused)
	}
	return reconcile.Result{}, r.finish(ctx, ws, lc, p)
}

// awaitsBindings reports whether lc waits for its default bindings. One that an earlier release created has no initializer for them.
func awaitsBindings(lc *corev1alpha1.LogicalCluster) bool {
	switch lc.Status.Phase {
	case corev1alpha1.LogicalClusterPhaseScheduling:
		return true
	case corev1alpha1.LogicalClusterPhaseInitializing:
		return len(lc.Status.Initializers) == 0 || slices.Contains(lc.Status.Initializers, typeresolution.SystemAPIBindingsInitializer)
	}
	return false
}

// haveBound ends the wait of lc for its default bindings, and returns it as it is then. It is Ready unless other initializers are left.
func (r *reconciler) haveBound(ctx context.Context, lc *corev1alpha1.LogicalCluster) (*corev1alpha1.LogicalCluster, error) {
	bound := lc.DeepCopy()
	bound.Status.Initializers = withoutBindings(bound.Status.Initializers)
	if bound.Status.Phase = corev1alpha1.LogicalClusterPhaseReady; len(bound.Status.Initializers) > 0 {
		bound.Status.Phase = corev1alpha1.LogicalClusterPhaseInitializing
	}
	name := logicalcluster.From(lc)
	updated, err := r.Client.Update(ctx, logicalClusters, name, bound)
	if err != nil {
		return nil, fmt.Errorf("updating the LogicalCluster of %s: %w", name, err)
	}
	return typed(updated)
}

// withoutBindings returns initializers without the one that makes default bindings.
func withoutBindings(initializers []corev1alpha1.LogicalClusterInitializer) []corev1alpha1.LogicalClusterInitializer {
	return slices.DeleteFunc(slices.Clone(initializers), func(i corev1alpha1.LogicalClusterInitializer) bool {
		return i == typeresolution.SystemAPIBindingsInitializer
	})
}

func typed(obj client.Object) (*corev1alpha1.LogicalCluster, error) {
	lc, ok := obj.(*corev1alpha1.LogicalCluster)
	if !ok {
		return nil, fmt.Errorf("writing a LogicalCluster: got back a %T", obj)
	}
	return lc, nil
}

// basics returns the initial objects of every workspace, except its bindings.
func basics(p plan) []client.Initial {
	var made []client.Initial
	for _, name := range defaultNamespaces {
		made = append(made, client.Initial{Resource: namespaces, Object: newNamespace(name)})
	}
	if p.creator != nil {
		made = append(made, client.Initial{Resource: clusterRoleBindings, Object: newAdminBinding(p.creator.Username)})
	}
	return made
}

// ensureLogicalCluster returns the LogicalCluster of ws, which it creates if necessary, and its default bindings.
func (r *reconciler) ensureLogicalCluster(ctx context.Context, ws *tenancyv1alpha1.Workspace, p plan) (*corev1alpha1.LogicalCluster, []client.Initial, error) {
	for attempt := range maxAttempts {
		name, last := clusterName(ws, attempt)
		bindings, final, err := r.bindings(ctx, name, p)
		if err != nil {
			return nil, nil, err
		}
		lc, err := newLogicalCluster(ws, p)
		if err != nil {
			return nil, nil, err
		}
		if final {
			lc.Spec.Initializers = withoutBindings(lc.Spec.Initializers)
			if err := r.makeFrom(ctx, name, lc, p, bindings); err != nil {
				return nil, nil, err
			}
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
			return nil, nil, fmt.Errorf("creating the LogicalCluster of %s: %w", name, err)
		}
		if lc, err = typed(created); err != nil {
			return nil, nil, err
		}
		if last || owns(ws, lc) {
			return lc, bindings, nil
		}
	}
	return nil, nil, fmt.Errorf("all %d names that were tried for the logical cluster are already used", maxAttempts)
}

// makeFrom lets the cluster of lc contain from the beginning what every workspace of its types does.
func (r *reconciler) makeFrom(ctx context.Context, name logicalcluster.Name, lc *corev1alpha1.LogicalCluster, p plan, bindings []client.Initial) error {
	if r.Templates == nil {
		return nil
	}
	values := []string{p.path.String()}
	if p.creator != nil {
		values = append(values, p.creator.Username)
	}
	for _, b := range bindings {
		values = append(values, b.Object.GetName())
	}
	objects := append(basics(p), bindings...)
	if r.Contents != nil {
		for _, namespace := range defaultNamespaces {
			objects = append(objects, r.Contents(namespace)...)
		}
	}
	annotations, err := r.Templates.MakeFrom(ctx, name, lc.Annotations, objects, values)
	if err != nil {
		return fmt.Errorf("making %s from a template: %w", name, err)
	}
	for key, value := range annotations {
		annotate(lc, key, value)
	}
	return nil
}

// clusterName returns the name to try for the logical cluster of ws. last is true if there is no other name, because spec.cluster sets
// it.
func clusterName(ws *tenancyv1alpha1.Workspace, attempt int) (name logicalcluster.Name, last bool) {
	if ws.Spec.Cluster != "" {
		return logicalcluster.Name(ws.Spec.Cluster), true
	}
	return clustername.FromUID(ws.UID, attempt), false
}

// bindings returns the default bindings of a new workspace, and whether all of them are already bound.
func (r *reconciler) bindings(ctx context.Context, name logicalcluster.Name, p plan) (made []client.Initial, final bool, err error) {
	final = true
	for _, ref := range typeresolution.DefaultAPIBindings(p.types) {
		obj, err := r.Binder.FinalBinding(ctx, name, ref)
		if err != nil {
			return nil, false, fmt.Errorf("making the binding to %s: %w", ref.Path.Join(ref.Export), err)
		}
		// The cluster is new, so admission would have to read its path from etcd.
		annotate(obj, logicalcluster.PathAnnotationKey, p.path.String())
		made = append(made, client.Initial{Resource: apiBindings, Object: obj})
		final = final && isBound(obj)
	}
	return made, final, nil
}

func isBound(obj client.Object) bool {
	binding, ok := obj.(*apisv1alpha2.APIBinding)
	return ok && binding.Status.Phase == apisv1alpha2.APIBindingPhaseBound
}

// unbound returns the name of the first binding that is not bound yet; empty if there is none.
func (r *reconciler) unbound(ctx context.Context, name logicalcluster.Name, bindings []client.Initial) string {
	for _, b := range bindings {
		obj, err := r.Client.Get(ctx, apiBindings, client.Key{Cluster: name, Name: b.Object.GetName()})
		if err != nil || !isBound(obj) {
			return b.Object.GetName()
		}
	}
	return ""
}

// initializing sets conditions of ws: it is scheduled and waits for a binding. If refused is set, that binding could not be created.
func (r *reconciler) initializing(ctx context.Context, ws *tenancyv1alpha1.Workspace, lc *corev1alpha1.LogicalCluster, p plan, binding string, refused error) error {
	return r.updateWorkspace(ctx, ws, func(ws *tenancyv1alpha1.Workspace) {
		r.place(ws, lc, p)
		conditionsv1alpha1.MarkFalse(ws, corev1alpha1.WorkspaceInitialized, corev1alpha1.InitializerExistsReason,
			conditionsv1alpha1.ConditionSeverityInfo, "waiting for default APIBindings")
		if refused != nil {
			conditionsv1alpha1.MarkFalse(ws, corev1alpha1.APIBindingsInitialized, corev1alpha1.APIBindingErrorsReason,
				conditionsv1alpha1.ConditionSeverityError, "%s", refused)
			return
		}
		conditionsv1alpha1.MarkFalse(ws, corev1alpha1.APIBindingsInitialized, corev1alpha1.WaitingOnAPIBindingsReason,
			conditionsv1alpha1.ConditionSeverityInfo, "APIBinding %q is not bound yet", binding)
	})
}

// finish records in ws that everything is made, so that users can enter it. It is Ready unless initializers are left.
func (r *reconciler) finish(ctx context.Context, ws *tenancyv1alpha1.Workspace, lc *corev1alpha1.LogicalCluster, p plan) error {
	var failed error
	err := r.updateWorkspace(ctx, ws, func(ws *tenancyv1alpha1.Workspace) {
		r.place(ws, lc, p)
		failed = made(ws, lc)
		if len(typeresolution.Maintained(p.types)) > 0 {
			conditionsv1alpha1.MarkTrue(ws, corev1alpha1.APIBindingsReconciled)
		}
	})
	return errors.Join(failed, err)
}

// made sets the conditions of ws when all that this controller makes is there, and shortens the note about its creator when it is Ready.
func made(ws *tenancyv1alpha1.Workspace, lc *corev1alpha1.LogicalCluster) error {
	conditionsv1alpha1.MarkTrue(ws, corev1alpha1.APIBindingsInitialized)
	waits := lc.Status.Phase == corev1alpha1.LogicalClusterPhaseInitializing
	if waits {
		conditionsv1alpha1.MarkFalse(ws, corev1alpha1.WorkspaceInitialized, corev1alpha1.InitializerExistsReason,
			conditionsv1alpha1.ConditionSeverityInfo, "Initializers still exist: %v", lc.Status.Initializers)
	} else {
		conditionsv1alpha1.MarkTrue(ws, corev1alpha1.WorkspaceInitialized)
	}
	mirror(ws, lc)
	if waits {
		return nil
	}
	user, err := creator(ws)
	if err != nil || user == nil {
		return err
	}
	note, err := shortNote(user)
	if err != nil {
		return err
	}
	annotate(ws, tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey, note)
	return nil
}

// place records the logical cluster of ws.
func (r *reconciler) place(ws *tenancyv1alpha1.Workspace, lc *corev1alpha1.LogicalCluster, p plan) {
	name := logicalcluster.From(lc)
	ws.Spec.Cluster = name.String()
	annotate(ws, corev1alpha1.LogicalClusterShardAnnotationKey, p.shard.Name)
	annotate(ws, tenancyv1alpha1.WorkspaceClusterAnnotationKey, name.String())
	if region := p.shard.Labels[regionLabel]; region != "" && ws.Labels[regionLabel] == "" {
		label(ws, regionLabel, region)
	}
	setPhase(ws, lc.Status.Phase)
	ws.Status.Initializers, ws.Status.Terminators = lc.Status.Initializers, lc.Status.Terminators
	conditionsv1alpha1.MarkTrue(ws, tenancyv1alpha1.WorkspaceScheduled)
}
