package tokens

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Paths inside a workspace.
const (
	ConfigurationPath = "/.well-known/openid-configuration"
	KeysPath          = "/openid/v1/jwks"
)

// configuration is what OpenID Connect Discovery 1.0, section 3, requires of an issuer that only issues tokens.
type configuration struct {
	Issuer        string   `json:"issuer"`
	KeysURL       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
}

// Published returns the document at path in the workspace, and its content type. The error is an API status, or a fault of the server.
func (t *Tokens) Published(r *http.Request, cluster logicalcluster.Name) (document []byte, contentType string, err error) {
	if strings.TrimSuffix(r.URL.Path, "/") == ConfigurationPath {
		issuer := t.Audience(cluster)
		document, err = json.Marshal(configuration{
			Issuer: issuer, KeysURL: issuer + KeysPath,
			ResponseTypes: []string{"id_token"}, SubjectTypes: []string{"public"}, Algorithms: []string{string(algorithm)},
		})
		return document, "application/json", err
	}
	known, err := t.store.current(r.Context())
	if err != nil {
		return nil, "", err
	}
	var published jose.JSONWebKeySet
	for i := range known {
		published.Keys = append(published.Keys, jose.JSONWebKey{Key: &known[i].private.PublicKey, KeyID: known[i].id, Algorithm: string(algorithm), Use: "sig"})
	}
	if document, err = json.Marshal(published); err != nil {
		return nil, "", fmt.Errorf("encoding the public keys: %w", err)
	}
	return document, "application/jwk-set+json", nil
}
