package raw

import (
	"context"
	"errors"
	"fmt"
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
	for limit := time.Now().Add(20 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s: not so after 20 s", what)
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
