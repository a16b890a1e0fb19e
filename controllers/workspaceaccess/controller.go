package workspaceaccess

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/hostnamespace"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	workers = 4
	// recheck is the pause between two looks at what was made.
	recheck = 5 * time.Minute
	// soon and latest bound the pause between two looks at a workspace that is not ready.
	soon, latest = time.Second, time.Minute
	// elsewhere is the pause between two looks at what is missing, which comes without an event here, such as a workspace.
	elsewhere = 10 * time.Second
	// sweepPace is the pause between two objects when all are looked at.
	sweepPace = 5 * time.Millisecond
)

var (
	accesses = annexv1alpha1.Resource("workspaceaccesses")
	accounts = corev1.Resource("serviceaccounts")
	secrets  = corev1.Resource("secrets")
	bindings = rbacv1.Resource("clusterrolebindings")
)

// Tokens issues tokens of ServiceAccounts.
type Tokens interface {
	// Issue returns a token of an account that begins now and lives as long as it is allowed to, at most for life, and when it expires.
	Issue(ctx context.Context, cluster logicalcluster.Name, account *corev1.ServiceAccount, now time.Time, life time.Duration) (token string, expires time.Time, err error)
}

// Host is what the controller does on the host. The typed client of the core group is one.
type Host interface {
	corev1client.NamespacesGetter
	corev1client.SecretsGetter
}

// Config contains the dependencies of the controller.
type Config struct {
	multicluster.Config
	Tokens Tokens
	// External returns the URL at which clients reach the server, without a path.
	External func() string
	// CABundle returns the certificates that clients verify the server with, in PEM format, and a channel that is closed when they change.
	CABundle func() ([]byte, <-chan struct{})
	// Host is nil if there is none, or if it cannot be asked.
	Host Host
	// Workspace is the host workspace; empty without a host.
	Workspace logicalcluster.Path
	// Clock is nil for the real one.
	Clock clock.PassiveClock
}

// Specs returns the controller.
func Specs(c Config) []multicluster.Spec {
	r := newReconciler(c)
	return []multicluster.Spec{{
		Name:      "workspaceaccess",
		Workers:   workers,
		Watches:   []multicluster.Watch{{Resource: accesses}},
		Feeds:     []func(context.Context, func(client.Key, time.Duration)){r.followBundle},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct{ Config }

func newReconciler(c Config) *reconciler {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	return &reconciler{c}
}

// followBundle queues all objects when the certificates change, which are in every Secret.
func (r *reconciler) followBundle(ctx context.Context, add func(client.Key, time.Duration)) {
	for {
		_, outdated := r.CABundle()
		select {
		case <-ctx.Done():
			return
		case <-outdated:
		}
		all, err := r.Client.List(ctx, accesses, client.Scope{})
		if err != nil && ctx.Err() == nil {
			// Each object is looked at within a few minutes anyway.
			klog.FromContext(ctx).Error(err, "Listing the WorkspaceAccesses after a change of the certificates")
		}
		for i, obj := range all {
			add(client.KeyOf(obj), time.Duration(i)*sweepPace)
		}
	}
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	old, err := client.Find[annexv1alpha1.WorkspaceAccess](ctx, r.Client, accesses, key)
	if err != nil || old == nil {
		return reconcile.Result{}, err
	}
	place, err := r.placeOf(ctx, key, old)
	if err != nil {
		return reconcile.Result{}, err
	}
	if old.DeletionTimestamp != nil {
		return reconcile.Result{}, r.release(ctx, key, old, place)
	}
	gone, fault := place.gone(ctx, old)
	if fault == nil && gone {
		if err := r.Client.Delete(ctx, accesses, key, &metav1.Preconditions{UID: &old.UID}); err != nil && !apierrors.IsNotFound(err) {
			return reconcile.Result{}, fmt.Errorf("deleting WorkspaceAccess %s, whose namespace of the host is gone: %w", key, err)
		}
		return reconcile.Result{}, nil
	}
	access := old.DeepCopy()
	var next time.Duration
	if fault != nil {
		next, fault = unwritten(access, place, fault)
	} else {
		next, fault = r.fill(ctx, key, access, place)
	}
	if fault == nil {
		access.Status.ObservedGeneration = access.Generation
	}
	conditionsv1alpha1.SetSummary(access, annexv1alpha1.WorkspaceValid, annexv1alpha1.AccessGranted, annexv1alpha1.SecretWritten)
	if !apiequality.Semantic.DeepEqual(old, access) {
		if _, err := r.Client.Update(ctx, accesses, key.Cluster, access); err != nil && !apierrors.IsNotFound(err) {
			return reconcile.Result{}, fmt.Errorf("updating WorkspaceAccess %s: %w", key, err)
		}
	}
	return reconcile.Result{RequeueAfter: next}, fault
}

// fill does what is missing, updates the status of access, which the caller owns, and returns when to look again.
func (r *reconciler) fill(ctx context.Context, key client.Key, access *annexv1alpha1.WorkspaceAccess, at place) (time.Duration, error) {
	later, err := r.target(ctx, key, access, at)
	if err != nil || later > 0 {
		return later, err
	}
	account, err := r.grant(ctx, key, access)
	switch {
	case errors.Is(err, errForeign):
		failed(access, annexv1alpha1.AccessGranted, annexv1alpha1.ConflictReason, "%s", err)
		return recheck, nil
	case apierrors.IsForbidden(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause): // by a limit of the workspace
		failed(access, annexv1alpha1.AccessGranted, annexv1alpha1.ForbiddenReason, "%s", err)
		return elsewhere, nil
	case err != nil:
		return 0, err
	case account == nil:
		return recheck, r.withdraw(ctx, access, at)
	}
	return r.write(ctx, key, access, at, account)
}

// nameOf is the name of everything that is made in the workspace for access. Nobody knows it before access exists.
func nameOf(access *annexv1alpha1.WorkspaceAccess) string {
	return "workspaceaccess-" + string(access.UID)
}

// mark marks obj as made for access.
func mark(obj client.Object, key client.Key, access *annexv1alpha1.WorkspaceAccess) {
	labels, annotations := obj.GetLabels(), obj.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels[annexv1alpha1.WorkspaceAccessUIDLabelKey] = string(access.UID)
	annotations[annexv1alpha1.WorkspaceAccessAnnotationKey] = fmt.Sprintf("%s/%s/%s", key.Cluster, key.Namespace, key.Name)
	obj.SetLabels(labels)
	obj.SetAnnotations(annotations)
}

// marked reports whether obj was made for access.
func marked(obj client.Object, access *annexv1alpha1.WorkspaceAccess) bool {
	return access.UID != "" && obj.GetLabels()[annexv1alpha1.WorkspaceAccessUIDLabelKey] == string(access.UID)
}

// failed sets a condition to False.
func failed(access *annexv1alpha1.WorkspaceAccess, condition conditionsv1alpha1.ConditionType, reason, format string, args ...any) {
	conditionsv1alpha1.MarkFalse(access, condition, reason, conditionsv1alpha1.ConditionSeverityError, format, args...)
}

// inHost reports whether access belongs to a namespace of the host.
func (r *reconciler) inHost(ctx context.Context, key client.Key, access *annexv1alpha1.WorkspaceAccess) (bool, error) {
	if hostnamespace.Of(access) == "" {
		return false, nil
	}
	return hostnamespace.In(ctx, r.Resolver, r.Workspace, key.Cluster)
}
