package kubelet

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// podChanged begins to run a pod, or tells the one that runs what has changed.
func (k *Kubelet) podChanged(object any) {
	seen := object.(*corev1.Pod)
	if seen.Spec.NodeName == "" {
		if seen.DeletionTimestamp == nil {
			k.schedule(seen)
		}
		return
	}
	if seen.Spec.NodeName != NodeName {
		return
	}
	if finished(seen) {
		// No longer in the way of others.
		defer k.scheduleAgain()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.pods[seen.UID]; p != nil {
		p.update(seen)
		return
	}
	if k.stopping || finished(seen) && seen.DeletionTimestamp == nil {
		return
	}
	p := newPod(k, seen)
	k.pods[seen.UID] = p
	k.work.Go(func() {
		p.run()
		k.mu.Lock()
		defer k.mu.Unlock()
		// A pod that is finished stays, for its logs, until it is deleted.
		if p.deleted() {
			delete(k.pods, p.uid)
		}
	})
}

// podGone ends what is left of a pod that was taken from the host by force.
func (k *Kubelet) podGone(object any) {
	gone := object.(*corev1.Pod)
	k.mu.Lock()
	p := k.pods[gone.UID]
	k.mu.Unlock()
	if p != nil {
		now := metav1.Now()
		last := gone.DeepCopy()
		last.DeletionTimestamp, last.DeletionGracePeriodSeconds = &now, new(int64)
		p.update(last)
	}
	k.scheduleAgain()
}

// sourceChanged brings a Secret or ConfigMap to the volumes of the pods that
// have it.
func (k *Kubelet) sourceChanged(object any) {
	source, ok := object.(metav1.Object)
	if !ok {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.pods {
		if p.first.Namespace == source.GetNamespace() {
			p.refreshVolumes()
		}
	}
}

// find returns the pod that runs, or ran last, by this name.
func (k *Kubelet) find(namespace, name string) *pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	var found *pod
	for _, p := range k.pods {
		if p.first.Namespace == namespace && p.first.Name == name && (found == nil || found.first.CreationTimestamp.Before(&p.first.CreationTimestamp)) {
			found = p
		}
	}
	return found
}

// all returns every pod in no order.
func (k *Kubelet) all() map[types.UID]*pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make(map[types.UID]*pod, len(k.pods))
	for uid, p := range k.pods {
		all[uid] = p
	}
	return all
}
