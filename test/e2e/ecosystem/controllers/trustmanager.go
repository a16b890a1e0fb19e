package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	trustv1alpha1 "github.com/cert-manager/trust-manager/pkg/apis/trust/v1alpha1"
	"github.com/cert-manager/trust-manager/pkg/bundle"
	"github.com/cert-manager/trust-manager/pkg/bundle/controller"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// trustManager runs the controller that distributes the certificates of Bundles.
func trustManager(ctx context.Context, o options) error {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, nil)))
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading credentials: %w", err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, trustv1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("making a scheme: %w", err)
		}
	}
	options := controller.Options{Namespace: o.namespace}
	renew, retry := o.lease*(retries-1)/retries, o.lease/retries
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Cache: bundle.CacheOpts(options),
		LeaderElection: true, LeaderElectionID: "trust-manager-leader-election", LeaderElectionNamespace: o.namespace, LeaderElectionReleaseOnCancel: true,
		LeaseDuration: &o.lease, RenewDeadline: &renew, RetryPeriod: &retry,
		HealthProbeBindAddress: "0", Metrics: server.Options{BindAddress: "0"},
	})
	if err != nil {
		return fmt.Errorf("making a manager: %w", err)
	}
	if err := bundle.SetupWithManager(ctx, manager, options); err != nil {
		return fmt.Errorf("setting up the controller of Bundles: %w", err)
	}
	return manager.Start(ctx)
}
