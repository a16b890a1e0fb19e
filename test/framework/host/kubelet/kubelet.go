package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/annex-dev/annex/test/framework/host"
	"github.com/annex-dev/annex/test/framework/host/kubelet/sandbox"
)

// startTimeout bounds Run, which takes about a second.
const startTimeout = 2 * time.Minute

// NodeName is the name of the one Node.
const NodeName = "node"

// Kubelet is a Node with all that is needed to run pods on it. All methods are
// safe for many goroutines.
type Kubelet struct {
	options options
	dir     string
	host    *host.Host
	client  kubernetes.Interface
	node    *sandbox.Node
	events  record.EventRecorder
	stores  stores
	network *network
	logs    *logServer

	ctx    context.Context // ends with Stop
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	pods     map[types.UID]*pod
	stopping bool

	stop    sync.Once
	stopErr error
}

// stores are what the informers know.
type stores struct {
	pods, services, slices, secrets, configMaps, claims, volumes cache.SharedIndexInformer
}

// Main must be the first call in TestMain, or in main, of a program that starts
// a Kubelet: containers begin as further processes of the same program, in
// which it never returns.
func Main() { sandbox.Main() }

// Start runs a node for the host in a temporary directory of the test, and stops
// it when the test and its subtests are done. When the test failed, the state
// and the last output of each container is logged. The host must have been
// started [host.WithPodNetwork], and [host.WithControllerManager] for anything
// but bare pods.
func Start(tb testing.TB, h *host.Host, opts ...Option) *Kubelet {
	tb.Helper()
	k, err := Run(tb.Context(), tb.TempDir(), h, opts...)
	if err != nil {
		tb.Fatalf("starting a node for the test: %v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the pods of the node:\n%s", k.Describe())
		}
		if err := k.Stop(); err != nil {
			tb.Errorf("stopping the node of the test: %v", err)
		}
	})
	return k
}

// Run starts a node that keeps its files in dir, which is created when absent:
// logs, and the data of PersistentVolumes. The context bounds the start only;
// the caller ends the node with [Kubelet.Stop], before the host.
func Run(ctx context.Context, dir string, h *host.Host, opts ...Option) (*Kubelet, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("resolving the directory of the node: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of the node: %w", err)
	}
	config := h.Config()
	config.UserAgent = "kubelet-of-test"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	k := &Kubelet{options: o, dir: dir, host: h, client: client, pods: map[types.UID]*pod{}}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	if k.node, err = sandbox.Start(filepath.Join(dir, "node.log")); err != nil {
		k.cancel()
		return nil, fmt.Errorf("making a node: %w", err)
	}
	if err := k.start(ctx); err != nil {
		return nil, errors.Join(err, k.Stop())
	}
	return k, nil
}

// start connects the node with the host.
func (k *Kubelet) start(ctx context.Context) error {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&corev1client.EventSinkImpl{Interface: k.client.CoreV1().Events("")})
	k.events = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: NodeName})
	k.work.Go(func() { <-k.ctx.Done(); broadcaster.Shutdown() })

	var err error
	if k.logs, err = k.serveLogs(); err != nil {
		return fmt.Errorf("starting to serve logs: %w", err)
	}
	if err := k.register(ctx); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(k.client, 0)
	core := factory.Core().V1()
	k.stores = stores{
		pods: core.Pods().Informer(), services: core.Services().Informer(), slices: factory.Discovery().V1().EndpointSlices().Informer(),
		secrets: core.Secrets().Informer(), configMaps: core.ConfigMaps().Informer(),
		claims: core.PersistentVolumeClaims().Informer(), volumes: core.PersistentVolumes().Informer(),
	}
	k.network = newNetwork(k)
	if err := k.watch(); err != nil {
		return err
	}
	factory.Start(k.ctx.Done())
	k.work.Go(func() { <-k.ctx.Done(); factory.Shutdown() })
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("reading all %s of the host: %w", kind, context.Cause(ctx))
		}
	}
	if err := k.network.start(ctx); err != nil {
		return err
	}
	return k.host.RoutePods(k.network.dialForHost)
}

// watch says who is told what of the changes on the host.
func (k *Kubelet) watch() error {
	for _, w := range []struct {
		informer cache.SharedIndexInformer
		handle   func(any)
		gone     func(any)
	}{
		{k.stores.pods, k.podChanged, k.podGone},
		{k.stores.services, k.network.servicesChanged, k.network.servicesChanged},
		{k.stores.secrets, k.sourceChanged, k.sourceChanged},
		{k.stores.configMaps, k.sourceChanged, k.sourceChanged},
		{k.stores.claims, k.claimChanged, nil},
		{k.stores.volumes, k.volumeChanged, nil},
	} {
		handler := cache.ResourceEventHandlerFuncs{
			AddFunc:    w.handle,
			UpdateFunc: func(_, object any) { w.handle(object) },
		}
		if w.gone != nil {
			handler.DeleteFunc = func(object any) {
				if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
					object = last.Obj
				}
				w.gone(object)
			}
		}
		if _, err := w.informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watching the host: %w", err)
		}
	}
	return nil
}

// background does something until it is done or the node stops. An error of it
// is tried again.
func (k *Kubelet) background(what func(context.Context) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopping {
		return
	}
	k.work.Go(func() {
		// The only error is that of the context.
		_ = wait.PollUntilContextCancel(k.ctx, retryInterval, true, func(ctx context.Context) (bool, error) {
			return what(ctx) == nil, nil
		})
	})
}

// retryInterval is how soon something is tried again that the host refused or
// that waits for another object.
const retryInterval = 200 * time.Millisecond

// Stop kills all pods, as when a machine loses its power, and returns when
// nothing of the node is left running. Pods stay on the host as they were last;
// what they wrote stays in the node's directory, which the caller may remove.
// Calling it again does nothing and returns the same error.
func (k *Kubelet) Stop() error {
	k.stop.Do(func() {
		k.mu.Lock()
		k.stopping = true
		k.mu.Unlock()
		k.cancel()
		if err := k.host.RoutePods(nil); err != nil {
			k.stopErr = err
		}
		k.stopErr = errors.Join(k.stopErr, k.node.Close())
		if k.logs != nil {
			_ = k.logs.server.Close() // its listener is all there is to close
		}
		if k.network != nil {
			k.network.stop()
		}
		k.work.Wait()
		k.stopErr = errors.Join(k.stopErr, makeRemovable(k.dir))
	})
	return k.stopErr
}
