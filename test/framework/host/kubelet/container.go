package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/host/kubelet/sandbox"
)

const (
	// firstBackOff and maxBackOff are a tenth of those of Kubernetes or less,
	// for a test has less time.
	firstBackOff = time.Second
	maxBackOff   = 16 * time.Second
	// backOffReset is how long a container must have run to begin anew.
	backOffReset = time.Minute
	// maxTerminationMessage is that of Kubernetes.
	maxTerminationMessage = 4096
)

// container runs one container of a pod, again and again when that is wanted.
type container struct {
	pod  *pod
	spec corev1.Container
	init bool

	mu      sync.Mutex
	status  corev1.ContainerStatus
	process *sandbox.Process // nil unless it runs
}

func newContainer(p *pod, spec corev1.Container, init bool) *container {
	reason := "PodInitializing"
	if init || len(p.first.Spec.InitContainers) == 0 {
		reason = "ContainerCreating"
	}
	return &container{pod: p, spec: spec, init: init, status: corev1.ContainerStatus{
		Name: spec.Name, Image: spec.Image, Started: new(bool),
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}},
	}}
}

// change changes the status and has it reported.
func (c *container) change(f func(*corev1.ContainerStatus)) {
	c.mu.Lock()
	f(&c.status)
	c.mu.Unlock()
	c.pod.changed()
}

func (c *container) snapshot() corev1.ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *c.status.DeepCopy()
}

func (c *container) running() *sandbox.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.process
}

// wait shows why the container does not run now.
func (c *container) wait(reason, message string) {
	c.change(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
		s.Ready, s.Started = false, new(bool)
	})
}

// run runs the container until it has ended for good, and reports whether that
// was a success. When the context ends the container is asked to end.
func (c *container) run(ctx context.Context) bool {
	backOff := time.Duration(0)
	for {
		exit, ran := c.once(ctx)
		switch {
		case ctx.Err() != nil:
			return false
		case exit == 0 && (c.init || c.pod.first.Spec.RestartPolicy != corev1.RestartPolicyAlways):
			return true
		case c.pod.first.Spec.RestartPolicy == corev1.RestartPolicyNever:
			return false
		}
		// The first restart is at once, as in Kubernetes.
		if ran > backOffReset {
			backOff = 0
		}
		if backOff > 0 {
			text := fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", backOff, c.spec.Name, c.pod.first.Name, c.pod.first.Namespace, c.pod.uid)
			c.pod.event(corev1.EventTypeWarning, "BackOff", "%s", text)
			ended := c.snapshot().State.Terminated
			c.wait("CrashLoopBackOff", text)
			c.change(func(s *corev1.ContainerStatus) { s.LastTerminationState = corev1.ContainerState{Terminated: ended} })
			if !pause(ctx, backOff) {
				return false
			}
		}
		backOff = min(max(2*backOff, firstBackOff), maxBackOff)
		c.change(func(s *corev1.ContainerStatus) {
			if s.State.Terminated != nil {
				s.LastTerminationState = corev1.ContainerState{Terminated: s.State.Terminated}
			}
			s.RestartCount++
		})
	}
}

// once runs the container one time, and returns its exit code and for how long
// it ran.
func (c *container) once(ctx context.Context) (code int, ran time.Duration) {
	spec, ok := c.prepare(ctx)
	if !ok {
		return -1, 0
	}
	started := metav1.Now()
	process, err := c.pod.sandbox.Run(ctx, spec)
	if err != nil {
		if ctx.Err() == nil {
			c.notStarted(started, err)
		}
		return 128, 0
	}
	id := fmt.Sprintf("processes://%s-%s-%d", c.pod.uid, c.spec.Name, c.snapshot().RestartCount)
	hasStarted := c.spec.StartupProbe == nil
	c.mu.Lock()
	c.process = process
	c.mu.Unlock()
	c.change(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}}
		s.ContainerID, s.ImageID = id, c.spec.Image
		s.Started, s.Ready = &hasStarted, hasStarted && c.spec.ReadinessProbe == nil
	})
	c.pod.event(corev1.EventTypeNormal, "Started", "Started container %s", c.spec.Name)
	reason := c.watch(ctx, process)
	exit := process.Exit()
	c.mu.Lock()
	c.process = nil
	c.mu.Unlock()
	c.change(func(s *corev1.ContainerStatus) {
		if reason == "" {
			reason = "Completed"
			if exit.Code != 0 {
				reason = "Error"
			}
		}
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: int32(exit.Code), Signal: int32(exit.Signal), Reason: reason, Message: c.terminationMessage(exit),
			StartedAt: started, FinishedAt: metav1.Now(), ContainerID: id,
		}}
		// Only an init container is ready when it has ended well.
		s.Ready, s.Started = c.init && exit.Code == 0, new(bool)
	})
	return exit.Code, time.Since(started.Time)
}

