package multicluster

import (
	"context"

	"github.com/annex-dev/annex/apis/core/lifecycle"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

var logicalClusters = corev1alpha1.Resource("logicalclusters")

func (c Config) workspace(ctx context.Context, cluster logicalcluster.Name) (*corev1alpha1.LogicalCluster, error) {
	return client.FindNow[corev1alpha1.LogicalCluster](ctx, c.Client, c.Live, logicalClusters, client.Key{Cluster: cluster, Name: corev1alpha1.LogicalClusterName})
}

// IsHidden reports whether providers must not see what is in a cluster: it is switched off, or gone.
func (c Config) IsHidden(ctx context.Context, cluster logicalcluster.Name) (bool, error) {
	lc, err := c.workspace(ctx, cluster)
	if err != nil || lc == nil {
		return true, err
	}
	return lifecycle.IsSwitchedOff(lc), nil
}

// TenantOf returns the tenant that a cluster belongs to. A cluster whose path is not known is a tenant by itself.
func (c Config) TenantOf(ctx context.Context, cluster logicalcluster.Name) (logicalcluster.Path, error) {
	lc, err := c.workspace(ctx, cluster)
	if err != nil {
		return "", err
	}
	if lc != nil {
		if path := logicalcluster.Path(lc.Annotations[logicalcluster.PathAnnotationKey]); !path.Empty() {
			return path.Tenant(), nil
		}
	}
	return cluster.Path(), nil
}
