package serving

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

// serve shows certificate on a port of its own, as the server does, until the test ends.
func serve(t *testing.T, certificate dynamiccertificates.CertKeyContentProvider) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	info := &genericapiserver.SecureServingInfo{Listener: listener, Cert: certificate}
	stop := make(chan struct{})
	stopped, _, err := info.Serve(http.NotFoundHandler(), time.Second, stop)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(stop); <-stopped })
	return listener.Addr().String()
}

// shake makes a handshake for name, trusting bundle at the time now, and returns the certificate that was shown.
func shake(address, name string, bundle []byte, now time.Time) (*x509.Certificate, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("no certificates in the bundle %q", bundle)
	}
	dialer := &net.Dialer{Timeout: time.Minute}
	connection, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{RootCAs: roots, ServerName: name, Time: func() time.Time { return now }})
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close() }()
	return connection.ConnectionState().PeerCertificates[0], nil
}

func eventually(t *testing.T, condition func() error) {
	t.Helper()
	var last error
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		last = condition()
		return last == nil, nil
	}); err != nil {
		t.Fatal(last)
	}
}
