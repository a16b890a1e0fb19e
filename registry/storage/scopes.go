package storage

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/klog/v2"
)

const (
	// scopesKept is how many scopes a cache holds before it looks for those that hold nothing any more.
	scopesKept = 256
	// scopesTimeout bounds that look.
	scopesTimeout = 30 * time.Second
)

// scopes holds one field set for each base - a prefix down to a bucket - that has objects in a cache, shared by them all. By
// it the cacher files the watches of wildcards, and CustomKeys and Purge know where to look.
//
// A tenant makes a base with each kind of custom resource, and may throw it away again. Whenever the bases have doubled since
// the last look, those without a key in etcd go, so that there are never many more than kinds in use.
type scopes struct {
	// live returns which of the bases have keys in etcd now; nil for a cache whose bases are fixed.
	live func(ctx context.Context, bases []string) ([]bool, error)

	lock  sync.RWMutex
	known map[string]*scope
	// round counts the looks; limit is how many bases bring about the next one, and looking that it goes on.
	round   uint64
	limit   int
	looking bool
}

type scope struct {
	set fields.Set
	// seen is the last round in which an object of it was met.
	seen atomic.Uint64
}

func newScopes(live func(context.Context, []string) ([]bool, error)) *scopes {
	return &scopes{live: live, known: map[string]*scope{}, limit: scopesKept}
}

// of returns the field set of a base.
func (s *scopes) of(base string) fields.Set {
	s.lock.RLock()
	found, ok := s.known[base]
	if ok {
		// Under the lock: a look that ends forgets no scope that was met after it began.
		if round := s.round; found.seen.Load() != round {
			found.seen.Store(round)
		}
		s.lock.RUnlock()
		return found.set
	}
	s.lock.RUnlock()
	s.lock.Lock()
	defer s.lock.Unlock()
	if found, ok = s.known[base]; !ok {
		base = strings.Clone(base) // not to keep the object
		found = &scope{set: fields.Set{"metadata.namespace": base}}
		s.known[base] = found
	}
	found.seen.Store(s.round)
	if s.live != nil && !s.looking && len(s.known) >= s.limit {
		s.looking = true
		go s.look()
	}
	return found.set
}

// all returns every base that may have objects.
func (s *scopes) all() []string {
	s.lock.RLock()
	defer s.lock.RUnlock()
	bases := make([]string, 0, len(s.known))
	for base := range s.known {
		bases = append(bases, base)
	}
	return bases
}

// look forgets the bases that have no key in etcd. What is written while it goes on is met by the cache afterwards, and is
// kept or comes back by that.
func (s *scopes) look() {
	ctx, cancel := context.WithTimeout(context.Background(), scopesTimeout)
	defer cancel()
	s.lock.Lock()
	s.round++
	s.lock.Unlock()
	bases := s.all()
	live, err := s.live(ctx, bases)
	s.lock.Lock()
	defer s.lock.Unlock()
	if err != nil {
		klog.FromContext(ctx).V(4).Info("Looking for unused kinds of custom resources failed", "err", err)
	} else {
		for i, base := range bases {
			if found := s.known[base]; found != nil && !live[i] && found.seen.Load() < s.round {
				delete(s.known, base)
			}
		}
	}
	s.limit, s.looking = max(scopesKept, 2*len(s.known)), false
}

// liveBases returns which of the bases have keys in etcd.
func (b *Backend) liveBases(ctx context.Context, bases []string) ([]bool, error) {
	live := make([]bool, 0, len(bases))
	for some := range slices.Chunk(bases, rangesPerTxn) {
		ops := make([]clientv3.Op, len(some))
		for i, base := range some {
			ops[i] = clientv3.OpGet(b.prefix+base+"/", clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		}
		resp, err := b.client.KV.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return nil, err
		}
		for _, r := range resp.Responses {
			live = append(live, len(r.GetResponseRange().Kvs) > 0)
		}
	}
	return live, nil
}
