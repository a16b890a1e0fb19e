package tokens

import (
	"context"
	"fmt"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/secrets"
)

// SecretName is the Secret of the keys, in namespace kube-system of the cluster system:admin.
const SecretName = "annex-serviceaccount-keys"

const description = "Signs the tokens of ServiceAccounts in all workspaces, the same at all replicas. " +
	"Each key is named after the time when it was made. Remove a key to revoke all tokens that it has signed."

// store reads and makes the keys. It is safe for many goroutines.
type store struct {
	cached client.Reader
	clock  clock.PassiveClock
	// secret is set before the first request.
	secret *secrets.Secret

	mu   sync.Mutex
	uid  types.UID
	seen string // resourceVersion of what the keys were parsed from
	keys keys
}

// load returns the keys as the watch cache has them; none if there is no Secret.
func (s *store) load(ctx context.Context) (keys, error) {
	stored, err := client.Find[corev1.Secret](ctx, s.cached, secrets.Resource(), secrets.Key(SecretName))
	if err != nil || stored == nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stored.UID == s.uid && stored.ResourceVersion == s.seen {
		return s.keys, nil
	}
	parsed, err := parseKeys(stored.Data)
	if err != nil {
		return nil, unreadable(err)
	}
	s.uid, s.seen, s.keys = stored.UID, stored.ResourceVersion, parsed
	return parsed, nil
}

// current returns the keys of which one signs. It makes the first key, and the next one when that is due.
func (s *store) current(ctx context.Context) (keys, error) {
	now := s.clock.Now()
	if known, err := s.load(ctx); err != nil || !known.due(now) {
		return known, err
	}
	if s.secret == nil {
		return nil, apierrors.NewServiceUnavailable("tokens cannot be signed before the server has started")
	}
	var current keys
	var made []byte
	err := s.secret.Settle(ctx, func(stored map[string][]byte) (map[string][]byte, error) {
		known, err := parseKeys(stored)
		if err != nil {
			return nil, unreadable(err)
		}
		if !known.due(now) {
			current = known
			return nil, nil
		}
		if made == nil {
			if made, err = newKey(); err != nil {
				return nil, err
			}
		}
		data := maps.Clone(stored)
		if data == nil {
			data = map[string][]byte{}
		}
		data[now.UTC().Format(keyPattern)+keySuffix] = made
		current, err = parseKeys(data)
		return data, err
	})
	if err != nil {
		return nil, fmt.Errorf("settling the keys of ServiceAccount tokens: %w", err)
	}
	return current, nil
}

func unreadable(err error) error {
	return fmt.Errorf("reading the keys in Secret %s: %w; correct it, or delete it to get a new key", secrets.Key(SecretName), err)
}
