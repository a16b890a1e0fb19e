package certificate

import (
	"context"
	"errors"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	// interval is the time between two looks at all clusters.
	interval = time.Hour
	// retry is how soon a look that failed is tried again.
	retry = time.Minute
	// pace is the pause between two clusters, so that other work can proceed.
	pace = 5 * time.Millisecond
)

var requests = certificatesv1.Resource("certificatesigningrequests")

// Specs returns the controller. Its keys are clusters.
func Specs(c multicluster.Config) []multicluster.Spec {
	r := &reconciler{Config: c, clock: clock.RealClock{}}
	return []multicluster.Spec{{
		Name:      "certificatesigningrequest-cleaner",
		Feeds:     []func(context.Context, func(client.Key, time.Duration)){r.sweep},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	multicluster.Config
	clock clock.Clock
}

// sweep queues the clusters with requests, once an hour until ctx ends.
func (r *reconciler) sweep(ctx context.Context, add func(client.Key, time.Duration)) {
	for {
		next := interval
		clusters, err := r.clusters(ctx)
		if err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "CertificateSigningRequests cannot be cleaned up; trying again", "resource", requests)
			next = retry
		}
		for i, cluster := range clusters {
			add(client.Key{Cluster: cluster}, time.Duration(i)*pace)
		}
		timer := r.clock.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
	}
}

// clusters returns the clusters that have requests.
func (r *reconciler) clusters(ctx context.Context) ([]logicalcluster.Name, error) {
	heads, err := r.Content.List(ctx, client.ContentScope{
		Wanted: func(resource schema.GroupResource, bucket string) bool { return resource == requests && bucket == "" },
	})
	if err != nil {
		return nil, err
	}
	var found []logicalcluster.Name
	for _, h := range heads { // in key order, so that those of a cluster are together
		if len(found) == 0 || found[len(found)-1] != h.Cluster {
			found = append(found, h.Cluster)
		}
	}
	return found, nil
}

// reconcile deletes the requests of a cluster that are due.
func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	all, err := client.List[certificatesv1.CertificateSigningRequest](ctx, r.Client, requests, client.Scope{Cluster: key.Cluster})
	if err != nil {
		return reconcile.Result{}, err
	}
	var failures []error
	for _, csr := range all {
		if csr.DeletionTimestamp != nil || !due(csr, r.clock.Now()) {
			continue
		}
		err := r.Client.Delete(ctx, requests, client.KeyOf(csr), &metav1.Preconditions{UID: &csr.UID, ResourceVersion: &csr.ResourceVersion})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) { // what has changed is looked at again in an hour
			failures = append(failures, fmt.Errorf("deleting CertificateSigningRequest %q: %w", csr.Name, err))
		}
	}
	return reconcile.Result{}, errors.Join(failures...)
}
