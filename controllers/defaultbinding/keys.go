package defaultbinding

import (
	"context"
	"time"

	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/tenancy/typeresolution"
	"github.com/annex-dev/annex/client"
)

// keyOf returns the key of the workspace in cluster: that of its LogicalCluster.
func keyOf(cluster logicalcluster.Name) client.Key {
	return client.Key{Cluster: cluster, Name: corev1alpha1.LogicalClusterName}
}

// keysOfCluster returns a new workspace that needs something, because its type has changed while it was created. When the watch begins, all
// are new.
func (r *reconciler) keysOfCluster(ctx context.Context, event client.Event) ([]client.Key, error) {
	lc, ok := event.Object.(*corev1alpha1.LogicalCluster)
	if !ok || event.Type != client.Added {
		return nil, nil
	}
	needed, err := r.needs(ctx, lc)
	if err != nil || !needed {
		return nil, err
	}
	return []client.Key{client.KeyOf(lc)}, nil
}

// keysOfBinding returns the workspace of a default binding that is gone or differs.
func (r *reconciler) keysOfBinding(ctx context.Context, event client.Event) ([]client.Key, error) {
	binding, ok := event.Object.(*apisv1alpha2.APIBinding)
	if !ok {
		return nil, nil
	}
	cluster, ref := logicalcluster.From(binding), binding.Spec.Reference.Export
	if ref == nil || event.Type != client.Deleted && !differs(binding) || binding.Name != identity.DefaultBindingName(cluster, logicalcluster.Path(ref.Path), ref.Name) {
		return nil, nil
	}
	lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, r.Client, logicalClusters, keyOf(cluster))
	if err != nil || lc == nil {
		return nil, err
	}
	wanted, err := r.maintained(ctx, lc)
	if err != nil || len(wanted) == 0 {
		return nil, err
	}
	return []client.Key{keyOf(cluster)}, nil
}

// noteType wakes the look at all workspaces if a type that has changed maintains bindings, or has such a type.
func (r *reconciler) noteType(ctx context.Context, event client.Event) ([]client.Key, error) {
	t, ok := event.Object.(*typeresolution.Type)
	if !ok || event.Type == client.Deleted {
		return nil, nil
	}
	r.known.forget()
	all, err := typeresolution.Aliases(ctx, t, r.workspaceType)
	// A type that cannot be resolved now may be resolved when the look comes.
	if err != nil || len(typeresolution.Maintained(all)) > 0 {
		r.wake()
	}
	return nil, nil
}

func (r *reconciler) wake() {
	select {
	case r.dirty <- struct{}{}:
	default: // it is awake
	}
}

const (
	// settle is how long a look waits for more changes. share is how much longer than the last look the pause after it is.
	settle = 50 * time.Millisecond
	share  = 10
	// few is how many workspaces are queued by a look at a time, and queueInterval how often it tries to queue more.
	few           = 256
	queueInterval = 10 * time.Millisecond
)

// feed looks at all workspaces when a type has changed, and queues those that need something.
func (r *reconciler) feed(ctx context.Context, add func(client.Key, time.Duration)) {
	pause := settle
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.dirty:
		}
		if !sleep(ctx, pause) {
			return
		}
		began := time.Now()
		if err := r.look(ctx, add); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Looking for workspaces whose default bindings differ; trying again")
			r.wake()
		}
		pause = max(settle, share*time.Since(began))
	}
}

// sleep waits; false if ctx ends before.
func sleep(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// look queues the workspaces that need something.
func (r *reconciler) look(ctx context.Context, add func(client.Key, time.Duration)) error {
	r.known.forget()
	all, err := client.List[corev1alpha1.LogicalCluster](ctx, r.Client, logicalClusters, client.Scope{})
	if err != nil {
		return err
	}
	for _, lc := range all {
		needed, err := r.needs(ctx, lc)
		if err != nil {
			return err
		}
		if !needed {
			continue
		}
		for !r.queued.add(keyOf(logicalcluster.From(lc))) {
			if !sleep(ctx, queueInterval) {
				return ctx.Err()
			}
		}
		add(keyOf(logicalcluster.From(lc)), 0)
	}
	return nil
}
