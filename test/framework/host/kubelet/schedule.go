package kubelet

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/util/retry"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// schedule binds a pod to the Node, or says why it cannot run there.
func (k *Kubelet) schedule(pod *corev1.Pod) {
	if pod.Spec.SchedulerName != corev1.DefaultSchedulerName || len(pod.Spec.SchedulingGates) > 0 {
		return
	}
	why, err := k.unschedulable(pod)
	if err != nil {
		why = err.Error()
	}
	if why != "" {
		k.background(func(ctx context.Context) error { return k.reportUnschedulable(ctx, pod, why) })
		return
	}
	k.background(func(ctx context.Context) error {
		err := k.client.CoreV1().Pods(pod.Namespace).Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: NodeName},
		}, metav1.CreateOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil // gone, or bound by an earlier call
		}
		return err
	})
}

// unschedulable returns why the pod cannot be on the only Node, or "".
func (k *Kubelet) unschedulable(pod *corev1.Pod) (string, error) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: NodeName, Labels: nodeLabels()}}
	fits, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node)
	if err != nil {
		return "", fmt.Errorf("reading the node affinity: %w", err)
	}
	if !fits {
		return "the node does not match the pod's node affinity or selector", nil
	}
	for _, c := range pod.Spec.Containers {
		for name, quantity := range c.Resources.Requests {
			available, known := resources()[name]
			if !known || quantity.Cmp(available) > 0 {
				return fmt.Sprintf("insufficient %s", name), nil
			}
		}
	}
	affinity := pod.Spec.Affinity
	if affinity == nil {
		return "", nil
	}
	if affinity.PodAntiAffinity != nil {
		for _, term := range affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			if found, err := k.anyPod(pod, term); err != nil || found {
				return "the node has a pod that the pod's anti-affinity rules refuse", err
			}
		}
	}
	if affinity.PodAffinity != nil {
		for _, term := range affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			if found, err := k.anyPod(pod, term); err != nil || !found {
				return "the node has no pod that the pod's affinity rules ask for", err
			}
		}
	}
	return "", nil
}

// anyPod reports whether another pod of the Node matches the term. Every
// topology has this one Node.
func (k *Kubelet) anyPod(pod *corev1.Pod, term corev1.PodAffinityTerm) (bool, error) {
	selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
	if err != nil {
		return false, fmt.Errorf("reading the pod affinity: %w", err)
	}
	if term.NamespaceSelector != nil || len(term.MatchLabelKeys) > 0 || len(term.MismatchLabelKeys) > 0 {
		return false, fmt.Errorf("this node follows no namespaceSelector and no matchLabelKeys of a pod affinity")
	}
	namespaces := map[string]bool{}
	for _, namespace := range term.Namespaces {
		namespaces[namespace] = true
	}
	if len(namespaces) == 0 {
		namespaces[pod.Namespace] = true
	}
	for _, other := range list[*corev1.Pod](k.stores.pods, "") {
		if other.UID != pod.UID && other.Spec.NodeName != "" && !finished(other) && namespaces[other.Namespace] && selector.Matches(labels.Set(other.Labels)) {
			return true, nil
		}
	}
	return false, nil
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func (k *Kubelet) reportUnschedulable(ctx context.Context, pod *corev1.Pod, why string) error {
	pods := k.client.CoreV1().Pods(pod.Namespace)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil || current.UID != pod.UID {
			return err
		}
		changed := setCondition(&current.Status, corev1.PodCondition{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: why,
		})
		if !changed {
			return nil
		}
		k.events.Event(pod, corev1.EventTypeWarning, "FailedScheduling", why)
		_, err = pods.UpdateStatus(ctx, current, metav1.UpdateOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// scheduleAgain looks at the pods that had no place: one that left may have
// been in their way.
func (k *Kubelet) scheduleAgain() {
	for _, pod := range list[*corev1.Pod](k.stores.pods, "") {
		if pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil {
			k.schedule(pod)
		}
	}
}
