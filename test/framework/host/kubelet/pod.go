package kubelet

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/test/framework/host/kubelet/sandbox"
)

// pod runs one pod from its first container to its end.
type pod struct {
	kubelet *Kubelet
	uid     types.UID
	first   *corev1.Pod // as it was when this node got it; its spec stays
	dir     string

	deletion chan struct{} // closed when the pod is to end
	refresh  chan struct{} // has room for one
	dirty    chan struct{} // has room for one

	sandbox *sandbox.Pod // set before the first container
	ip      string

	mu         sync.Mutex
	latest     *corev1.Pod
	containers []*container // init containers first
	inits      int
	// failure ends the pod with a reason of its own.
	failure, failureMessage string
	initialized             bool
	stopped                 bool // no container runs any more
	volumes                 map[string]*writtenVolume
}

func newPod(k *Kubelet, seen *corev1.Pod) *pod {
	p := &pod{
		kubelet: k, uid: seen.UID, first: seen, latest: seen,
		dir:      filepath.Join(k.dir, "pods", fmt.Sprintf("%s_%s_%s", seen.Namespace, seen.Name, seen.UID)),
		deletion: make(chan struct{}), refresh: make(chan struct{}, 1), dirty: make(chan struct{}, 1),
		inits: len(seen.Spec.InitContainers), volumes: map[string]*writtenVolume{},
	}
	for i, spec := range slices.Concat(seen.Spec.InitContainers, seen.Spec.Containers) {
		p.containers = append(p.containers, newContainer(p, spec, i < p.inits))
	}
	if seen.DeletionTimestamp != nil {
		close(p.deletion)
	}
	return p
}

// update takes note of what the host says now.
func (p *pod) update(seen *corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest.DeletionTimestamp != nil && seen.DeletionTimestamp == nil {
		return
	}
	p.latest = seen
	if seen.DeletionTimestamp != nil {
		select {
		case <-p.deletion:
		default:
			close(p.deletion)
		}
	}
	p.refreshVolumes() // labels and annotations may be in one
}

func (p *pod) deleted() bool {
	select {
	case <-p.deletion:
		return true
	default:
		return false
	}
}

func (p *pod) current() *corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest
}

func (p *pod) refreshVolumes() {
	select {
	case p.refresh <- struct{}{}:
	default:
	}
}

// event tells whoever describes the pod.
func (p *pod) event(kind, reason, format string, args ...any) {
	p.kubelet.events.Eventf(p.first, kind, reason, format, args...)
}

// fail ends the pod for a reason that no container has.
func (p *pod) fail(reason, message string) {
	p.event(corev1.EventTypeWarning, reason, "%s", message)
	p.mu.Lock()
	p.failure, p.failureMessage = reason, message
	p.mu.Unlock()
	p.changed()
}

// refuse ends a pod that asks for what cannot be done. One that is to run always
// waits instead: who made it would make another at once, again and again.
func (p *pod) refuse(ctx context.Context, message string) {
	if p.first.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		p.fail("Unsupported", message)
		return
	}
	p.event(corev1.EventTypeWarning, "Unsupported", "%s", message)
	for _, c := range p.containers {
		c.wait("Unsupported", message)
	}
	<-ctx.Done()
}

// run returns when the pod has ended, or the node has.
func (p *pod) run() {
	ctx, cancel := context.WithCancel(p.kubelet.ctx)
	defer cancel()
	var reporter sync.WaitGroup
	reporting, stopReporting := context.WithCancel(ctx)
	reporter.Go(func() { p.report(reporting) })
	p.changed()

	// Containers end in order when the pod is deleted, so its work has a
	// context that ends with that.
	working, stopWorking := context.WithCancel(ctx)
	go func() {
		select {
		case <-p.deletion:
		case <-ctx.Done():
		}
		stopWorking()
	}()
	p.work(working)
	stopWorking()

	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.changed()
	stopReporting()
	reporter.Wait()
	if ctx.Err() != nil {
		return
	}
	p.finish(ctx)
}

