package logicalcluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// stage says in which order resources are deleted. The last look checks everything again, so that the sweep removes no object
// whose finalizers were not respected. The sweep deletes the LogicalCluster itself.
func stage(gr schema.GroupResource) int {
	switch gr {
	case namespaces, workspaceTypes:
		return 1
	case apiBindings:
		return 2
	case clusterRoles, clusterRoleBindings:
		return lastStage
	}
	return 0
}

// lastStage is that of RBAC.
const lastStage = 3

// empty continues to delete content and returns what blocks it; nothing if the cluster is empty. While finalizers of others hold the
// LogicalCluster, RBAC stays: they may need it to remove them.
func (r *reconciler) empty(ctx context.Context, key client.Key, held bool) (client.Remaining, error) {
	return r.Content.DeleteAll(ctx, client.ContentScope{
		Cluster: key.Cluster,
		Wanted: func(gr schema.GroupResource, _ string) bool {
			return gr != logicalClusters && (!held || stage(gr) != lastStage)
		},
		Stage:   stage,
		Release: r.release,
	})
}

// release takes off the finalizers of namespaces and APIBindings that wait for their objects, which are gone by then. Their own
// controllers would find that out with two looks each; see StandBack.
func (r *reconciler) release(ctx context.Context, gr schema.GroupResource, key client.Key) (gone bool, err error) {
	switch gr {
	case namespaces, workspaceTypes:
		return end(ctx, r.Client, gr, key, func(ns *corev1.Namespace) bool {
			ns.Spec.Finalizers = slices.DeleteFunc(ns.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
			return len(ns.Spec.Finalizers) == 0
		})
	case apiBindings:
		return end(ctx, r.Client, gr, key, func(binding *apisv1alpha2.APIBinding) bool {
			binding.Finalizers = slices.DeleteFunc(binding.Finalizers, func(f string) bool { return f == apisv1alpha2.APIBindingFinalizer })
			return true
		})
	}
	return false, nil
}

// end applies free to a copy of an object that is being deleted, and reports whether that left it without finalizers and so ended it.
// free returns false if finalizers are left that are not in the metadata.
func end[E any, T interface {
	*E
	client.Object
	DeepCopy() *E
}](ctx context.Context, c client.Client, gr schema.GroupResource, key client.Key, free func(T) bool) (gone bool, err error) {
	found, err := client.Find[E](ctx, c, gr, key)
	if err != nil || found == nil {
		return err == nil, err
	}
	if T(found).GetDeletionTimestamp() == nil {
		return false, nil
	}
	freed := T(T(found).DeepCopy())
	gone = free(freed) && len(freed.GetFinalizers()) == 0
	if !gone && apiequality.Semantic.DeepEqual(T(found), freed) {
		return false, nil
	}
	if _, err := c.Update(ctx, gr, key.Cluster, freed); err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("removing the finalizer: %w", err)
	}
	return gone, nil
}

// StandBack returns how much longer other controllers leave an object in cluster to this one, if its deletion began age ago. While its
// whole cluster is being deleted, this controller does their work, with fewer reads. They do it themselves, and say what is in the
// way, if it takes long.
func StandBack(ctx context.Context, from client.Reader, cluster logicalcluster.Name, age time.Duration) (time.Duration, error) {
	if age >= quiet {
		return 0, nil
	}
	lc, err := client.Find[corev1alpha1.LogicalCluster](ctx, from, logicalClusters, client.Key{Cluster: cluster, Name: corev1alpha1.LogicalClusterName})
	if err != nil || lc == nil || lc.DeletionTimestamp == nil {
		return 0, err
	}
	return quiet - age, nil
}
