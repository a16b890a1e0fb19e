package tokens

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// algorithm is the only one that tokens are signed with and checked for, whatever a token says.
const algorithm = jose.RS256

// MaxBytes is the length of the longest token.
const MaxBytes = 32 << 10

// Errors of verify.
var (
	// errForeign is for what is not a token of this server, so that somebody else may know it.
	errForeign = errors.New("not a token of this server")
	errForged  = errors.New("the token is signed by nobody that this server knows")
)

// verify returns whose token this is if the server has issued it and it has not expired. It does not look whether that still exists. The error
// is errForeign, or ServiceUnavailable if nobody can say, or says why the token is not valid.
func (t *Tokens) verify(ctx context.Context, token string) (identity, error) {
	if len(token) > MaxBytes {
		return identity{}, errForeign
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{algorithm})
	if err != nil || len(parsed.Headers) != 1 {
		return identity{}, errForeign
	}
	var claimed claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claimed.Claims, &claimed.private); err != nil {
		return identity{}, errForeign
	}
	if _, ours := claimed.identity(); !ours {
		return identity{}, errForeign
	}
	signing, err := t.find(ctx, parsed.Headers[0].KeyID)
	if err != nil {
		return identity{}, err
	}
	if signing == nil {
		return identity{}, errForged
	}
	var c claims
	if err := parsed.Claims(&signing.private.PublicKey, &c.Claims, &c.private); err != nil {
		return identity{}, errForged
	}
	i, _ := c.identity()
	return i, c.check(i, t.Clock.Now())
}

// find returns the key called id; nil if there is none.
func (t *Tokens) find(ctx context.Context, id string) (*key, error) {
	var found *key
	err := t.recent.lookTwice(ctx, func() (bool, error) {
		known, err := t.store.load(ctx)
		found = known.find(id)
		return found != nil, err
	})
	if err != nil {
		return nil, unavailable(fmt.Errorf("reading the keys of ServiceAccount tokens: %w", err))
	}
	return found, nil
}

// Home returns the cluster of a token that this server has issued and that has not expired; false for all others. The account may not exist
// any more, so the caller must let [Tokens.AuthenticateToken] decide about the request.
func (t *Tokens) Home(ctx context.Context, token string) (logicalcluster.Name, bool) {
	i, err := t.verify(ctx, token)
	return i.cluster, err == nil
}

// Ours reports whether a token says that it is from this server, so that nobody else needs to be asked about it.
func (t *Tokens) Ours(ctx context.Context, token string) bool {
	_, err := t.verify(ctx, token)
	return !errors.Is(err, errForeign)
}
