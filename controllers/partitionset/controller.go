package partitionset

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/topology/partitioning"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// later is when a Partition that was refused, for example by a limit, is tried again.
const later = time.Minute

var (
	sets       = topologyv1alpha1.Resource("partitionsets")
	partitions = topologyv1alpha1.Resource("partitions")
	shards     = corev1alpha1.Resource("shards")
)

// Specs describes the controller.
func Specs(c multicluster.Config) []multicluster.Spec {
	r := &reconciler{client: c.Client, live: c.Live}
	return []multicluster.Spec{{
		Name: "partitionset",
		Watches: []multicluster.Watch{
			{Resource: sets},
			{Resource: partitions, Keys: ofPartition},
			{Resource: shards, Keys: r.ofShard},
		},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	client client.Client
	live   client.Reader
}

// ofPartition returns the set that a Partition says it is of.
func ofPartition(_ context.Context, event client.Event) ([]client.Key, error) {
	owner := metav1.GetControllerOf(event.Object)
	if owner == nil || owner.Kind != "PartitionSet" {
		return nil, nil
	}
	return []client.Key{{Cluster: logicalcluster.From(event.Object), Name: owner.Name}}, nil
}

// ofShard returns all sets: a shard may be one of any of them.
func (r *reconciler) ofShard(ctx context.Context, event client.Event) ([]client.Key, error) {
	if logicalcluster.From(event.Object) != logicalcluster.Root {
		return nil, nil
	}
	all, err := client.List[topologyv1alpha1.PartitionSet](ctx, r.client, sets, client.Scope{})
	if err != nil {
		return nil, err
	}
	keys := make([]client.Key, 0, len(all))
	for _, set := range all {
		keys = append(keys, client.KeyOf(set))
	}
	return keys, nil
}

// reconcile makes the Partitions of a set, and says in its status how many there are.
func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	old, err := client.Find[topologyv1alpha1.PartitionSet](ctx, r.client, sets, key)
	if err != nil || old == nil || old.DeletionTimestamp != nil {
		return reconcile.Result{}, err
	}
	set := old.DeepCopy()
	result, err := r.fill(ctx, set)
	if err != nil {
		return reconcile.Result{}, err
	}
	if apiequality.Semantic.DeepEqual(old, set) {
		return result, nil
	}
	if _, err = r.client.Update(ctx, sets, key.Cluster, set); err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("updating PartitionSet %s: %w", key, err)
	}
	return result, nil
}

// fill makes the Partitions, and writes into the status of set, which the caller owns, what became of it.
func (r *reconciler) fill(ctx context.Context, set *topologyv1alpha1.PartitionSet) (reconcile.Result, error) {
	all, err := client.List[corev1alpha1.Shard](ctx, r.client, shards, client.Scope{Cluster: logicalcluster.Root})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("listing shards: %w", err)
	}
	wanted, err := partitioning.Partitions(set, all)
	if err != nil {
		// Validation refuses such objects, but older versions may not have.
		conditionsv1alpha1.MarkFalse(set, topologyv1alpha1.PartitionSetValid, topologyv1alpha1.PartitionSetInvalidSelectorReason,
			conditionsv1alpha1.ConditionSeverityError, "%s", err)
		return reconcile.Result{}, nil
	}
	conditionsv1alpha1.MarkTrue(set, topologyv1alpha1.PartitionSetValid)
	count, refused, err := r.ensure(ctx, set, wanted)
	if err != nil {
		return reconcile.Result{}, err
	}
	set.Status.Count = count
	if refused != nil {
		conditionsv1alpha1.MarkFalse(set, topologyv1alpha1.PartitionsReady, topologyv1alpha1.ErrorGeneratingPartitionsReason,
			conditionsv1alpha1.ConditionSeverityError, "%s", refused)
		return reconcile.Result{RequeueAfter: later}, nil
	}
	conditionsv1alpha1.MarkTrue(set, topologyv1alpha1.PartitionsReady)
	return reconcile.Result{}, nil
}

// ensure deletes the Partitions of set that are not wanted, and creates those that are missing. It returns how many of the wanted ones there are,
// and why others were refused.
func (r *reconciler) ensure(ctx context.Context, set *topologyv1alpha1.PartitionSet, wanted []*topologyv1alpha1.Partition) (count int32, refused, err error) {
	cluster := logicalcluster.From(set)
	found, err := client.List[topologyv1alpha1.Partition](ctx, r.client, partitions, client.Scope{Cluster: cluster})
	if err != nil {
		return 0, nil, fmt.Errorf("listing the Partitions of %s: %w", cluster, err)
	}
	missing := map[string]*topologyv1alpha1.Partition{}
	for _, p := range wanted {
		missing[p.Name] = p
	}
	for _, p := range found {
		if !metav1.IsControlledBy(p, set) {
			continue
		}
		if want := missing[p.Name]; want != nil && p.DeletionTimestamp == nil && apiequality.Semantic.DeepEqual(want.Spec, p.Spec) {
			delete(missing, p.Name)
			count++
			continue
		}
		if err := r.delete(ctx, p); err != nil {
			return 0, nil, err
		}
	}
	for _, p := range wanted {
		if missing[p.Name] == nil {
			continue
		}
		made, err := r.create(ctx, cluster, set, p)
		switch {
		case err == nil && made:
			count++
		case err == nil:
		case apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsAlreadyExists(err):
			refused = errors.Join(refused, err)
		default:
			return 0, nil, err
		}
	}
	return count, refused, nil
}

// create creates a Partition. It returns false if one of the set with that name is just being deleted or was just created, which leads here
// again; AlreadyExists if the name is taken by somebody else.
func (r *reconciler) create(ctx context.Context, cluster logicalcluster.Name, set *topologyv1alpha1.PartitionSet, p *topologyv1alpha1.Partition) (bool, error) {
	_, err := r.client.Create(ctx, partitions, cluster, p)
	if !apierrors.IsAlreadyExists(err) {
		if err != nil {
			err = fmt.Errorf("creating Partition %s: %w", p.Name, err)
		}
		return err == nil, err
	}
	there, findErr := client.Find[topologyv1alpha1.Partition](ctx, r.live, partitions, client.Key{Cluster: cluster, Name: p.Name})
	if findErr != nil {
		return false, findErr
	}
	if there == nil || metav1.IsControlledBy(there, set) {
		return there != nil && there.DeletionTimestamp == nil && apiequality.Semantic.DeepEqual(there.Spec, p.Spec), nil
	}
	return false, fmt.Errorf("creating Partition %s: %w", p.Name, err)
}

func (r *reconciler) delete(ctx context.Context, p *topologyv1alpha1.Partition) error {
	if p.DeletionTimestamp != nil {
		return nil
	}
	uid := p.UID
	err := r.client.Delete(ctx, partitions, client.KeyOf(p), &metav1.Preconditions{UID: &uid})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting Partition %s: %w", client.KeyOf(p), err)
	}
	return nil
}
