package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
)

const (
	readyPollInterval = 100 * time.Millisecond
	// readyTimeout bounds one question: kube-apiserver accepts connections
	// some time before it answers them.
	readyTimeout = 5 * time.Second
)

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
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=RBAC",
		// Nobody creates ServiceAccounts here (see doc.go).
		"--disable-admission-plugins=ServiceAccount",

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

// freePort returns a port of the loopback interface that is free right now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("listening on any port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("releasing port %d: %w", port, err)
	}
	return port, nil
}

// errExited means that the process ended before it was ready.
var errExited = errors.New("the process ended")

// waitReady returns when /readyz answers 200. It fails with errExited, or with
// the context's error joined with the last fault seen.
func waitReady(ctx context.Context, p *process, config *rest.Config) error {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("making an HTTP client: %w", err)
	}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(readyPollInterval)
	defer tick.Stop()
	for {
		last := askReady(ctx, client, config.Host+"/readyz")
		if last == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return errExited
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), last)
		}
	}
}

func askReady(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("making the request for %s: %w", url, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking /readyz: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking /readyz: status %s", resp.Status)
	}
	return nil
}
