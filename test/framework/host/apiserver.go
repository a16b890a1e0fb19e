package host

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/host/process"
)

const (
	readyInterval = 100 * time.Millisecond
	// stopGrace is how long kube-apiserver may take to end in an orderly way.
	// All state is in etcd, so that a kill afterwards loses nothing.
	stopGrace = 10 * time.Second
	// portAttempts is how often another port is tried when somebody else took
	// the free port between our look and the bind of kube-apiserver.
	portAttempts = 3
)

// ServiceRange are the addresses that Services get.
const ServiceRange = "10.0.0.0/24"

// apiServerArgs returns the command line. Extra flags come last and win.
func apiServerArgs(port int, etcdURL string, f certificateFiles, extra []string) []string {
	args := []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		// A loopback address is no valid endpoint; without the reconciler
		// nobody tries to publish it.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + ServiceRange,
		"--authorization-mode=RBAC",
		// As in most clusters: who may have privileged pods is decided by Pod
		// Security, for each namespace.
		"--allow-privileged=true",

		"--client-ca-file=" + f.ca,
		"--tls-cert-file=" + f.serving,
		"--tls-private-key-file=" + f.servingKey,
		"--service-account-issuer=" + f.serviceAccountIssuerURL,
		"--service-account-key-file=" + f.serviceAccountKey,
		"--service-account-signing-key-file=" + f.serviceAccountKey,

		// The aggregation layer, as in every real cluster.
		"--requestheader-client-ca-file=" + f.requestHeaderCA,
		"--requestheader-allowed-names=" + f.proxyClientCommonName,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-uid-headers=X-Remote-Uid",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + f.proxyClient,
		"--proxy-client-key-file=" + f.proxyKey,

		// With the default of 0 one open watch would hold the end of the
		// process for a minute.
		"--shutdown-watch-termination-grace-period=1s",
	}
	return append(args, extra...)
}

// runAPIServer starts kube-apiserver and waits until it is ready. It cannot
// choose a port by itself, so a port that was free a moment ago may be taken
// when it binds. The returned credentials are those of system:masters.
func runAPIServer(ctx context.Context, binary, logFile, etcdURL string, ca *authority, files certificateFiles, extra []string) (*process.Process, *rest.Config, error) {
	for attempt := 1; ; attempt++ {
		port, err := process.FreePort(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("finding a free port: %w", err)
		}
		config, err := ca.adminConfig(port)
		if err != nil {
			return nil, nil, fmt.Errorf("making the administrator's credentials: %w", err)
		}
		p, err := process.Start(binary, apiServerArgs(port, etcdURL, files, extra), logFile)
		if err != nil {
			return nil, nil, fmt.Errorf("starting kube-apiserver: %w", err)
		}
		if err = waitPath(ctx, p, config, "/readyz"); err == nil {
			return p, config, nil
		}
		p.Stop(stopGrace)
		if attempt < portAttempts && p.Printed("address already in use") {
			continue
		}
		return nil, nil, fmt.Errorf("waiting for kube-apiserver: %w; its last lines:\n%s", err, p.Tail())
	}
}

func waitPath(ctx context.Context, p *process.Process, config *rest.Config, path string) error {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("making an HTTP client: %w", err)
	}
	defer client.CloseIdleConnections()
	return p.WaitReady(ctx, client, config.Host+path, readyInterval)
}
