package controller

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/client/operator"
	appv1 "github.com/annex-dev/annex/examples/composition/api/v1"
	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
	routev1 "github.com/annex-dev/annex/examples/route-operator/api/v1"
)

const finalizer = "apps.example.com/parts"

// part is an object that an App consists of, and the condition of the App that says how it is.
type part struct {
	condition string
	object    client.Object
	// set brings the object into the state that the App wants.
	set func()
	// conditions returns those of the object.
	conditions func() []metav1.Condition
}

// Reconcile implements operator.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request operator.Request) (reconcile.Result, error) {
	in, app := r.Manager.In(request.ClusterName), &appv1.App{}
	if err := in.Get(ctx, request.NamespacedName, app); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !app.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, r.delete(ctx, in, app)
	}
	if controllerutil.AddFinalizer(app, finalizer) {
		if err := in.Update(ctx, app); err != nil {
			return reconcile.Result{}, fmt.Errorf("adding the finalizer: %w", client.IgnoreNotFound(err))
		}
	}
	name := metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}
	database, route := &databasev1.Database{ObjectMeta: name}, &routev1.Route{ObjectMeta: name}
	before := app.DeepCopy()
	ready := true
	for _, p := range []part{
		{appv1.DatabaseReady, database, func() { database.Spec.ConnectionLimit = app.Spec.ConnectionLimit }, func() []metav1.Condition { return database.Status.Conditions }},
		{appv1.RouteReady, route, func() { route.Spec.Host = app.Spec.Host }, func() []metav1.Condition { return route.Status.Conditions }},
	} {
		condition, err := ensure(ctx, in, app, p)
		if err != nil {
			return reconcile.Result{}, err
		}
		meta.SetStatusCondition(&app.Status.Conditions, condition)
		ready = ready && condition.Status == metav1.ConditionTrue
	}
	app.Status.URL, app.Status.SecretName = route.Status.URL, database.Status.SecretName
	return reconcile.Result{}, writeStatus(ctx, in, before, app, ready)
}

// ensure makes a part or brings it up to date, and returns the condition of the App that says how it is.
func ensure(ctx context.Context, in client.Client, app *appv1.App, p part) (metav1.Condition, error) {
	says := metav1.Condition{Type: p.condition, Status: metav1.ConditionFalse, ObservedGeneration: app.Generation}
	foreign := false
	_, err := controllerutil.CreateOrUpdate(ctx, in, p.object, func() error {
		if foreign = p.object.GetUID() != "" && !metav1.IsControlledBy(p.object, app); foreign {
			return nil // which changes nothing
		}
		p.set()
		return controllerutil.SetControllerReference(app, p.object, in.Scheme())
	})
	switch own := meta.FindStatusCondition(p.conditions(), "Ready"); {
	case apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || meta.IsNoMatchError(err):
		says.Reason, says.Message = "NotAllowed", "The workspace must bind the API of this part, and the APIBinding of Apps must accept the claim on it."
	case apierrors.IsInvalid(err):
		says.Reason, says.Message = "Refused", err.Error()
	case err != nil:
		return says, fmt.Errorf("making the part for %s: %w", p.condition, err)
	case foreign:
		says.Reason, says.Message = "Conflict", "An object of this name exists and does not belong to the App."
	case own == nil || own.ObservedGeneration != p.object.GetGeneration():
		says.Reason, says.Message = "Pending", "Its operator has not looked at it yet."
	default:
		says.Status, says.Reason, says.Message = own.Status, own.Reason, own.Message
	}
	return says, nil
}

// writeStatus writes the status if it has changed.
func writeStatus(ctx context.Context, in client.Client, before, app *appv1.App, ready bool) error {
	all := metav1.Condition{Type: appv1.Ready, Status: metav1.ConditionFalse, Reason: "PartsNotReady", Message: "Not all parts are ready.", ObservedGeneration: app.Generation}
	if ready {
		all.Status, all.Reason, all.Message = metav1.ConditionTrue, "PartsReady", "All parts are ready."
	}
	meta.SetStatusCondition(&app.Status.Conditions, all)
	if equality.Semantic.DeepEqual(before.Status, app.Status) {
		return nil
	}
	if err := in.Status().Patch(ctx, app, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}