func (c *container) notStarted(at metav1.Time, err error) {
	reason := "StartError"
	if !errors.Is(err, sandbox.ErrNotStarted) {
		reason = "ContainerCannotRun"
	}
	c.pod.event(corev1.EventTypeWarning, "Failed", "Error: %v", err)
	c.change(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 128, Reason: reason, Message: err.Error(), StartedAt: at, FinishedAt: metav1.Now(),
		}}
	})
}

// prepare waits until all is there that the container needs.
func (c *container) prepare(ctx context.Context) (sandbox.Container, bool) {
	reported := ""
	for {
		spec, reason, err := c.build(ctx)
		if err == nil {
			return spec, true
		}
		if text := err.Error(); text != reported {
			reported = text
			c.pod.event(corev1.EventTypeWarning, "Failed", "Error: %s", text)
			c.wait(reason, text)
		}
		if !pause(ctx, retryInterval) {
			return spec, false
		}
	}
}

// watch sees to the probes, and to the end when something asks for it. It
// returns when the process has ended, with the reason unless that is its own.
func (c *container) watch(ctx context.Context, process *sandbox.Process) (reason string) {
	probing, stopProbing := context.WithCancel(ctx)
	unhealthy := make(chan string, 1)
	var probes sync.WaitGroup
	probes.Go(func() { c.probe(probing, process, unhealthy) })
	defer probes.Wait()
	defer stopProbing()

	grace := func() time.Duration {
		seconds := c.pod.current().DeletionGracePeriodSeconds
		if seconds == nil {
			seconds = c.pod.first.Spec.TerminationGracePeriodSeconds
		}
		if seconds == nil {
			return corev1.DefaultTerminationGracePeriodSeconds * time.Second
		}
		return time.Duration(*seconds) * time.Second
	}
	select {
	case <-process.Done():
		return ""
	case why := <-unhealthy:
		c.pod.event(corev1.EventTypeNormal, "Killing", "Container %s %s, will be restarted", c.spec.Name, why)
	case <-ctx.Done():
		if c.pod.kubelet.ctx.Err() == nil {
			c.pod.event(corev1.EventTypeNormal, "Killing", "Stopping container %s", c.spec.Name)
		}
	}
	stopProbing()
	c.end(process, grace)
	return ""
}

// end asks the process to end and kills it when the time is over.
func (c *container) end(process *sandbox.Process, grace func() time.Duration) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(c.pod.kubelet.ctx, grace())
	defer cancel()
	if c.spec.Lifecycle != nil && c.spec.Lifecycle.PreStop != nil {
		c.preStop(ctx, process, *c.spec.Lifecycle.PreStop, grace())
	}
	process.Signal(syscall.SIGTERM)
	for {
		// A later deletion may allow less time than the first one.
		left := grace() - time.Since(began)
		if left <= 0 || c.pod.kubelet.ctx.Err() != nil {
			break
		}
		timer := time.NewTimer(min(left, retryInterval))
		select {
		case <-process.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
	process.Signal(syscall.SIGKILL)
	<-process.Done()
}

func (c *container) preStop(ctx context.Context, process *sandbox.Process, hook corev1.LifecycleHandler, timeout time.Duration) {
	switch {
	case hook.Exec != nil:
		exit, output, err := process.Exec(ctx, sandbox.Exec{Args: hook.Exec.Command, Timeout: timeout})
		if err == nil && exit.Code != 0 {
			err = fmt.Errorf("exit code %d: %s", exit.Code, output)
		}
		if err != nil {
			c.pod.event(corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed: %v", err)
		}
	case hook.Sleep != nil:
		pause(ctx, time.Duration(hook.Sleep.Seconds)*time.Second)
	}
}

// messageFile is where the container writes why it ended.
func (c *container) messageFile() string {
	return filepath.Join(c.pod.dir, c.spec.Name, fmt.Sprintf("message-%d", c.snapshot().RestartCount))
}

// logFile is the output of the container since its last start.
func (c *container) logFile(restart int32) string {
	return filepath.Join(c.pod.dir, c.spec.Name, fmt.Sprintf("log-%d", restart))
}

// terminationMessage is called with the lock held.
func (c *container) terminationMessage(exit sandbox.Exit) string {
	name := filepath.Join(c.pod.dir, c.spec.Name, fmt.Sprintf("message-%d", c.status.RestartCount))
	text, err := os.ReadFile(name)
	if err == nil && len(text) > 0 {
		return string(text[:min(len(text), maxTerminationMessage)])
	}
	if c.spec.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError || exit.Code == 0 {
		return ""
	}
	log, err := os.ReadFile(c.logFile(c.status.RestartCount))
	if err != nil {
		return ""
	}
	log = log[max(0, len(log)-maxTerminationMessage/2):]
	return strings.ToValidUTF8(string(log), "")
}
