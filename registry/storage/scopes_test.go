package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// fill meets a base of its own for each of n kinds.
func fill(s *scopes, name string, n int) {
	for i := range n {
		s.of(fmt.Sprintf("/%s/%d", name, i), "c")
	}
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s: not so after %s", what, patience)
		}
	}
}

func (s *scopes) idle() bool {
	s.lock.RLock()
	defer s.lock.RUnlock()
	return !s.looking
}

func TestScopes_ForgetWhatHoldsNothing(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	s := newScopes(func(_ context.Context, bases []string) ([]bool, error) {
		close(began)
		<-goOn
		live := make([]bool, len(bases))
		for i, base := range bases {
			live[i] = base == "/old/7"
		}
		return live, nil
	})
	fill(s, "old", scopesKept)
	<-began
	s.of("/old/8", "c") // met while the look goes on
	s.of("/new/0", "c") // and so was this one
	close(goOn)
	waitFor(t, "the look", s.idle)
	known := map[string]bool{}
	for _, base := range s.all() {
		known[base] = true
	}
	if len(known) != 3 || !known["/old/7"] || !known["/old/8"] || !known["/new/0"] {
		t.Errorf("left: %v", known)
	}
}

func TestScopes_WithoutAnAnswerAllStay(t *testing.T) {
	s := newScopes(func(context.Context, []string) ([]bool, error) { return nil, errors.New("no etcd") })
	fill(s, "a", scopesKept+10)
	waitFor(t, "the look", s.idle)
	if n := len(s.all()); n != scopesKept+10 {
		t.Errorf("%d are left", n)
	}
	if s.limit < 2*scopesKept {
		t.Errorf("the next look is at %d already", s.limit)
	}
}

// A tenant who makes and throws away kinds leaves nothing behind, and what others have is still found.
func TestScopes_ThrowAwayKinds(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	kept := in(t.Context(), "c1")
	create(t, kept, s, widget("default", "kept", "red"))
	for round := range 3 {
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for i := worker; i < scopesKept; i += 8 {
					key := fmt.Sprintf("/annex/cr/8/example.com/widgets/bucket-%d-%d/c2/default/w", round, i)
					if _, err := client.KV.Put(t.Context(), key, `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"default"}}`); err != nil {
						t.Error(err)
					}
					if _, err := client.KV.Delete(t.Context(), key); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	}
	shard := b.custom[8]
	more := 0
	waitFor(t, "fewer bases than were ever there", func() bool {
		// Another kind, so that a look that came too early is not the last one.
		shard.scopes.of(fmt.Sprintf("/cr/8/example.com/widgets/more-%d", more), "c3")
		more++
		return shard.scopes.idle() && len(shard.scopes.all()) < 2*scopesKept
	})
	found, err := b.Heads(kept, HeadScope{Cluster: "c1"})
	if err != nil || len(found) != 1 || found[0].Name != "kept" {
		t.Errorf("c1 holds %v, %v", found, err)
	}
	create(t, WithBucket(in(t.Context(), "c2"), "bucket-0-1"), s, widget("default", "again", "red"))
	if found, err = b.Heads(kept, HeadScope{Cluster: "c2"}); err != nil || len(found) != 1 || found[0].Bucket != "bucket-0-1" {
		t.Errorf("c2 holds %v, %v", found, err)
	}
}
