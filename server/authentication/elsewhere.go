package authentication

import (
	"context"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
)

// remoteTimeout is how long a request waits until somebody else has decided about its token.
const remoteTimeout = 10 * time.Second

// elsewhere returns next for tokens that do not say that they are from this server. So nobody else sees a token of a ServiceAccount, even
// one that is not valid any more. own may be nil.
func elsewhere(own ServiceAccounts, next authenticator.Token) authenticator.Token {
	if own == nil {
		return next
	}
	return authenticator.TokenFunc(func(ctx context.Context, token string) (*authenticator.Response, bool, error) {
		if own.Ours(ctx, token) {
			return nil, false, nil
		}
		return next.AuthenticateToken(ctx, token)
	})
}

// bounded asks next, for a bounded time. It does not say for which audiences: whoever decides about the token is asked whether it is for
// this server, and [audience] knows what else that means.
type bounded struct{ next authenticator.Token }

// AuthenticateToken implements authenticator.Token.
func (b *bounded) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	// Audiences cannot be removed from a context.
	fresh, cancel := context.WithTimeout(context.Background(), remoteTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	return b.next.AuthenticateToken(fresh, token)
}
