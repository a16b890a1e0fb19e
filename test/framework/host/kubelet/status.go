package kubelet

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// changed has the status reported soon.
func (p *pod) changed() {
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

// report writes the status whenever it has changed, until the context ends.
func (p *pod) report(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.dirty:
		}
		p.untilDone(ctx, p.writeStatus)
	}
}

// writeStatus brings the host's copy of the status up to date.
func (p *pod) writeStatus(ctx context.Context) error {
	pods := p.kubelet.client.CoreV1().Pods(p.first.Namespace)
	current, err := pods.Get(ctx, p.first.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && current.UID != p.uid {
		return nil // nobody is interested any more
	}
	if err != nil {
		return err
	}
	before := current.Status.DeepCopy()
	p.fill(&current.Status)
	if reflect.DeepEqual(before, &current.Status) {
		return nil
	}
	_, err = pods.UpdateStatus(ctx, current, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// fill sets what this node knows of the pod.
func (p *pod) fill(status *corev1.PodStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	status.HostIP, status.HostIPs = nodeAddress, []corev1.HostIP{{IP: nodeAddress}}
	if p.ip != "" {
		status.PodIP, status.PodIPs = p.ip, []corev1.PodIP{{IP: p.ip}}
	}
	if status.StartTime == nil {
		now := metav1.Now()
		status.StartTime = &now
	}
	status.InitContainerStatuses, status.ContainerStatuses = nil, nil
	for i, c := range p.containers {
		if i < p.inits {
			status.InitContainerStatuses = append(status.InitContainerStatuses, c.snapshot())
		} else {
			status.ContainerStatuses = append(status.ContainerStatuses, c.snapshot())
		}
	}
	if !finishedPhase(status.Phase) {
		status.Phase = p.phase(status)
		status.Reason, status.Message = p.failure, p.failureMessage
	}
	p.setConditions(status)
}

func finishedPhase(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

// phase follows "Pod phase" of the documentation of Kubernetes. It is called
// with the lock held.
func (p *pod) phase(status *corev1.PodStatus) corev1.PodPhase {
	if p.stopped {
		// Containers that a deletion ended count as failed ones unless they
		// ended well.
		if p.failure != "" {
			return corev1.PodFailed
		}
		for _, s := range status.ContainerStatuses {
			if s.State.Terminated == nil || s.State.Terminated.ExitCode != 0 {
				return corev1.PodFailed
			}
		}
		return corev1.PodSucceeded
	}
	if !p.initialized {
		return corev1.PodPending
	}
	for _, s := range status.ContainerStatuses {
		if s.State.Running == nil && s.State.Terminated == nil && s.LastTerminationState.Terminated == nil {
			return corev1.PodPending
		}
	}
	return corev1.PodRunning
}

// setConditions is called with the lock held.
func (p *pod) setConditions(status *corev1.PodStatus) {
	truth := func(b bool) corev1.ConditionStatus {
		if b {
			return corev1.ConditionTrue
		}
		return corev1.ConditionFalse
	}
	var unready []string
	for _, s := range status.ContainerStatuses {
		if !s.Ready {
			unready = append(unready, s.Name)
		}
	}
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: truth(len(unready) == 0)}
	initialized := corev1.PodCondition{Type: corev1.PodInitialized, Status: truth(p.initialized)}
	switch {
	case status.Phase == corev1.PodSucceeded:
		ready.Status, ready.Reason = corev1.ConditionFalse, "PodCompleted"
		initialized.Reason = "PodCompleted"
	case status.Phase == corev1.PodFailed:
		ready.Status, ready.Reason = corev1.ConditionFalse, "PodFailed"
	case len(unready) > 0:
		ready.Reason, ready.Message = "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", strings.Join(unready, " "))
	}
	if !p.initialized && initialized.Reason == "" {
		initialized.Reason = "ContainersNotInitialized"
	}
	containersReady := ready
	containersReady.Type = corev1.ContainersReady
	for _, condition := range []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: truth(p.ip != "" && !p.stopped)},
		initialized, containersReady, ready,
	} {
		setCondition(status, condition)
	}
}

// setCondition reports whether the condition was another one.
func setCondition(status *corev1.PodStatus, condition corev1.PodCondition) bool {
	condition.LastTransitionTime = metav1.Now()
	for i := range status.Conditions {
		have := &status.Conditions[i]
		if have.Type != condition.Type {
			continue
		}
		if have.Status == condition.Status && have.Reason == condition.Reason && have.Message == condition.Message {
			return false
		}
		if have.Status == condition.Status {
			condition.LastTransitionTime = have.LastTransitionTime
		}
		*have = condition
		return true
	}
	status.Conditions = append(status.Conditions, condition)
	return true
}
