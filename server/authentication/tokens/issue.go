package tokens

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	authenticationjwt "k8s.io/apiserver/pkg/authentication/token/jwt"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/core"
	"github.com/annex-dev/annex/server/secrets"
)

// Config is what tokens are made of and checked with. Everything is required except Clock.
type Config struct {
	// Cached reads the watch caches.
	Cached client.Reader
	// Fresh wait until the watch caches of what tokens depend on have caught up with etcd; see Followed. There are several if they are in
	// several etcds.
	Fresh []Fresh
	// External returns the URL at which clients reach the server, without a path.
	External func() string
	// APIAudiences are audiences for the API of every workspace, in addition to its own. May be nil.
	APIAudiences []string
	// Clock is nil for the real one.
	Clock clock.PassiveClock
}

// Tokens issues and checks tokens. It is safe for many goroutines.
type Tokens struct {
	Config
	store  store
	recent recent
	uses   uses
}

var (
	_ core.TokenIssuer    = &Tokens{}
	_ authenticator.Token = &Tokens{}
)

// New returns tokens that can be checked. They can be signed after [Tokens.Share].
func New(c Config) *Tokens {
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	return &Tokens{
		Config: c,
		store:  store{cached: c.Cached, clock: c.Clock},
		recent: recent{fresh: c.Fresh, clock: c.Clock},
	}
}

// Share says how keys are stored. Call it before the first request is served. live must see every acknowledged write.
func (t *Tokens) Share(live client.Reader, writer client.Writer) {
	t.uses.live, t.uses.writer = live, writer
	t.store.secret = &secrets.Secret{Name: SecretName, Description: description, Live: live, Writer: writer}
}

// Audience implements core.TokenIssuer. It is the issuer of the workspace, too.
func (t *Tokens) Audience(cluster logicalcluster.Name) string {
	return strings.TrimSuffix(t.External(), "/") + issuerPath + cluster.String()
}

// Issue implements core.TokenIssuer.
func (t *Tokens) Issue(ctx context.Context, token core.Token) (signed, credential string, err error) {
	c := claims{
		Claims: jwt.Claims{
			Issuer:    t.Audience(token.Cluster),
			Subject:   serviceaccount.MakeUsername(token.Account.Namespace, token.Account.Name),
			Audience:  token.Audiences,
			IssuedAt:  jwt.NewNumericDate(token.Issued),
			NotBefore: jwt.NewNumericDate(token.Issued),
			Expiry:    jwt.NewNumericDate(token.Issued.Add(token.Life)),
			ID:        string(uuid.NewUUID()),
		},
		private: private{Kubernetes: &bound{
			Namespace:   token.Account.Namespace,
			Account:     reference{Name: token.Account.Name, UID: string(token.Account.UID)},
			ClusterName: token.Cluster,
		}},
	}
	if token.Secret != nil {
		c.Kubernetes.Secret = &reference{Name: token.Secret.Name, UID: string(token.Secret.UID)}
	}
	signed, err = t.sign(ctx, c)
	return signed, authenticationjwt.CredentialIDForJTI(c.ID), err
}

// ForSecret returns the token that a Secret of type kubernetes.io/service-account-token should hold: the one in it if that is valid, or
// else a new one, which does not expire.
func (t *Tokens) ForSecret(ctx context.Context, cluster logicalcluster.Name, account *corev1.ServiceAccount, secret *corev1.Secret) ([]byte, error) {
	held := secret.Data[corev1.ServiceAccountTokenKey]
	current, err := t.verify(ctx, string(held))
	switch {
	case apierrors.IsServiceUnavailable(err):
		return nil, err
	case err == nil && current.legacy && current.cluster == cluster && current.namespace == secret.Namespace && current.secret.Name == secret.Name &&
		current.account == reference{Name: account.Name, UID: string(account.UID)}:
		return held, nil
	}
	signed, err := t.sign(ctx, claims{
		// The ID makes the token another one than that of an earlier Secret with the same name.
		Claims: jwt.Claims{Issuer: legacyIssuer, Subject: serviceaccount.MakeUsername(account.Namespace, account.Name), ID: string(uuid.NewUUID())},
		private: private{
			Namespace: account.Namespace, Secret: secret.Name, Account: account.Name, AccountUID: string(account.UID), ClusterName: cluster,
		},
	})
	return []byte(signed), err
}

// sign returns a token with the claims.
func (t *Tokens) sign(ctx context.Context, c claims) (string, error) {
	known, err := t.store.current(ctx)
	if err != nil {
		return "", err
	}
	signing := known.signer(t.Clock.Now())
	if signing == nil {
		return "", errors.New("signing a token: there is no key")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: signing.private, KeyID: signing.id}}, nil)
	if err != nil {
		return "", fmt.Errorf("preparing to sign a token: %w", err)
	}
	signed, err := jwt.Signed(signer).Claims(c.Claims).Claims(c.private).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return signed, nil
}

// same compares tokens without telling by the time it takes where they differ.
func same(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// clockSkew is how far the clock of the replica that issued a token may be ahead.
const clockSkew = time.Minute
