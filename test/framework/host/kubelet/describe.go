package kubelet

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// describeLines is how much of a log [Kubelet.Describe] quotes.
const describeLines = 30

// Log returns what a container has printed since its last start.
func (k *Kubelet) Log(namespace, pod, container string) (string, error) {
	c, err := k.container(namespace, pod, container)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(c.logFile(c.snapshot().RestartCount))
	if err != nil {
		return "", fmt.Errorf("reading the log: %w", err)
	}
	return string(text), nil
}

// Kill ends the process of a container as a crash would, at once, and returns when it has ended. The container is restarted as its pod says.
func (k *Kubelet) Kill(namespace, pod, container string) error {
	c, err := k.container(namespace, pod, container)
	if err != nil {
		return err
	}
	process := c.running()
	if process == nil {
		return fmt.Errorf("container %s of pod %s/%s does not run", container, namespace, pod)
	}
	process.Signal(syscall.SIGKILL)
	<-process.Done()
	return nil
}

// container finds a container of a pod that is or was on the node.
func (k *Kubelet) container(namespace, pod, name string) (*container, error) {
	p := k.find(namespace, pod)
	if p == nil {
		return nil, fmt.Errorf("no pod %s/%s is or was on the node", namespace, pod)
	}
	c := p.container(name)
	if c == nil {
		return nil, fmt.Errorf("pod %s/%s has no container %q", namespace, pod, name)
	}
	return c, nil
}

func (p *pod) container(name string) *container {
	for _, c := range p.containers {
		if c.spec.Name == name {
			return c
		}
	}
	return nil
}

// Describe returns the state of all containers and the end of their logs, for
// the message of a failed test.
func (k *Kubelet) Describe() string {
	var parts []string
	for _, p := range k.all() {
		for _, c := range p.containers {
			status := c.snapshot()
			text := fmt.Sprintf("%s/%s %s: %s", p.first.Namespace, p.first.Name, c.spec.Name, describeState(status.State))
			if restart := status.RestartCount; restart > 0 {
				text += fmt.Sprintf(", restarted %d times, before: %s", restart, describeState(status.LastTerminationState))
			}
			log, err := os.ReadFile(c.logFile(status.RestartCount))
			if err == nil && len(log) > 0 {
				lines := strings.Split(strings.TrimRight(string(log), "\n"), "\n")
				text += "\n    " + strings.Join(lines[max(0, len(lines)-describeLines):], "\n    ")
			}
			parts = append(parts, text)
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "\n")
}

func describeState(state corev1.ContainerState) string {
	switch {
	case state.Running != nil:
		return "running since " + state.Running.StartedAt.UTC().Format(time.TimeOnly)
	case state.Terminated != nil:
		return strings.TrimSpace(fmt.Sprintf("ended with code %d, %s %s", state.Terminated.ExitCode, state.Terminated.Reason, state.Terminated.Message))
	case state.Waiting != nil:
		return strings.TrimSpace(fmt.Sprintf("waiting, %s %s", state.Waiting.Reason, state.Waiting.Message))
	default:
		return "unknown"
	}
}
