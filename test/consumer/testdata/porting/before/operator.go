// Package widgets gives each Widget a Secret.
package widgets

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func newWidget() *unstructured.Unstructured {
	widget := &unstructured.Unstructured{}
	widget.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"})
	return widget
}

// Reconciler reconciles Widgets.
type Reconciler struct {
	client.Client
	Events events.EventRecorder
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	widget := newWidget()
	if err := r.Get(ctx, req.NamespacedName, widget); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: req.Namespace, Name: req.Name}}
	result, err := controllerutil.CreateOrUpdate(ctx, r.Client, secret, func() error {
		secret.StringData = map[string]string{"user": req.Name}
		return controllerutil.SetControllerReference(widget, secret, r.Scheme())
	})
	if err != nil {
		return reconcile.Result{}, err
	}
	if result == controllerutil.OperationResultCreated {
		r.Events.Eventf(widget, nil, corev1.EventTypeNormal, "Created", "Create", "created Secret %s", secret.Name)
	}
	if err := unstructured.SetNestedField(widget.Object, "Ready", "status", "phase"); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, r.Status().Update(ctx, widget)
}

// Run runs the operator until ctx ends.
func Run(ctx context.Context, config *rest.Config) error {
	mgr, err := manager.New(config, manager.Options{LeaderElection: true, LeaderElectionID: "widgets"})
	if err != nil {
		return err
	}
	err = builder.ControllerManagedBy(mgr).For(newWidget()).Owns(&corev1.Secret{}).Complete(
		&Reconciler{Client: mgr.GetClient(), Events: mgr.GetEventRecorder("widgets")})
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}
