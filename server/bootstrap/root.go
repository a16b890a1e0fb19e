package bootstrap

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// ensureRoot writes the LogicalCluster of root and its namespaces.
func (w *writer) ensureRoot(ctx context.Context, c Config) error {
	wanted := &corev1alpha1.LogicalCluster{
		ObjectMeta: metav1.ObjectMeta{
			Name: corev1alpha1.LogicalClusterName,
			Annotations: map[string]string{
				logicalcluster.PathAnnotationKey:              logicalcluster.Root.String(),
				corev1alpha1.LogicalClusterTypeAnnotationKey:  logicalcluster.Root.Path().Join(string(tenancyv1alpha1.RootWorkspaceTypeName)).String(),
				corev1alpha1.LogicalClusterShardAnnotationKey: c.ShardName,
			},
			Finalizers: []string{corev1alpha1.LogicalClusterDeletionFinalizer},
		},
		Status: corev1alpha1.LogicalClusterStatus{Phase: corev1alpha1.LogicalClusterPhaseReady},
	}
	_, err := ensure(ctx, w, corev1alpha1.Resource("logicalclusters"), logicalcluster.Root, wanted, func(lc *corev1alpha1.LogicalCluster) {
		mergeMeta(lc, wanted)
		if !slices.Contains(lc.Finalizers, corev1alpha1.LogicalClusterDeletionFinalizer) && lc.DeletionTimestamp == nil {
			lc.Finalizers = append(lc.Finalizers, corev1alpha1.LogicalClusterDeletionFinalizer)
		}
		if lc.Status.Phase == "" || lc.Status.Phase == corev1alpha1.LogicalClusterPhaseScheduling {
			lc.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
		}
	})
	if err != nil {
		return err
	}
	return w.ensureNamespaces(ctx, logicalcluster.Root, metav1.NamespaceDefault, metav1.NamespaceSystem, apisv1alpha2.IdentitySecretNamespace)
}

func (w *writer) ensureNamespaces(ctx context.Context, cluster logicalcluster.Name, names ...string) error {
	for _, name := range names {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := ensure(ctx, w, corev1.Resource("namespaces"), cluster, namespace, nil); err != nil {
			return err
		}
	}
	return nil
}

// ensureShard registers this server: it overwrites the addresses and keeps everything else on the object.
func (w *writer) ensureShard(ctx context.Context, c Config) error {
	wanted := &corev1alpha1.Shard{
		ObjectMeta: metav1.ObjectMeta{Name: c.ShardName, Labels: map[string]string{corev1alpha1.ShardNameLabelKey: c.ShardName}},
		Spec:       corev1alpha1.ShardSpec{BaseURL: c.BaseURL, ExternalURL: c.ExternalURL, VirtualWorkspaceURL: c.VirtualURL},
	}
	_, err := ensure(ctx, w, corev1alpha1.Resource("shards"), logicalcluster.Root, wanted, func(shard *corev1alpha1.Shard) {
		shard.Spec = wanted.Spec
		if _, labeled := shard.Labels[corev1alpha1.ShardNameLabelKey]; !labeled {
			mergeMeta(shard, wanted)
		}
	})
	return err
}
