package follow

import (
	"context"
	"math"
	"sync"
	"time"
)

const (
	// gathering is how long the first one who lists waits for others at least.
	gathering = 50 * time.Millisecond
	// heldPages is how many pages are held for those who have not read them yet.
	heldPages = 4
	// patience is how long those who go ahead wait for the others, in all, until they go on without them.
	patience = 2 * time.Second
)

// Together lists something once for all who begin to list it at about the same time, as the controllers of a server do when it starts: to
// decode a page takes much longer than to look at it. They go from page to page together. Who falls behind lists the rest alone. Safe for
// many goroutines.
type Together[T any] struct {
	// List is that of a [Source].
	List func(ctx context.Context, next string) (Page[T], error)
	// Wait returns when there is something to list: who begins until then lists together. Nil for at once.
	Wait func(ctx context.Context)

	mu   sync.Mutex
	open *party[T] // those who are gathering
}

// party are those who list together.
type party[T any] struct {
	begun   chan struct{} // closed when nobody can join any more
	mu      sync.Mutex
	members map[*Member[T]]struct{}
	pages   []*heldPage[T] // without those that every member has read
	moved   chan struct{}  // closed and replaced when a member moves on
}

type heldPage[T any] struct {
	number int
	done   chan struct{}
	page   Page[T]
	err    error
}

// Member is one who lists, by one goroutine.
type Member[T any] struct {
	together *Together[T]
	party    *party[T] // nil for who lists alone
	number   int       // of the page that comes next
}

// Join returns a new member, whose List is for a [Source].
func (t *Together[T]) Join() *Member[T] { return &Member[T]{together: t} }

// List is the List of the whole. To begin again, it joins those who begin then.
func (m *Member[T]) List(ctx context.Context, next string) (Page[T], error) {
	if next == "" {
		m.leave()
		m.join(ctx)
	}
	if m.party == nil {
		return m.together.List(ctx, next)
	}
	page, together, err := m.party.page(ctx, m, next, m.together.List)
	if !together {
		m.leave()
		return m.together.List(ctx, next)
	}
	if err != nil || page.Next == "" {
		m.leave()
	}
	return page, err
}

// join waits until those who begin now are together.
func (m *Member[T]) join(ctx context.Context) {
	t := m.together
	t.mu.Lock()
	first := t.open == nil
	if first {
		t.open = &party[T]{begun: make(chan struct{}), members: map[*Member[T]]struct{}{}, moved: make(chan struct{})}
	}
	m.party, m.number = t.open, 0
	m.party.members[m] = struct{}{}
	t.mu.Unlock()
	if !first {
		select {
		case <-m.party.begun:
		case <-ctx.Done():
		}
		return
	}
	select {
	case <-time.After(gathering):
	case <-ctx.Done():
	}
	if t.Wait != nil {
		t.Wait(ctx)
	}
	t.mu.Lock()
	t.open = nil
	t.mu.Unlock()
	close(m.party.begun)
}

// leave takes a member out, for whom nobody waits any more.
func (m *Member[T]) leave() {
	if m.party == nil {
		return
	}
	<-m.party.begun // of which the first one takes care
	m.party.mu.Lock()
	defer m.party.mu.Unlock()
	delete(m.party.members, m)
	m.party.move()
	m.party = nil
}

// page returns the next page of a member; false if the others have gone on without it.
func (p *party[T]) page(ctx context.Context, m *Member[T], next string, list func(context.Context, string) (Page[T], error)) (Page[T], bool, error) {
	held, mine, together := p.take(ctx, m)
	if !together {
		return Page[T]{}, false, nil
	}
	if mine {
		held.page, held.err = list(ctx, next)
		close(held.done)
	}
	select {
	case <-held.done:
	case <-ctx.Done():
		return Page[T]{}, true, ctx.Err()
	}
	if held.err != nil && !mine {
		return Page[T]{}, false, nil // the reason may be the context of the other one
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m.number++
	p.move()
	return held.page, true, held.err
}

// take returns the page that comes next for a member, and whether it is for this one to read it. It waits until there is room for that page.
func (p *party[T]) take(ctx context.Context, m *Member[T]) (held *heldPage[T], mine, together bool) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if _, ok := p.members[m]; !ok {
			return nil, false, false
		}
		for _, held := range p.pages {
			if held.number == m.number {
				return held, false, true
			}
		}
		if len(p.pages) < heldPages {
			held := &heldPage[T]{number: m.number, done: make(chan struct{})}
			p.pages = append(p.pages, held)
			return held, true, true
		}
		moved := p.moved
		p.mu.Unlock()
		late := false
		select {
		case <-moved:
		case <-timeout.C:
			late = true
		case <-ctx.Done():
			p.mu.Lock()
			return nil, false, false
		}
		p.mu.Lock()
		if late {
			p.leaveBehind()
			timeout.Reset(patience)
		}
	}
}

// leaveBehind goes on without those who have not read the oldest page.
func (p *party[T]) leaveBehind() {
	if len(p.pages) < heldPages {
		return
	}
	for m := range p.members {
		if m.number <= p.pages[0].number {
			delete(p.members, m)
		}
	}
	p.move()
}

// move lets go of the pages that every member has read, and tells those who wait.
func (p *party[T]) move() {
	oldest := math.MaxInt
	for m := range p.members {
		oldest = min(oldest, m.number)
	}
	for len(p.pages) > 0 && p.pages[0].number < oldest {
		p.pages = p.pages[1:]
	}
	close(p.moved)
	p.moved = make(chan struct{})
}
