package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// provisionedBy is on every PersistentVolume, as external provisioners set it.
const provisionedBy = "pv.kubernetes.io/provisioned-by"

// claimChanged makes a volume for a claim of our class: a directory.
func (k *Kubelet) claimChanged(object any) {
	claim := object.(*corev1.PersistentVolumeClaim)
	if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName != storageClass {
		return
	}
	if why := unsupportedClaim(claim); why != "" {
		k.events.Event(claim, corev1.EventTypeWarning, "ProvisioningFailed", why)
		return
	}
	k.background(func(ctx context.Context) error { return k.provision(ctx, claim) })
}

func unsupportedClaim(claim *corev1.PersistentVolumeClaim) string {
	switch {
	case claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode != corev1.PersistentVolumeFilesystem:
		return "this node has volumes with a file system only, not volumeMode " + string(*claim.Spec.VolumeMode)
	case claim.Spec.DataSource != nil || claim.Spec.DataSourceRef != nil:
		return "this node cannot make a volume from a dataSource"
	case claim.Spec.Selector != nil:
		return "this node cannot make a volume for a selector"
	}
	return ""
}

func (k *Kubelet) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	path := filepath.Join(k.dir, "volumes", claim.Namespace+"_"+claim.Name+"_"+string(claim.UID))
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("making the directory of a volume: %w", err)
	}
	_, err := k.client.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-" + string(claim.UID), Annotations: map[string]string{provisionedBy: provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes: claim.Spec.AccessModes, StorageClassName: storageClass,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// volumeChanged removes a volume of ours, with its data, when its claim is gone.
func (k *Kubelet) volumeChanged(object any) {
	volume := object.(*corev1.PersistentVolume)
	if volume.Annotations[provisionedBy] != provisioner || volume.Status.Phase != corev1.VolumeReleased ||
		volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		return
	}
	k.background(func(ctx context.Context) error {
		if err := removeAll(volume.Spec.HostPath.Path); err != nil {
			return fmt.Errorf("removing the data of a volume: %w", err)
		}
		err := k.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

// claimPath returns the directory of a bound claim.
func (k *Kubelet) claimPath(namespace, name string) (string, error) {
	claim, found := get[*corev1.PersistentVolumeClaim](k.stores.claims, namespace, name)
	if !found {
		return "", fmt.Errorf("persistentvolumeclaim %q not found", name)
	}
	if claim.Status.Phase != corev1.ClaimBound {
		return "", fmt.Errorf("persistentvolumeclaim %q is not bound", name)
	}
	volume, found := get[*corev1.PersistentVolume](k.stores.volumes, "", claim.Spec.VolumeName)
	if !found {
		return "", fmt.Errorf("persistentvolume %q not found", claim.Spec.VolumeName)
	}
	if volume.Annotations[provisionedBy] != provisioner || volume.Spec.HostPath == nil {
		return "", fmt.Errorf("persistentvolume %q was not made by this node, which can mount no other", volume.Name)
	}
	return volume.Spec.HostPath.Path, nil
}
