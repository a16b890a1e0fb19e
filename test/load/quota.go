package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

// quotaHard is what the quota allows: more than is ever created, because a
// plain server without a kube-controller-manager counts no deletions.
const quotaHard = "1000000000"

// measureQuota compares a namespace with a ResourceQuota for ConfigMaps with one
// without.
func measureQuota(ctx context.Context, b *bench) error {
	return b.measureRule(ctx, rule{name: "quota", make: makeQuota})
}

func makeQuota(ctx context.Context, client dynamic.Interface, namespace string) error {
	hard := map[string]any{"count/configmaps": quotaHard}
	resource := corev1.SchemeGroupVersion.WithResource("resourcequotas")
	quotas := client.Resource(resource).Namespace(namespace)
	q, err := quotas.Create(ctx, newObject(resource, "ResourceQuota", "limit", map[string]any{"spec": map[string]any{"hard": hard}}), metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating a ResourceQuota: %w", err)
	}
	// A plain server refuses everything until somebody has counted. Annex counts by itself, perhaps before.
	q.Object["status"] = map[string]any{"hard": hard, "used": map[string]any{"count/configmaps": "0"}}
	if _, err := quotas.UpdateStatus(ctx, q, metav1.UpdateOptions{}); err != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("counting for a ResourceQuota: %w", err)
	}
	return nil
}
