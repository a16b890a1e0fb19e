package issuers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"k8s.io/utils/clock"
)

const (
	// freshFor is how long keys are used without a look whether the issuer has withdrawn one.
	freshFor = 10 * time.Minute
	// again is how soon an issuer is asked again, for keys that it had not, or because it did not answer.
	again = 5 * time.Second
	// maxWaiting is how many requests wait for an issuer at most.
	maxWaiting = 32
)

var (
	errSignature = errors.New("the token is not signed with a key of its issuer")
	errBusy      = errors.New("too many requests wait for the issuer of the token")
)

// algorithms are those with which tokens may be signed. None of them has a secret key that is also the one to verify with.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512}

// keys are those of an issuer. It is the KeySet of the stock authenticator, and safe for concurrent use.
type keys struct {
	fetch func(ctx context.Context) ([]jose.JSONWebKey, error)
	clock clock.PassiveClock

	mu      sync.Mutex
	known   []jose.JSONWebKey
	err     error     // of the last fetch
	fetched time.Time // when it was; zero for never
	running *fetching // nil unless one is running
}

// fetching is a fetch that some requests wait for.
type fetching struct {
	done    chan struct{}
	waiting int
}

// VerifySignature returns the content of a token that the issuer has signed.
func (k *keys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errSignature
	}
	known, err := k.get(ctx, freshFor)
	if err != nil {
		return nil, err
	}
	if content, ok := verify(signed, known); ok {
		return content, nil
	}
	// Perhaps the issuer has a new key.
	if known, err = k.get(ctx, again); err != nil {
		return nil, err
	}
	if content, ok := verify(signed, known); ok {
		return content, nil
	}
	return nil, errSignature
}

func verify(signed *jose.JSONWebSignature, known []jose.JSONWebKey) ([]byte, bool) {
	id := signed.Signatures[0].Header.KeyID
	for i := range known {
		if id != "" && known[i].KeyID != id {
			continue
		}
		if content, err := signed.Verify(&known[i]); err == nil {
			return content, true
		}
	}
	return nil, false
}

// get returns keys that are at most so old. If the issuer does not answer, it returns those that were known before.
func (k *keys) get(ctx context.Context, age time.Duration) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	since := k.clock.Since(k.fetched)
	if !k.fetched.IsZero() && (since < again || since < age && k.err == nil) {
		defer k.mu.Unlock()
		return k.result()
	}
	f := k.running
	if f == nil {
		f = &fetching{done: make(chan struct{})}
		k.running = f
		go k.refresh(f)
	}
	if f.waiting >= maxWaiting {
		k.mu.Unlock()
		return nil, errBusy
	}
	f.waiting++
	k.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.result()
}

// result returns what is known. The caller holds the lock.
func (k *keys) result() ([]jose.JSONWebKey, error) {
	if len(k.known) > 0 {
		return k.known, nil
	}
	return nil, k.err
}

// refresh asks the issuer, whether or not somebody still waits.
func (k *keys) refresh(f *fetching) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	found, err := k.fetch(ctx)
	found = slices.DeleteFunc(found, func(key jose.JSONWebKey) bool { return !key.Valid() || !key.IsPublic() })
	if err == nil && len(found) == 0 {
		err = errors.New("the issuer of the token has no keys")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err, k.fetched, k.running = err, k.clock.Now(), nil
	if err == nil {
		k.known = found
	}
	close(f.done)
}
