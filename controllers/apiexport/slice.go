package apiexport

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
)

const exportKind = "APIExport"

// ensureSlice creates an endpoint slice of the same name as export, unless an annotation of the export prevents it.
func (r *reconciler) ensureSlice(ctx context.Context, key client.Key, export *apisv1alpha2.APIExport) error {
	if _, skip := export.Annotations[apisv1alpha2.APIExportEndpointSliceSkipAnnotation]; skip {
		return nil
	}
	_, err := r.client.Get(ctx, endpointSlices, key)
	if err == nil {
		return nil
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading APIExportEndpointSlice %s: %w", key, err)
	}
	_, err = r.client.Create(ctx, endpointSlices, key.Cluster, &apisv1alpha1.APIExportEndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: key.Name,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: apisv1alpha2.SchemeGroupVersion.String(),
				Kind:       exportKind,
				Name:       export.Name,
				UID:        export.UID,
			}},
		},
		Spec: apisv1alpha1.APIExportEndpointSliceSpec{
			APIExport: apisv1alpha1.ExportBindingReference{Path: string(key.Cluster), Name: export.Name},
		},
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating APIExportEndpointSlice %s: %w", key, err)
	}
	return nil
}

// deleteSlice deletes the slice that ensureSlice made for an export that is gone. Nothing else follows owner references yet.
func (r *reconciler) deleteSlice(ctx context.Context, key client.Key) error {
	obj, err := r.client.Get(ctx, endpointSlices, key)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading APIExportEndpointSlice %s: %w", key, err)
	}
	owners := obj.GetOwnerReferences()
	if len(owners) != 1 || owners[0].Kind != exportKind || owners[0].Name != key.Name || obj.GetDeletionTimestamp() != nil {
		return nil
	}
	uid := obj.GetUID()
	err = r.client.Delete(ctx, endpointSlices, key, &metav1.Preconditions{UID: &uid})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting APIExportEndpointSlice %s: %w", key, err)
	}
	return nil
}
