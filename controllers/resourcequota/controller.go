package resourcequota

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/core/quota"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	workers = 4
	// settles is how long a change of a count waits for others: somebody who creates many objects causes few writes of a status.
	settles = 200 * time.Millisecond
	// most is how many statuses are written at a time. A namespace with many quotas must not cause many writes with each of its own.
	most = 10
)

// Counts knows how many objects namespaces have; registry/storage.Backend is one.
type Counts interface {
	// QuotaCounts returns how many objects there are of each resource that the quotas of a namespace limit, and puts right what storage
	// has counted.
	QuotaCounts(ctx context.Context, cluster logicalcluster.Name, namespace string, quotas []*corev1.ResourceQuota) (quota.Counts, error)
	// WatchQuotaCounts calls changed for each namespace with quotas, and for each in which the number of such objects has changed, until
	// ctx ends.
	WatchQuotaCounts(ctx context.Context, changed func(cluster logicalcluster.Name, namespace string))
}

// Config contains what the controller works with.
type Config struct {
	multicluster.Config
	Counts Counts
}

// Specs returns the controller. Its keys have no name: all quotas of a namespace are looked at together.
func Specs(c Config) []multicluster.Spec {
	r := &reconciler{client: c.Client, counts: c.Counts}
	return []multicluster.Spec{{
		Name:    "resourcequota",
		Workers: workers,
		Watches: []multicluster.Watch{{
			Resource: quota.Resource,
			Keys: func(_ context.Context, event client.Event) ([]client.Key, error) {
				return []client.Key{{Cluster: logicalcluster.From(event.Object), Namespace: event.Object.GetNamespace()}}, nil
			},
		}},
		Feeds: []func(context.Context, func(client.Key, time.Duration)){
			func(ctx context.Context, add func(client.Key, time.Duration)) {
				c.Counts.WatchQuotaCounts(ctx, func(cluster logicalcluster.Name, namespace string) {
					add(client.Key{Cluster: cluster, Namespace: namespace}, settles)
				})
			},
		},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	client client.Client
	counts Counts
}

// reconcile writes the statuses of the quotas of a namespace that are not right.
func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	all, err := client.List[corev1.ResourceQuota](ctx, r.client, quota.Resource, client.Scope{Cluster: key.Cluster, Namespace: key.Namespace})
	if err != nil {
		return reconcile.Result{}, err
	}
	counts, err := r.counts.QuotaCounts(ctx, key.Cluster, key.Namespace, all)
	if err != nil {
		return reconcile.Result{}, err
	}
	var wrong []*corev1.ResourceQuota
	for _, q := range all {
		if status := quota.Status(q, counts); !apiequality.Semantic.DeepEqual(status, q.Status) {
			q = q.DeepCopy()
			q.Status = status
			wrong = append(wrong, q)
		}
	}
	result := reconcile.Result{}
	if len(wrong) > most {
		// Not always the same ones come first.
		rand.Shuffle(len(wrong), func(i, j int) { wrong[i], wrong[j] = wrong[j], wrong[i] })
		wrong, result.RequeueAfter = wrong[:most], settles
	}
	var failures []error
	for _, q := range wrong {
		switch _, err := r.client.Update(ctx, quota.Resource, key.Cluster, q); {
		case apierrors.IsConflict(err):
			return reconcile.Result{}, err // it is tried again after a moment
		case err != nil && !apierrors.IsNotFound(err):
			failures = append(failures, fmt.Errorf("writing the status of ResourceQuota %q: %w", q.Name, err))
		}
	}
	return result, errors.Join(failures...)
}
