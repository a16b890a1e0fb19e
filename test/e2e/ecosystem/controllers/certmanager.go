package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// certManagerLease is the name of the lease that cert-manager's own program takes.
const certManagerLease = "cert-manager-controller"

// certManager runs all controllers of cert-manager, except those that reach for servers elsewhere: ACME, Vault and Venafi.
func certManager(ctx context.Context, o options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	factory, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig:         o.kubeconfig,
		KubernetesAPIQPS:   20,
		KubernetesAPIBurst: 50,
		IssuerOptions:      controller.IssuerOptions{ClusterResourceNamespace: o.namespace},
		CertificateOptions: controller.CertificateOptions{
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
	})
	if err != nil {
		return fmt.Errorf("preparing cert-manager: %w", err)
	}
	shared, err := factory.Build("leader-election")
	if err != nil {
		return fmt.Errorf("making clients: %w", err)
	}
	identity := fmt.Sprintf("controllers_%d_%d", os.Getpid(), time.Now().UnixNano())
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, o.namespace, certManagerLease, shared.Client.CoreV1(), shared.Client.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: identity, EventRecorder: shared.Recorder})
	if err != nil {
		return fmt.Errorf("making the lock of the leader: %w", err)
	}
	failed := make(chan error, 1)
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: lock, Name: certManagerLease, ReleaseOnCancel: true,
		LeaseDuration: o.lease, RenewDeadline: o.lease * (retries - 1) / retries, RetryPeriod: o.lease / retries,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				failed <- runCertManager(ctx, factory, shared)
				cancel()
			},
			OnStoppedLeading: cancel,
			OnNewLeader: func(id string) {
				fmt.Fprintf(os.Stderr, "%s leads (%s since %s)\n", id, identity, metav1.Now().Format(time.RFC3339))
			},
		},
	})
	select {
	case err := <-failed:
		return err
	default:
		return errors.New("somebody else leads")
	}
}

// runCertManager runs every controller that is registered until ctx ends.
func runCertManager(ctx context.Context, factory *controller.ContextFactory, shared *controller.Context) error {
	known := controller.Known()
	ended := make(chan error, len(known))
	for name, construct := range known {
		loop, err := construct(factory)
		if err != nil {
			return fmt.Errorf("making controller %s: %w", name, err)
		}
		go func() { ended <- loop.Run(5, ctx) }()
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	return <-ended
}
