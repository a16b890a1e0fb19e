package issuers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/server/outbound"
)

const (
	wellKnown = "/.well-known/openid-configuration"
	// maxDocumentBytes is how large a document of an issuer may be.
	maxDocumentBytes = 128 << 10
)

// errFetch is what a user learns of a failure to reach an issuer: anything else could say what is where in the network of the server.
var errFetch = errors.New("the keys of the issuer of the token cannot be read")

// fetcher reads the keys of an issuer.
type fetcher struct {
	guard  *outbound.Guard
	issuer apiserver.Issuer
}

// client returns a client for one use.
func (f fetcher) client() (*http.Client, error) {
	config := f.guard.ClientConfig()
	config.TLSClientConfig.CAData = []byte(f.issuer.CertificateAuthority)
	config.Timeout = timeout
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing to reach issuer %s: %w", f.issuer.URL, err)
	}
	return client, nil
}

// keys returns the keys that the issuer publishes.
func (f fetcher) keys(ctx context.Context) ([]jose.JSONWebKey, error) {
	client, err := f.client()
	if err != nil {
		return nil, err
	}
	defer utilnet.CloseIdleConnectionsFor(client.Transport)
	at := f.issuer.DiscoveryURL
	if at == "" {
		at = strings.TrimSuffix(f.issuer.URL, "/") + wellKnown
	}
	var discovered struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := get(ctx, client, at, &discovered); err != nil {
		return nil, err
	}
	if discovered.Issuer != f.issuer.URL {
		return nil, fmt.Errorf("%w: its document is of another issuer", errFetch)
	}
	var published jose.JSONWebKeySet
	if err := get(ctx, client, discovered.Keys, &published); err != nil {
		return nil, err
	}
	return published.Keys, nil
}

// get reads a document of JSON.
func get(ctx context.Context, client *http.Client, at string, into any) error {
	parsed, err := url.Parse(at)
	if err != nil || parsed.Scheme != "https" || parsed.Host == "" {
		return fmt.Errorf("%w: its address is not an https URL", errFetch)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return errFetch
	}
	answer, err := client.Do(request)
	if err != nil {
		return errFetch
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxDocumentBytes+1))
	if err != nil || answer.StatusCode != http.StatusOK || len(content) > maxDocumentBytes || json.Unmarshal(content, into) != nil {
		return errFetch
	}
	return nil
}
