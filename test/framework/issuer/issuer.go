package issuer

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Audience is the audience of tokens, unless their claims say otherwise.
const Audience = "annex"

// Issuer is a running issuer.
type Issuer struct {
	tb     testing.TB
	server *httptest.Server

	mu     sync.Mutex
	away   bool
	serial int
	key    *rsa.PrivateKey
	asked  int
}

// Start runs an issuer until the test ends.
func Start(tb testing.TB) *Issuer {
	tb.Helper()
	i := &Issuer{tb: tb}
	i.Rotate()
	i.server = httptest.NewTLSServer(http.HandlerFunc(i.serve))
	tb.Cleanup(i.server.Close)
	return i
}

// URL returns the issuer as it is in tokens.
func (i *Issuer) URL() string { return i.server.URL }

// CA returns the certificate with which clients verify the issuer, in PEM format.
func (i *Issuer) CA() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.server.Certificate().Raw}))
}

// Rotate makes a new key that signs from now on. The issuer no longer publishes the old one.
func (i *Issuer) Rotate() {
	i.tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		i.tb.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.serial++
	i.key = key
}

// SetAway makes the issuer answer no request with anything useful, or end that.
func (i *Issuer) SetAway(away bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.away = away
}

// Asked returns how many requests the issuer has had, also while it was away.
func (i *Issuer) Asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// Token returns a token for Audience that is valid for an hour, with more claims, or others. The value nil removes a claim.
func (i *Issuer) Token(claims map[string]any) string {
	i.tb.Helper()
	i.mu.Lock()
	key := jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: i.key, KeyID: i.id()}}
	i.mu.Unlock()
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		i.tb.Fatal(err)
	}
	now := time.Now()
	all := map[string]any{"iss": i.URL(), "aud": Audience, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	token, err := jwt.Signed(signer).Claims(all).Serialize()
	if err != nil {
		i.tb.Fatal(err)
	}
	return token
}

// id returns the name of the key. The caller holds the lock.
func (i *Issuer) id() string { return fmt.Sprintf("key-%d", i.serial) }

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	var document any
	switch {
	case i.away:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case r.URL.Path == "/.well-known/openid-configuration":
		document = map[string]any{
			"issuer": i.URL(), "jwks_uri": i.URL() + "/keys", "authorization_endpoint": i.URL() + "/authorize", "token_endpoint": i.URL() + "/token",
			"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		}
	case r.URL.Path == "/keys":
		document = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: i.id(), Algorithm: "RS256", Use: "sig"}}}
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(document)
}
