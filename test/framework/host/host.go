package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/host/process"
)

// startTimeout bounds everything from the first certificate to /readyz. A start
// takes 5 to 15 seconds on two busy cores, and minutes where much more goes on.
const startTimeout = 5 * time.Minute

// Host is a running kube-apiserver with the etcd behind it and, when wanted,
// the controllers in front of it. All methods are safe for many goroutines.
type Host struct {
	config      *rest.Config
	kubeconfig  string
	ca          *authority
	etcd        *etcdServer
	egress      *egress // nil without WithPodNetwork
	apiserver   *process.Process
	controllers *process.Process // nil without WithControllerManager

	stop    sync.Once
	stopErr error
}

// Start runs a host in a temporary directory of the test and stops it when the
// test and its subtests are done. Data is not synced to disk, because it never
// outlives the test. It fails the test when the host does not become ready.
func Start(tb testing.TB, opts ...Option) *Host {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startTimeout)
	defer cancel()

	h, err := Run(ctx, tb.TempDir(), append([]Option{WithoutFsync()}, opts...)...)
	if err != nil {
		tb.Fatalf("starting a Kubernetes API server for the test: %v", err)
	}
	tb.Cleanup(func() {
		if err := h.Stop(); err != nil {
			tb.Errorf("stopping the Kubernetes API server of the test: %v", err)
		}
	})
	return h
}

// Run starts a host that keeps its files in dir, which is created when absent,
// and returns once /readyz answers 200. The context bounds the start only: the
// caller ends the host with [Host.Stop]. After an error nothing is left running.
//
// The files are made anew at each start, except the data of etcd: a second Run
// with the same dir serves the same objects under another CA and port.
func Run(ctx context.Context, dir string, opts ...Option) (*Host, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	o := newOptions(opts)

	// The binaries first: their absence is the most likely fault, and then no
	// etcd needs to be stopped again.
	binaries, err := findBinaries(o)
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("resolving the directory of the host: %w", err)
	}
	files, ca, err := writeCertificates(filepath.Join(dir, "pki"))
	if err != nil {
		return nil, fmt.Errorf("making certificates: %w", err)
	}
	h := &Host{ca: ca, kubeconfig: filepath.Join(dir, "kubeconfig")}
	if err := h.start(ctx, dir, binaries, files, o); err != nil {
		return nil, errors.Join(err, h.Stop())
	}
	return h, nil
}

// binaries are the programs that a host runs.
type binaries struct {
	apiserver, controllerManager string
}

func findBinaries(o options) (b binaries, err error) {
	if b.apiserver, err = Binary(o.program); err != nil {
		return b, err
	}
	if o.controllerManager {
		b.controllerManager, err = Binary("kube-controller-manager")
	}
	return b, err
}

// start runs all parts, in the order in which they need each other. What runs
// when it fails is ended by Stop.
func (h *Host) start(ctx context.Context, dir string, b binaries, files certificateFiles, o options) (err error) {
	if h.etcd, err = startEtcd(ctx, filepath.Join(dir, "etcd"), filepath.Join(dir, "etcd.log"), o.noFsync); err != nil {
		return fmt.Errorf("starting etcd: %w", err)
	}
	var args []string
	if !o.controllerManager {
		// Nobody creates ServiceAccounts here (see doc.go).
		args = append(args, "--disable-admission-plugins=ServiceAccount")
	}
	if o.podNetwork {
		var config string
		if h.egress, config, err = startEgress(dir); err != nil {
			return fmt.Errorf("starting the egress proxy: %w", err)
		}
		args = append(args, "--egress-selector-config-file="+config)
	}
	args = append(args, o.args...)
	if h.apiserver, h.config, err = runAPIServer(ctx, b.apiserver, filepath.Join(dir, "kube-apiserver.log"), h.etcd.url, h.ca, files, args); err != nil {
		return err
	}
	if err := writeKubeconfig(h.kubeconfig, h.config); err != nil {
		return err
	}
	if o.controllerManager {
		h.controllers, err = runControllerManager(ctx, b.controllerManager, dir, h.ca, files, h.config, o.controllerArgs)
	}
	return err
}

// Config returns credentials of the group system:masters. The caller owns the
// copy. Client-side rate limits are off.
func (h *Host) Config() *rest.Config {
	return rest.CopyConfig(h.config)
}

// ConfigFor returns credentials of the named user, in the given groups and in
// system:authenticated, by a client certificate that lasts a day. The caller
// owns it.
func (h *Host) ConfigFor(user string, groups ...string) (*rest.Config, error) {
	cert, key, err := h.ca.clientCertificate(user, groups...)
	if err != nil {
		return nil, fmt.Errorf("making a client certificate for user %q: %w", user, err)
	}
	c := h.Config()
	c.CertData, c.KeyData = cert, key
	return c, nil
}

// Kubeconfig returns the absolute path of a kubeconfig with the same
// credentials as [Host.Config]; its one context is called "host".
func (h *Host) Kubeconfig() string {
	return h.kubeconfig
}

// EtcdURL returns the client URL of the etcd, like "http://127.0.0.1:40123".
func (h *Host) EtcdURL() string {
	return h.etcd.url
}

// Pid returns the process id of kube-apiserver.
func (h *Host) Pid() int {
	return h.apiserver.Pid()
}

// ControllerManagerPid returns the process id of kube-controller-manager, or 0
// without [WithControllerManager].
func (h *Host) ControllerManagerPid() int {
	if h.controllers == nil {
		return 0
	}
	return h.controllers.Pid()
}

// RoutePods makes dial connect for kube-apiserver to Services, pods and nodes
// from now on; a nil dial ends that. It fails unless the host was started
// [WithPodNetwork].
func (h *Host) RoutePods(dial DialFunc) error {
	if h.egress == nil {
		return errors.New("the host has no network for pods: start it with host.WithPodNetwork()")
	}
	h.egress.route(dial)
	return nil
}

// Stop ends kube-controller-manager, kube-apiserver and etcd, and returns when
// all are gone. Calling it again does nothing and returns the same error. Open
// watches are cut.
func (h *Host) Stop() error {
	h.stop.Do(func() {
		// From the front to the back: a server whose etcd has gone floods its
		// log with failed calls and takes a minute to end.
		for _, p := range []*process.Process{h.controllers, h.apiserver} {
			if p != nil {
				p.Stop(stopGrace)
			}
		}
		if h.egress != nil {
			h.stopErr = h.egress.stop()
		}
		if h.etcd != nil {
			h.stopErr = errors.Join(h.stopErr, h.etcd.stop())
		}
	})
	return h.stopErr
}

// makeDir creates a directory that only the owner can read, for it will hold
// private keys.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating directory: %w", err)
	}
	return nil
}
