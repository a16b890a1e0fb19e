// Widget-operator marks the Widgets of all consumers as ready.
package main

import (
	"context"
	"log"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/manager/signals"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/client/operator"
)

func newWidget() *unstructured.Unstructured {
	widget := &unstructured.Unstructured{}
	widget.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"})
	return widget
}

func main() {
	// The kubeconfig leads to the provider's workspace.
	mgr, err := operator.New(config.GetConfigOrDie(), operator.Options{
		EndpointSlice: "widgets", // has the name of the export
		Options:       manager.Options{Metrics: metricsserver.Options{BindAddress: "0"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	err = operator.ControllerManagedBy(mgr).For(newWidget()).Complete(operator.Func(func(ctx context.Context, r operator.Request) (reconcile.Result, error) {
		cluster, err := mgr.GetCluster(ctx, r.ClusterName)
		if err != nil {
			return reconcile.Result{}, err
		}
		widget := newWidget()
		if err := cluster.GetClient().Get(ctx, r.NamespacedName, widget); err != nil {
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
		if err := unstructured.SetNestedField(widget.Object, "Ready", "status", "phase"); err != nil {
			return reconcile.Result{}, err
		}
		cluster.GetEventRecorder("widget-operator").Eventf(widget, nil, corev1.EventTypeNormal, "Ready", "Reconcile", "the Widget is ready")
		return reconcile.Result{}, cluster.GetClient().Status().Update(ctx, widget)
	}))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(mgr.Start(signals.SetupSignalHandler()))
}
