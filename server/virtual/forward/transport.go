package forward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	// headerTimeout is how long a target may take to begin an answer.
	headerTimeout = time.Minute
	// maxHeaderBytes bounds the headers of an answer.
	maxHeaderBytes = 64 << 10
	// idleConnections bounds the connections that are kept for later, and idleTimeout how long.
	idleConnections, idleTimeout = 128, 30 * time.Second
)

// Credentials are what the server shows to targets, and trusts there.
type Credentials struct {
	// CertFile and KeyFile are the client certificate. They are read for each connection, so they may change.
	CertFile, KeyFile string
	// CAFile is a bundle of authorities for certificates of targets, in addition to those of the system; may be empty.
	CAFile string
}

// NewTransport returns the transport to targets. dial makes the connections; it decides about addresses.
func NewTransport(c Credentials, dial func(ctx context.Context, network, address string) (net.Conn, error)) (http.RoundTripper, error) {
	if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
		return nil, fmt.Errorf("reading the client certificate for targets: %w", err)
	}
	roots, err := authorities(c.CAFile)
	if err != nil {
		return nil, err
	}
	return &transport{&http.Transport{
		DialContext: dial,
		// No proxy: it would resolve names by itself.
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			RootCAs:    roots,
			// HTTP/1.1 only: a stream in both directions needs its connection.
			NextProtos: []string{"http/1.1"},
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
				return &pair, err
			},
		},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConns:           idleConnections,
		IdleConnTimeout:        idleTimeout,
		// The client says which encodings it takes.
		DisableCompression: true,
	}}, nil
}

// authorities returns those of the system, and those in file.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	bundle, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities for targets: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(bundle) {
		return nil, errors.New("reading the authorities for targets: " + file + " contains no certificate")
	}
	return roots, nil
}

// transport sends requests without what their contexts hold: ReverseProxy would pass informational answers, with any header, to the client. And it returns
// answers without trailers.
type transport struct{ to http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:contextcheck // it ends with that of the request
	context.AfterFunc(req.Context(), cancel)
	answer, err := t.to.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	// The trailers come with the end of the body, in what was returned.
	shown := *answer
	shown.Trailer, shown.Request = nil, req
	return &shown, nil
}