// finish reports the end, waits for the deletion, and lets the host forget the pod.
func (p *pod) finish(ctx context.Context) {
	p.untilDone(ctx, p.writeStatus)
	if p.sandbox != nil {
		_ = p.sandbox.Remove(ctx) // it fails only when the node has ended
	}
	select {
	case <-p.deletion:
	case <-ctx.Done():
		return
	}
	p.untilDone(ctx, func(ctx context.Context) error {
		err := p.kubelet.client.CoreV1().Pods(p.first.Namespace).Delete(ctx, p.first.Name, metav1.DeleteOptions{
			GracePeriodSeconds: new(int64), Preconditions: &metav1.Preconditions{UID: &p.uid},
		})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		return err
	})
	// What is left are logs; the data of claims is elsewhere.
	_ = removeAll(filepath.Join(p.dir, "volumes"))
}

// untilDone tries until it succeeds or the context ends.
func (p *pod) untilDone(ctx context.Context, what func(context.Context) error) {
	for what(ctx) != nil {
		if !pause(ctx, retryInterval) {
			return
		}
	}
}

// pause reports whether the time passed before the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// work runs the containers. It returns when all have ended for good.
func (p *pod) work(ctx context.Context) {
	refused, err := unsupported(p.first)
	if err == nil && len(refused) > 0 {
		err = fmt.Errorf("this node cannot do what the pod asks for: %s", strings.Join(refused, ", "))
	}
	if err != nil {
		p.refuse(ctx, err.Error())
		return
	}
	if ctx.Err() != nil || finished(p.first) {
		return
	}
	p.reportUnenforced()
	if deadline := p.first.Spec.ActiveDeadlineSeconds; deadline != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*deadline)*time.Second)
		defer cancel()
		defer func() {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				p.fail("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
			}
		}()
	}
	if !p.prepare(ctx) {
		return
	}
	shut, err := p.kubelet.network.openOutside(ctx, p.sandbox)
	if err != nil {
		p.fail("NetworkNotReady", err.Error())
		return
	}
	defer shut()
	var upkeep sync.WaitGroup
	refreshing, stopRefreshing := context.WithCancel(ctx)
	upkeep.Go(func() { p.keepVolumes(refreshing) })
	defer upkeep.Wait()
	defer stopRefreshing()

	for _, c := range p.containers[:p.inits] {
		if !c.run(ctx) {
			return
		}
	}
	p.mu.Lock()
	p.initialized = true
	p.mu.Unlock()
	p.changed()
	var running sync.WaitGroup
	for _, c := range p.containers[p.inits:] {
		running.Go(func() { c.run(ctx) })
	}
	running.Wait()
}

// reportUnenforced says what the node takes note of only.
func (p *pod) reportUnenforced() {
	var limits []string
	for _, c := range p.first.Spec.Containers {
		if len(c.Resources.Limits) > 0 {
			limits = append(limits, "resources.limits of "+c.Name)
		}
	}
	for _, v := range p.first.Spec.Volumes {
		if v.EmptyDir != nil && v.EmptyDir.SizeLimit != nil {
			limits = append(limits, "emptyDir.sizeLimit of "+v.Name)
		}
	}
	if len(limits) > 0 {
		p.event(corev1.EventTypeNormal, "NotEnforced", "this node does not enforce %s", strings.Join(limits, ", "))
	}
}

// prepare makes the volumes and the network. It reports whether both are there.
func (p *pod) prepare(ctx context.Context) bool {
	reported := ""
	for {
		err := p.prepareOnce(ctx)
		if err == nil {
			p.changed()
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if text := err.Error(); text != reported {
			reported = text
			p.event(corev1.EventTypeWarning, "FailedMount", "%s", text)
		}
		if !pause(ctx, retryInterval) {
			return false
		}
	}
}

func (p *pod) prepareOnce(ctx context.Context) error {
	if p.ip == "" {
		address, err := p.kubelet.network.nextAddress()
		if err != nil {
			return err
		}
		network, err := p.kubelet.node.AddPod(ctx, string(p.uid), address)
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.sandbox, p.ip = network, address
		p.mu.Unlock()
	}
	return p.writeVolumes(ctx)
}
