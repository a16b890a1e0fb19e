package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// quotaSuffix marks the sides, and their namespaces, that have a quota.
const quotaSuffix = "_quota"

// quotaHard is what the quota allows: more than is ever created, because a
// plain server without a kube-controller-manager counts no deletions.
const quotaHard = "1000000000"

// measureQuota tells how fast ConfigMaps are created, read, patched and deleted
// in a namespace with a ResourceQuota for them, and in one without.
func measureQuota(ctx context.Context, b *bench) error {
	without, err := b.crudSides(ctx, "quota")
	if err != nil {
		return err
	}
	var sides []*crudSide
	for _, side := range without {
		side.namespace = "load-" + b.id
		limited := newCRUDSide(side.name+quotaSuffix, side.config, side.url, side.namespace+"-limited")
		for _, s := range []*crudSide{side, limited} {
			if err := makeNamespace(ctx, s, s == limited); err != nil {
				return fmt.Errorf("preparing %s: %w", s.name, err)
			}
			sides = append(sides, s)
		}
	}
	if err := b.crudRounds(ctx, sides); err != nil {
		return err
	}
	b.reportQuota(sides)
	return nil
}

// makeNamespace makes the namespace of a side, and a quota in it.
func makeNamespace(ctx context.Context, side *crudSide, limited bool) error {
	all, err := crowd.ConnectAll(side.config, 1)
	if err != nil {
		return err
	}
	defer crowd.CloseAll(all)
	client, err := all[0].At(side.url)
	if err != nil {
		return err
	}
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": side.namespace}}}
	namespaces := client.Resource(corev1.SchemeGroupVersion.WithResource("namespaces"))
	if _, err := namespaces.Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if !limited {
		return nil
	}
	hard := map[string]any{"count/configmaps": quotaHard}
	quotas := client.Resource(corev1.SchemeGroupVersion.WithResource("resourcequotas")).Namespace(side.namespace)
	q, err := quotas.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ResourceQuota", "metadata": map[string]any{"name": "limit"}, "spec": map[string]any{"hard": hard},
	}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	// A plain server refuses everything until somebody has counted. Annex counts by itself, perhaps before.
	q.Object["status"] = map[string]any{"hard": hard, "used": map[string]any{"count/configmaps": "0"}}
	if _, err := quotas.UpdateStatus(ctx, q, metav1.UpdateOptions{}); err != nil && !apierrors.IsConflict(err) {
		return err
	}
	return nil
}

// reportQuota prints each side, and how those with a quota compare: with the
// same server without one, and with each other.
func (b *bench) reportQuota(sides []*crudSide) {
	by := map[string]*crudSide{}
	for _, side := range sides {
		by[side.name] = side
		for _, op := range operations() {
			b.report.add("quota_"+side.name+"_"+op.name+"_rate", side.results[op.name].rate(), unitRate)
			b.report.latencies("quota_"+side.name+"_"+op.name, side.results[op.name].latencies)
		}
	}
	for _, op := range operations() {
		for _, pair := range []struct{ name, of, than string }{
			{"workspace_kept", "workspace" + quotaSuffix, "workspace"},
			{"plain_kept", "plain" + quotaSuffix, "plain"},
			{"rate_ratio", "workspace" + quotaSuffix, "plain" + quotaSuffix},
		} {
			of, than := by[pair.of], by[pair.than]
			if of != nil && than != nil {
				b.report.add("quota_"+op.name+"_"+pair.name, of.results[op.name].rate()/than.results[op.name].rate(), unitCount)
			}
		}
	}
}
